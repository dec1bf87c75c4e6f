//! § Prepare remote cluster: what Kiali may do in a remote, and the token by which it comes. The
//! account and its token are made at once; the operator adopts the account and adds the rights.

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::jiff::SignedDuration;
use kube::Api;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::RemoteAccess;
use crate::k8s::apply::{self, Applied, Before};
use crate::k8s::health::{self, Kiali, KialiFence};
use crate::k8s::look::{Component, look};
use crate::k8s::wait::{self, Wait};
use crate::k8s::{Scope, delete, kiali_cr, kinds};
use crate::manifests;
use crate::progress::ObjectId;

const TOKEN: &str = "kiali";
const CR: &str = "kiali";
/// Made by the operator, for the account.
const RIGHTS: &str = "kiali";

pub fn objects(namespace: &str) -> Result<Vec<Value>> {
    manifests::render(manifests::REMOTE_CLUSTER, json!({"namespace": namespace}))
}

/// Applies the account, its token and the Kiali CR; returns the access as soon as the token is
/// filled and the rights are there, and the CR for `settled`.
pub async fn install(scope: &Scope<'_>, before: Before) -> Result<(RemoteAccess, Applied)> {
    let applied = apply::apply_all(scope, &objects(scope.namespace)?, before).await?;
    let secret = Wait {
        seen: serde_json::from_value(applied[1].live.clone()).ok(),
        ..Wait::for_object(secrets(scope), token_id(scope))
    };
    let secret = wait::until(scope, secret, health::token)
        .await?
        .context("a filled Secret is there")?;
    let access = access(scope, secret)?;
    let cr = applied
        .into_iter()
        .nth(2)
        .context("the manifest has three objects")?;
    Ok((access, cr))
}

fn access(scope: &Scope<'_>, secret: Secret) -> Result<RemoteAccess> {
    let mut data = secret.data.unwrap_or_default();
    let mut text = |key: &str| {
        let ByteString(bytes) = data
            .remove(key)
            .with_context(|| format!("Secret {TOKEN} without {key}"))?;
        String::from_utf8(bytes).with_context(|| format!("Secret {TOKEN}: {key} is not text"))
    };
    let endpoint = &scope.cluster.endpoint;
    let root = text("ca.crt")?;
    Ok(RemoteAccess {
        cluster: scope.cluster.name.clone(),
        server: endpoint.server.clone(),
        flag: endpoint.flag.clone(),
        ca: endpoint.ca.clone().unwrap_or(root),
        tls_server_name: endpoint.tls_server_name.clone(),
        token: SecretString::from(text("token")?),
    })
}

/// Until the operator has given the account its rights.
pub async fn granted(scope: &Scope<'_>) -> Result<()> {
    let api = Api::<ClusterRoleBinding>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("ClusterRoleBinding", RIGHTS);
    let wait = Wait {
        absent: true,
        ..Wait::for_object(api, object)
    };
    wait::until(scope, wait, health::present).await?;
    Ok(())
}

/// Until the operator is done with the CR.
pub async fn settled(scope: &Scope<'_>, cr: Applied) -> Result<()> {
    kiali_cr::settled(scope, CR, &cr).await?;
    scope.progress.done(apply::summary(&[cr]));
    Ok(())
}

fn secrets(scope: &Scope<'_>) -> Api<Secret> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

fn token_id(scope: &Scope<'_>) -> ObjectId {
    ObjectId::new("Secret", scope.namespace, TOKEN)
}

pub async fn status(scope: &Scope<'_>) -> Vec<Component> {
    let crs = Api::<Kiali>::namespaced_with(
        scope.cluster.client.clone(),
        scope.namespace,
        &kinds::kiali(),
    );
    let secrets = secrets(scope);
    let mut made = None;
    let (cr, mut token) = tokio::join!(
        look(
            scope,
            &crs,
            ObjectId::new("Kiali", scope.namespace, CR),
            |k| KialiFence::default().judge(k)
        ),
        look(scope, &secrets, token_id(scope), |secret| {
            made = secret.and_then(|s| s.metadata.creation_timestamp.as_ref().map(|time| time.0));
            health::token(secret)
        }),
    );
    token.note = scope.cluster.server_time().zip(made).map(|(now, made)| {
        // It never expires: whoever rotates tokens wants to know.
        format!("the token is {} old", age(now.duration_since(made)))
    });
    vec![cr, token]
}

fn age(age: SignedDuration) -> String {
    match (age.as_mins(), age.as_hours()) {
        (minutes, ..2) => format!("{minutes} minutes"),
        (_, hours @ ..48) => format!("{hours} hours"),
        (_, hours) => format!("{} days", hours / 24),
    }
}

/// The CR first, waited for: its finalizer is the operator's work, which takes the account along, and
/// with it the token.
pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let objects = objects(scope.namespace)?;
    let removed = kiali_cr::remove(scope, &objects[2]).await?;
    delete::delete_all(scope, &objects[..2]).await?;
    scope.progress.done(kiali_cr::said(scope, removed));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_unit_that_counts() {
        for (hours, text) in [
            (0, "0 minutes"),
            (1, "60 minutes"),
            (2, "2 hours"),
            (47, "47 hours"),
            (48, "2 days"),
        ] {
            assert_eq!(age(SignedDuration::from_hours(hours)), text);
        }
    }
}
