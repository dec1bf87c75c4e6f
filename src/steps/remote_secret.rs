//! § Deploy Kiali, the remote secret: one Secret on home with a kubeconfig for each remote. A single bad remote
//! prevents Kiali from starting at all, so a kubeconfig is written only after it has been used unchanged and its
//! server has been reached from a pod on home.

mod leave;
mod proof;
mod rotation;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

pub use leave::{given, take_out};
use proof::answer;
pub use proof::{Answer, AskingPod, prove, reached_from_home};
pub use rotation::{InUse, Kubeconfig, in_use, of_access, prove_new, refused, swap};

use super::RemoteAccess;
use crate::deadline::Deadline;
use crate::k8s::apply::{self, Applied, Before};
use crate::k8s::health::Health;
use crate::k8s::kiali_cr::ACCOUNT;
use crate::k8s::look::{Component, look};
use crate::k8s::rights::Right;
use crate::k8s::{Scope, delete, reviews, secret};
use crate::manifests;
use crate::mesh::{Cluster, ClusterName, RemoteKubeconfig};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

/// The operator watches the Secret of this name and rolls Kiali when it changes.
pub const NAME: &str = "kiali-multi-cluster-secret";
const LABEL: &str = "kiali.io/kiali-multi-cluster-secret";
/// The account whose token is in the kubeconfigs, and the name of their user.
/// Limit for the size of all values of a Secret.
const LARGEST: usize = 1 << 20;

/// The Secret for home. The key of each remote, the name in its kubeconfig and its Istio cluster id must be the same
/// string, because Kiali would mix up the clusters otherwise.
pub fn object(namespace: &str, remotes: &[RemoteAccess]) -> Result<Value> {
    let mut data = serde_json::Map::new();
    for remote in remotes {
        data.insert(
            remote.cluster.to_string(),
            json!(STANDARD.encode(kubeconfig(remote)?)),
        );
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {LABEL: "true"}},
        "type": "Opaque",
        "data": data,
    }))
}

