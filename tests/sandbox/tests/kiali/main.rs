//! Compares the stand-ins for the operator and Kiali with facts measured on the real ones. All parts share one sandbox
//! and build on each other in the order of an installation.

use std::time::{Duration, Instant};

use ambikiali_sandbox::{Cluster, Delays, Sandbox};
use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::{Value, json};
use tokio::time::sleep;

use operator::apply;

mod bad_remotes;
mod conditions;
mod leftovers;
mod operator;
mod proxy;
mod server;

/// Far longer than anything here takes. A wait that reaches it fails.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn as_measured() -> Result<()> {
    let begin = Instant::now();
    let say = |line: &str| eprintln!("{:6.1?} {line}", begin.elapsed());
    let sandbox = Sandbox::start(&["cluster1", "cluster2"], Delays::NONE, say).await?;
    let (home, remote) = (sandbox.cluster("cluster1"), sandbox.cluster("cluster2"));
    conditions::install(home, remote).await?;
    say("installed");
    server::sees_a_new_remote(home, remote).await?;
    say("remote seen");
    server::draws_the_edge(&sandbox).await?;
    say("graph");
    bad_remotes::away_and_back(home, remote).await?;
    say("remote away and back");
    bad_remotes::at_the_start(home, remote).await?;
    bad_remotes::without_rights(home, remote).await?;
    say("bad remotes");
    conditions::a_change_during_a_run(home).await?;
    conditions::failures(home).await?;
    say("failures");
    leftovers::a_removed_secret_stays_mounted(home).await?;
    leftovers::removal(home, remote).await?;
    say("removed");
    sandbox.stop().await
}

pub fn kialis(cluster: &Cluster) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("kiali.io", "v1alpha1", "Kiali");
    let kind = ApiResource::from_gvk_with_plural(&gvk, "kialis");
    Api::namespaced_with(cluster.client(), "kiali", &kind)
}

pub async fn cr(cluster: &Cluster, spec: Value) -> Result<()> {
    let metadata = json!({"name": "kiali", "namespace": "kiali"});
    let cr = json!({"apiVersion": "kiali.io/v1alpha1", "kind": "Kiali", "metadata": metadata, "spec": spec});
    apply(cluster, cr).await
}

pub fn home_spec() -> Value {
    json!({
        "auth": {"strategy": "anonymous"},
        "deployment": {"probes": {"startup": {"initial_delay_seconds": 1}}},
    })
}

/// Returns status and reason of a condition: `Running=True/Running` as `True/Running`.
pub fn condition(cr: &DynamicObject, kind: &str) -> String {
    let conditions = cr.data["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|c| c["type"] == kind);
    let text = |field: &str| found.and_then(|c| c[field].as_str()).unwrap_or("-");
    format!("{}/{}", text("status"), text("reason"))
}

pub async fn until(
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
        if begin.elapsed() > PATIENCE {
            bail!(
                "{}: not {what}: {:#?}",
                cluster.name(),
                cr.map(|cr| cr.data)
            );
        }
        sleep(Duration::from_millis(20)).await;
    }
}

pub async fn settled(cluster: &Cluster) -> Result<DynamicObject> {
    until(cluster, "successful", |cr| {
        condition(cr, "Successful") == "True/Successful"
            && condition(cr, "Running") == "True/Successful"
    })
    .await
}

pub async fn kiali_pods(cluster: &Cluster) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "kiali");
    let kialis = ListParams::default().labels("app.kubernetes.io/name=kiali");
    Ok(pods.list(&kialis).await?.items)
}

/// Sends a GET to each Kiali pod and returns the last answer.
pub async fn ask(cluster: &Cluster, path: &str, limit: Duration) -> Result<Option<(u16, Value)>> {
    let mut last = None;
    for pod in kiali_pods(cluster).await? {
        let Some(ip) = pod.status.and_then(|s| s.pod_ip) else {
            continue;
        };
        let url = format!("http://{ip}:20001/kiali{path}");
        let asked = reqwest::Client::new().get(&url).timeout(limit).send().await;
        let Ok(answer) = asked else { continue };
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        last = Some((status, serde_json::from_str(&text).unwrap_or(json!(text))));
    }
    Ok(last)
}

/// Repeats the request until the answer is as wanted.
pub async fn answers(
    cluster: &Cluster,
    path: &str,
    wanted: impl Fn(u16, &Value) -> bool,
) -> Result<Value> {
    let begin = Instant::now();
    loop {
        let answer = ask(cluster, path, Duration::from_secs(5)).await?;
        match answer {
            Some((status, body)) if wanted(status, &body) => return Ok(body),
            last if begin.elapsed() > PATIENCE => bail!("{path}: {last:?}"),
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
}

pub fn names(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|e| e[field].as_str().map(String::from))
        .collect()
}
