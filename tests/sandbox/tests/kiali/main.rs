//! The stand-ins of operator and Kiali against the facts measured on the real ones.

use std::time::Duration;

use ambikiali_sandbox::{Cluster, Delays, Sandbox};
use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use operator::apply;

mod operator;

fn kialis(cluster: &Cluster) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("kiali.io", "v1alpha1", "Kiali");
    Api::namespaced_with(
        cluster.client(),
        "kiali",
        &ApiResource::from_gvk_with_plural(&gvk, "kialis"),
    )
}

async fn cr(cluster: &Cluster, spec: Value) -> Result<()> {
    apply(
        cluster,
        json!({
            "apiVersion": "kiali.io/v1alpha1", "kind": "Kiali",
            "metadata": {"name": "kiali", "namespace": "kiali"}, "spec": spec,
        }),
    )
    .await
}

fn condition(cr: &DynamicObject, kind: &str) -> Value {
    let conditions = cr.data["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .find(|c| c["type"] == kind)
        .cloned()
        .unwrap_or_default()
}

/// Waits until the CR looks so; 30 s at most.
async fn until(
    cluster: &Cluster,
    what: &str,
    is: impl Fn(&DynamicObject) -> bool,
) -> Result<DynamicObject> {
    let begin = Instant::now();
    loop {
        let cr = kialis(cluster).get_opt("kiali").await?;
        if let Some(cr) = cr.as_ref().filter(|cr| is(cr)) {
            return Ok(cr.clone());
        }
        if begin.elapsed() > Duration::from_secs(30) {
            bail!(
                "{}: not {what} after 30 s: {:#?}",
                cluster.name(),
                cr.map(|cr| cr.data)
            );
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn successful(cr: &DynamicObject) -> bool {
    condition(cr, "Successful")["status"] == "True"
}

/// A GET to Kiali's pod, as soon as it answers what is wanted.
async fn kiali(
    cluster: &Cluster,
    path: &str,
    wanted: impl Fn(u16, &Value) -> bool,
) -> Result<Value> {
    let begin = Instant::now();
    let mut last = String::new();
    while begin.elapsed() < Duration::from_secs(40) {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), "kiali");
        let kialis = ListParams::default().labels("app.kubernetes.io/name=kiali");
        for pod in pods.list(&kialis).await? {
            let Some(ip) = pod.status.and_then(|s| s.pod_ip) else {
                continue;
            };
            let url = format!("http://{ip}:20001/kiali{path}");
            let asked = reqwest::Client::new()
                .get(&url)
                .timeout(Duration::from_secs(5))
                .send()
                .await;
            let Ok(answer) = asked else { continue };
            let (status, text) = (answer.status().as_u16(), answer.text().await?);
            let body = serde_json::from_str(&text).unwrap_or(json!(text));
            if wanted(status, &body) {
                return Ok(body);
            }
            last = format!("{status} {text}");
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("{path}: {last}")
}

async fn kubeconfig(remote: &Cluster) -> Result<String> {
    apply(
        remote,
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "kiali", "namespace": "kiali",
                "annotations": {"kubernetes.io/service-account.name": "kiali-service-account"}},
        }),
    )
    .await?;
    let secrets: Api<Secret> = Api::namespaced(remote.client(), "kiali");
    loop {
        let data = secrets.get("kiali").await?.data.unwrap_or_default();
        let Some(token) = data.get("token") else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let token = String::from_utf8(token.0.clone())?;
        let name = remote.name();
        return Ok(json!({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "users": [{"name": name, "user": {"token": token}}],
            "clusters": [{"name": name, "cluster": {
                "server": remote.server(), "certificate-authority-data": STANDARD.encode(remote.ca()),
            }}],
        })
        .to_string());
    }
}

async fn remotes(home: &Cluster, data: Value) -> Result<()> {
    apply(
        home,
        json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": "kiali-multi-cluster-secret", "namespace": "kiali",
                "labels": {"kiali.io/kiali-multi-cluster-secret": "true"}},
        }),
    )
    .await
}

