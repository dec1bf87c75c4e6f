//! A user's own Prometheus must be scraped successfully.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use tokio::process::{Child, Command};

use crate::support::{Clusters, masked, on_two_clusters};

#[test]
fn fault_56_a_prometheus_that_is_not_there_is_no_success_and_one_that_is_verifies() {
    on_two_clusters(async |clusters| {
        // The user's one has no certificate.
        let nothing = ["--prometheus2", "127.0.0.1:1", "--exposure", "http"];
        let ended = clusters.install(&nothing).await.exited(4);
        assert_eq!(
            ended.error(),
            "\
aggregate metrics: cluster2: its Prometheus is not scraped: http://127.0.0.1:1/federate is down: dial tcp 127.0.0.1:1: connect: connection refused
  fix: name the address at which the pods of home reach it: --prometheusN HOST:PORT
"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let (_theirs, address) = theirs(clusters, folder.path()).await;
        let ended = clusters.install(&["--prometheus2", &address]).await;
        ended.succeeded();
        let verified = clusters.run(&["verify"]).await.succeeded();
        let shown = masked(&verified.stdout);
        let skipped =
            "skipped   exposure       cluster2      its Prometheus is not managed by ambikiali\n";
        assert!(shown.contains(skipped), "{shown}");
        assert!(shown.ends_with("1 skipped, 9 ok; flows: 3 ok\n"), "{shown}");
        clusters.cleaned().await;
    });
}

/// Starts a Prometheus that scrapes the ztunnel of the remote, and returns its address.
async fn theirs(clusters: &Clusters, folder: &Path) -> (Child, String) {
    let remote = clusters.remote();
    let pods = Api::<Pod>::namespaced(remote.client(), "istio-system");
    let ztunnels = ListParams::default().labels("app=ztunnel");
    let pods = pods.list(&ztunnels).await.expect("pods").items;
    let ip = pods[0].status.as_ref().and_then(|s| s.pod_ip.as_ref());
    let ztunnel = ip.expect("an address");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = free.expect("a free port").to_string();
    let config = folder.join("prometheus.yml");
    let scrapes = format!(
        "global: {{scrape_interval: 5s}}\nscrape_configs:\n- job_name: mesh\n  \
         static_configs: [{{targets: ['{ztunnel}:15020'], labels: {{app: ztunnel, namespace: istio-system}}}}]\n"
    );
    fs::write(&config, scrapes).expect("a file");
    let program = remote.command(&clusters.sandbox.tools().prometheus);
    let server = Command::from(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    (server.expect("Prometheus starts"), address)
}
