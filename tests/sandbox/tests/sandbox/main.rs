//! Tests of the sandbox itself: the clusters are real, listen only on loopback, can be observed by audit log and
//! snapshots, and leave nothing.

mod gateway;
mod owner;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ambikiali_sandbox::audit::Mark;
use ambikiali_sandbox::run::MARK;
use ambikiali_sandbox::snapshot::Snapshot;
use ambikiali_sandbox::{Cluster, Delays, Sandbox};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{from_value, json};

/// Returns the process IDs whose environment marks them as part of the run in this folder.
fn processes(folder: &Path) -> Vec<String> {
    let wanted = format!("{MARK}={}", folder.display());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let marked = entries.filter(|entry| {
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        environ
            .split(|byte| *byte == 0)
            .any(|var| var == wanted.as_bytes())
    });
    marked
        .map(|entry| entry.file_name().to_string_lossy().into())
        .collect()
}

/// Returns the local addresses on which a process listens, in the hexadecimal form of /proc/net.
fn listening(pid: &str) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let sockets: Vec<String> = links
        .filter_map(|link| {
            Some(
                fs::read_link(link.path())
                    .ok()?
                    .to_string_lossy()
                    .into_owned(),
            )
        })
        .filter_map(|link| {
            Some(
                link.strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_string(),
            )
        })
        .collect();
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/net/{table}")));
    let tables: String = tables.into_iter().flatten().collect();
    let fields = tables
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields
        .filter(|fields| fields.len() > 9 && fields[3] == "0A")
        .filter(|fields| sockets.iter().any(|socket| socket == fields[9]))
        .map(|fields| fields[1].to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_are_real_and_leave_nothing() -> Result<()> {
    let sandbox = Sandbox::start(&["cluster1", "cluster2"], Delays::NONE, |line| {
        println!("{line}");
    })
    .await?;
    let folder = sandbox.folder().to_path_buf();
    let running = processes(&folder);
    // Five programs and istiod in each cluster.
    ensure!(running.len() >= 12, "only {} processes", running.len());
    for pid in &running {
        for address in listening(pid) {
            // The address has its last byte first.
            let loopback = address.get(6..8) == Some("7F");
            ensure!(loopback, "process {pid} listens on {address}");
        }
    }
    let cluster = sandbox.cluster("cluster2");
    the_api_server_judges(cluster).await?;
    the_log_and_the_snapshots_show_a_write(cluster).await?;
    the_api_server_hangs_dies_and_comes_back(cluster).await?;
    an_istiod_that_is_restarted_writes_to_new_namespaces(cluster).await?;
    gateway::is_an_envoy(cluster, &folder).await?;

    sandbox.stop().await?;
    ensure!(processes(&folder).is_empty(), "processes are left");
    ensure!(!folder.exists(), "{} is left", folder.display());
    ensure!(!folder.with_extension("lock").exists(), "the lock is left");
    Ok(())
}

/// Checks that admission and RBAC work as in a real cluster.
async fn the_api_server_judges(cluster: &Cluster) -> Result<()> {
    let token = cluster.token("default", "default").await?;
    let pods: Api<Pod> = Api::all(cluster.client_with_token(&token)?);
    let refused = pods.list(&Default::default()).await;
    let message = refused
        .err()
        .context("an account without rights may list pods")?
        .to_string();
    ensure!(
        message.contains("system:serviceaccount:default:default"),
        "{message}"
    );
    let wrong = cluster
        .client_with_token("wrong")?
        .apiserver_version()
        .await;
    ensure!(wrong.is_err(), "a wrong token is accepted");
    Ok(())
}

async fn the_log_and_the_snapshots_show_a_write(cluster: &Cluster) -> Result<()> {
    let before = Snapshot::settled(cluster).await?;
    let mark = Mark::now(cluster)?;
    let begin = Instant::now();
    let again = Snapshot::take(cluster).await?;
    println!("a snapshot took {:.1?}", begin.elapsed());
    assert_eq!(before.diff(&again), [""; 0]);
    let requests = mark.requests()?.by_agent("sandbox");
    ensure!(
        requests.len() > 20 && requests.writes().is_empty(),
        "{requests:?}"
    );

    let mark = Mark::now(cluster)?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "sample");
    let mut map: ConfigMap = from_value(json!({"metadata": {"name": "x"}, "data": {"a": "1"}}))?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    maps.create(&dry, &map).await?;
    maps.create(&PostParams::default(), &map).await?;
    let writes = mark.requests()?.by_agent("sandbox");
    let writes = writes
        .iter()
        .filter(|r| r.resource == "configmaps" && r.name == "x");
    let dry: Vec<_> = writes
        .map(|request| (request.dry_run, request.code))
        .collect();
    assert_eq!(dry, [(true, 201), (false, 201)]);

    let with = Snapshot::take(cluster).await?;
    assert_eq!(before.diff(&with), ["+ ConfigMap sample/x"]);
    map.data
        .get_or_insert_default()
        .insert("a".into(), "2".into());
    maps.replace("x", &PostParams::default(), &map).await?;
    let changed = Snapshot::take(cluster).await?;
    assert_eq!(with.diff(&changed), ["~ ConfigMap sample/x data.a"]);
    maps.delete("x", &DeleteParams::default()).await?;
    maps.create(&PostParams::default(), &map).await?;
    let new = Snapshot::take(cluster).await?;
    assert_eq!(changed.diff(&new), ["~ ConfigMap sample/x is a new one"]);
    maps.delete("x", &DeleteParams::default()).await?;
    assert_eq!(before.diff(&Snapshot::settled(cluster).await?), [""; 0]);
    Ok(())
}

async fn the_api_server_hangs_dies_and_comes_back(cluster: &Cluster) -> Result<()> {
    let ask = || async { cluster.client().apiserver_version().await };
    cluster.pause_api_server()?;
    let hangs = tokio::time::timeout(Duration::from_secs(1), ask()).await;
    ensure!(hangs.is_err(), "a paused API server answers");
    cluster.resume_api_server()?;
    ask().await?;
    cluster.kill_api_server()?;
    ensure!(ask().await.is_err(), "a killed API server answers");
    cluster.restart_api_server().await?;
    ask().await?;
    Ok(())
}

async fn an_istiod_that_is_restarted_writes_to_new_namespaces(cluster: &Cluster) -> Result<()> {
    let file = cluster.dir().join("istiod/istiod.pid");
    let before = fs::read_to_string(&file)?;
    cluster.restart_istiod().await?;
    ensure!(fs::read_to_string(&file)? != before, "it is the same one");
    let new = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}});
    let namespaces = Api::<Namespace>::all(cluster.client());
    let new = from_value(new)?;
    namespaces.create(&PostParams::default(), &new).await?;
    let maps = Api::<ConfigMap>::namespaced(cluster.client(), "new");
    let deadline = Instant::now() + Duration::from_secs(60);
    while maps.get_opt("istio-ca-root-cert").await?.is_none() {
        ensure!(Instant::now() < deadline, "istiod writes no ConfigMap");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