fn names(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|e| e[field].as_str().map(String::from))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn as_measured() -> Result<()> {
    let begin = Instant::now();
    let say = |line: &str| eprintln!("{:6.1?} {line}", begin.elapsed());
    let sandbox = Sandbox::start(&["cluster1", "cluster2"], Delays::NONE, say).await?;
    let (home, remote) = (sandbox.cluster("cluster1"), sandbox.cluster("cluster2"));
    tokio::try_join!(operator::install(home), operator::install(remote))?;
    say("operators applied");
    let home_spec = json!({"auth": {"strategy": "anonymous"}, "deployment": {"probes": {"startup": {"initial_delay_seconds": 1}}}});
    tokio::try_join!(
        cr(home, home_spec.clone()),
        cr(
            remote,
            json!({"auth": {"strategy": "anonymous"}, "deployment": {"remote_cluster_resources_only": true}})
        ),
    )?;
    let (a, b) = tokio::try_join!(
        until(home, "successful", successful),
        until(remote, "successful", successful)
    )?;
    say("successful");
    eprintln!("{}", serde_json::to_string_pretty(&a)?);
    eprintln!("{}", b.data["status"]);
    let config = kubeconfig(remote).await?;
    kiali(home, "/healthz", |status, _| status == 200).await?;
    say("kiali serves");
    remotes(home, json!({"cluster2": config})).await?;
    let status = kiali(home, "/api/status", |_, v| {
        names(&v["externalServices"], "name").contains(&"Kubernetes-cluster2".into())
    })
    .await?;
    say("remote is seen");
    eprintln!("{status}");
    for path in [
        "/api",
        "/api/auth/info",
        "/api/config",
        "/api/namespaces",
        "/api/istio/status",
        "/api/mesh/controlplanes",
        "/api/namespaces/graph?namespaces=sample&duration=60s&injectServiceNodes=true&boxBy=cluster,namespace",
    ] {
        let begin = Instant::now();
        let body = kiali(home, path, |status, _| status != 0).await?;
        eprintln!("{path} {:?}\n{body}", begin.elapsed());
    }
    let pods: Api<Pod> = Api::namespaced(home.client(), "kiali");
    for pod in pods
        .list(&ListParams::default().labels("app.kubernetes.io/name=kiali"))
        .await?
    {
        let log = pods
            .logs(
                pod.metadata.name.as_deref().unwrap_or_default(),
                &Default::default(),
            )
            .await;
        eprintln!("{}", log.unwrap_or_else(|e| e.to_string()));
    }
    // A change during a run.
    let crs = kialis(home);
    let touch = |n: u32| {
        Patch::Merge(json!({"metadata": {"annotations": {"kiali.io/reconcile": n.to_string()}}}))
    };
    let before = crs.get("kiali").await?;
    for n in 0..3 {
        crs.patch("kiali", &PatchParams::default(), &touch(n))
            .await?;
        sleep(Duration::from_millis(30)).await;
    }
    until(home, "touched", |cr| {
        let completion =
            |cr: &DynamicObject| condition(cr, "Running")["ansibleResult"]["completion"].clone();
        successful(cr) && completion(cr) != completion(&before)
    })
    .await?;
    say("touched");
    // Failure and its end.
    cr(
        home,
        json!({"auth": {"strategy": "token"}, "login_token": {"signing_key": "short"}}),
    )
    .await?;
    let failed = until(home, "failed", |cr| {
        condition(cr, "Failure")["status"] == "True"
    })
    .await?;
    eprintln!("{}", failed.data["status"]["conditions"]);
    cr(home, home_spec).await?;
    until(home, "healed", |cr| {
        successful(cr) && condition(cr, "Failure")["status"] == "False"
    })
    .await?;
    say("healed");
    // Bad remote.
    remotes(
        home,
        json!({"cluster2": config.replace("token\":\"", "token\":\"x")}),
    )
    .await?;
    sleep(Duration::from_secs(2)).await;
    let pods: Api<Pod> = Api::namespaced(home.client(), "kiali");
    for pod in pods
        .list(&ListParams::default().labels("app.kubernetes.io/name=kiali"))
        .await?
    {
        eprintln!("{}", serde_json::to_string(&pod.status)?);
        let log = pods
            .logs(
                pod.metadata.name.as_deref().unwrap_or_default(),
                &Default::default(),
            )
            .await;
        eprintln!("{}", log.unwrap_or_else(|e| e.to_string()));
    }
    say("bad remote");
    tokio::try_join!(
        async { crs.delete("kiali", &DeleteParams::default()).await },
        async {
            kialis(remote)
                .delete("kiali", &DeleteParams::default())
                .await
        },
    )?;
    while crs.get_opt("kiali").await?.is_some() || kialis(remote).get_opt("kiali").await?.is_some()
    {
        sleep(Duration::from_millis(20)).await;
    }
    say("gone");
    sandbox.stop().await
}