fn kubeconfig(remote: &RemoteAccess) -> Result<String> {
    let name = remote.cluster.as_str();
    let mut cluster = json!({"server": remote.server});
    if let Some(ca) = &remote.ca {
        cluster["certificate-authority-data"] = json!(STANDARD.encode(ca));
    }
    if let Some(server_name) = &remote.tls_server_name {
        cluster["tls-server-name"] = json!(server_name);
    }
    manifests::to_yaml(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": remote.token.expose_secret()}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }))
}

pub async fn install(
    home: &Scope<'_>,
    remotes: &[RemoteAccess],
    before: Before,
) -> Result<Applied> {
    let secret = object(home.namespace, remotes)?;
    fits(home.cluster, &secret)?;
    let applied = apply::apply(home, &secret, before).await?;
    let names = remotes
        .iter()
        .map(|r| r.cluster.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    home.progress.done(format!(
        "{} for {names}",
        apply::summary(std::slice::from_ref(&applied))
    ));
    Ok(applied)
}

/// Size and number of remotes of a Secret that is too large.
fn too_large(secret: &Value) -> Option<(usize, usize)> {
    let data = secret["data"].as_object()?;
    let bytes = |value: &Value| value.as_str().map_or(0, |text| text.len() / 4 * 3);
    let size = data.values().map(bytes).sum();
    (size > LARGEST).then_some((size, data.len()))
}

/// The message of the server names neither the cause nor a fix.
fn fits(home: &Cluster, secret: &Value) -> Result<(), Problem> {
    let Some((size, remotes)) = too_large(secret) else {
        return Ok(());
    };
    Err(Problem::new(
        Exit::Unexpected,
        format!(
            "{}: Secret {NAME} would hold {size} bytes for {remotes} remotes, and an API server takes {LARGEST}; it was not written",
            home.name
        ),
    )
    .fix("shorten certificate-authority-data in the kubeconfig to the CAs of the API servers themselves, or spread the remotes over two homes"))
}

/// The remotes that are in the Secret, with the result of some work that uses the kubeconfig of each.
async fn with_each<T>(
    home: &Scope<'_>,
    remotes: &[ClusterName],
    work: impl AsyncFn(RemoteKubeconfig) -> Result<T, String>,
) -> Result<BTreeMap<String, Result<T, String>>> {
    let api = Api::<Secret>::namespaced(home.cluster.client.clone(), home.namespace);
    let id = ObjectId::new("Secret", home.namespace, NAME);
    let secret = crate::k8s::request::send_opt(home, &id, || api.get(NAME)).await?;
    let mut data = secret.and_then(|s| s.data).unwrap_or_default();
    // Kubeconfigs that others put there are never used.
    data.retain(|key, _| remotes.iter().any(|remote| remote.as_str() == key));
    let asked = data.into_iter().map(async |(name, text)| {
        let said = match RemoteKubeconfig::read(&text.0) {
            Ok(kubeconfig) => work(kubeconfig).await,
            Err(fault) => Err(fault),
        };
        (name, said)
    });
    Ok(futures::future::join_all(asked).await.into_iter().collect())
}

/// The remotes that are in the Secret, and whether each works with its kubeconfig.
pub async fn answers(
    home: &Scope<'_>,
    remotes: &[ClusterName],
    patience: Duration,
) -> Result<BTreeMap<String, Result<(), String>>> {
    let mut all = BTreeMap::new();
    for (name, said) in accepted(home, remotes, patience).await? {
        all.insert(name, said.and_then(|said| said.map_err(Answer::cause)));
    }
    Ok(all)
}

/// The same, with why a server does not take a token. The outer error is that of a kubeconfig that cannot be used.
pub async fn accepted(
    home: &Scope<'_>,
    remotes: &[ClusterName],
    patience: Duration,
) -> Result<BTreeMap<String, Result<Result<(), Answer>, String>>> {
    let ask = async |kubeconfig: RemoteKubeconfig| Ok(answer(&kubeconfig, patience).await);
    with_each(home, remotes, ask).await
}

/// The remotes that are in the Secret, and what each lets Kiali's token change.
pub async fn changes(
    home: &Scope<'_>,
    remotes: &[ClusterName],
    patience: Duration,
) -> Result<BTreeMap<String, Result<Vec<Right>, String>>> {
    let ask = async |kubeconfig: RemoteKubeconfig| {
        let client = kubeconfig.client().await?;
        let changes = reviews::own(&client, home.namespace, Deadline::after(patience)).await;
        changes.map_err(|cause| cause.text())
    };
    with_each(home, remotes, ask).await
}

/// The manifest of the existing Secret, with only these remotes.
pub async fn manifest(home: &Scope<'_>, remotes: &[String]) -> Result<Value> {
    let mut object = object(home.namespace, &[])?;
    secret::keep(home, &mut object, remotes).await?;
    Ok(object)
}

pub async fn status(home: &Scope<'_>, remotes: &[ClusterName]) -> Vec<Component> {
    let api = Api::<Secret>::namespaced(home.cluster.client.clone(), home.namespace);
    let object = ObjectId::new("Secret", home.namespace, NAME);
    vec![look(home, &api, object, |secret| judge(secret, remotes)).await]
}

fn judge(secret: Option<&Secret>, remotes: &[ClusterName]) -> Health {
    let Some(secret) = secret else {
        return Health::InProgress("not found".into());
    };
    let (mut missing, mut unusable) = (Vec::new(), Vec::new());
    for name in remotes {
        match secret.data.as_ref().and_then(|d| d.get(name.as_str())) {
            None => missing.push(name.to_string()),
            Some(text) => {
                let fault = RemoteKubeconfig::read(&text.0).err();
                unusable.extend(
                    fault.map(|why| format!("the kubeconfig of {name} is unusable: {why}")),
                );
            }
        }
    }
    match (missing.as_slice(), unusable.is_empty()) {
        (_, false) => Health::Failed(unusable.join("; ")),
        ([], true) => Health::Ready,
        (missing, true) => Health::InProgress(format!("no kubeconfig for {}", missing.join(", "))),
    }
}

pub async fn remove(home: &Scope<'_>) -> Result<()> {
    let removed = delete::delete(home, &object(home.namespace, &[])?).await?;
    home.progress.done(delete::summary(home, &[removed]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> RemoteAccess {
        RemoteAccess {
            cluster: ClusterName::new("cluster2").unwrap(),
            server: "https://10.0.0.2:6443".into(),
            flag: "--api-server2".into(),
            ca_flag: None,
            named: true,
            ca: Some("-----BEGIN CERTIFICATE-----\n".into()),
            tls_server_name: None,
            token: "secret-token".to_string().into(),
            was_cut_off: false,
        }
    }

    #[test]
    fn key_and_names_are_the_cluster_id() {
        let secret = object("kiali", &[access()]).unwrap();
        assert_eq!(secret["metadata"]["labels"][LABEL], "true");
        let text = STANDARD
            .decode(secret["data"]["cluster2"].as_str().unwrap())
            .unwrap();
        let config: Value = manifests::from_yaml(std::str::from_utf8(&text).unwrap()).unwrap();
        for pointer in [
            "/clusters/0/name",
            "/users/0/name",
            "/contexts/0/name",
            "/current-context",
        ] {
            assert_eq!(config.pointer(pointer).unwrap(), "cluster2", "{pointer}");
        }
        assert_eq!(
            config.pointer("/users/0/user/token").unwrap(),
            "secret-token"
        );
    }

    /// A Secret for 200 remotes whose CA has so many bytes.
    fn for_200(ca: usize) -> Value {
        let remotes = (0..200).map(|number| RemoteAccess {
            cluster: ClusterName::new(&format!("cluster-{number}")).unwrap(),
            ca: Some("x".repeat(ca)),
            token: "t".repeat(1200).into(),
            ..access()
        });
        object("kiali", &remotes.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn fault_47_a_secret_for_200_remotes_fits_and_one_that_does_not_is_told_before_it_is_written() {
        let size =
            |secret: &Value| too_large(secret).map(|(size, remotes)| (size > LARGEST, remotes));
        assert_eq!(size(&for_200(1500)), None);
        assert_eq!(size(&for_200(5000)), Some((true, 200)));
    }

    #[test]
    fn a_token_does_not_print() {
        assert!(!format!("{:?}", access()).contains("secret-token"));
    }
}
