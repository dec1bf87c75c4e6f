//! A store of the user's own: a real VictoriaMetrics to which the real Prometheus of each cluster writes, and that Kiali's
//! stand-in queries.

mod findings;
mod https;
mod traps;

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::victoria_metrics::VictoriaMetrics;
use serde_json::{Value, json};

use crate::doctor::comes_first;
use crate::support::{
    BOTH, Clusters, Foreign, INSTALL, ambikiali, from_an_install, get, masked, rewritten, until,
    unwritten,
};

const GATEWAY: &str = "gateway.networking.k8s.io/v1";
const SECRET: &str = "store-login";
const PASSWORD: &str = "s3cret-of-the-store";

fn preset(store: &VictoriaMetrics) -> String {
    format!("victoriametrics={}", store.url())
}

/// What the federation has in a cluster.
async fn federation(cluster: &Cluster) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (api, kind, name) in [
        (GATEWAY, "Gateway", "istio-system/prometheus-gateway"),
        (GATEWAY, "HTTPRoute", "istio-system/prometheus"),
        ("v1", "Secret", "istio-system/prometheus-gateway-tls"),
        ("v1", "Service", "istio-system/prometheus-gateway-istio"),
        ("apps/v1", "Deployment", "kiali/prometheus"),
        ("v1", "ConfigMap", "kiali/prometheus-config"),
        ("v1", "Secret", "kiali/prometheus-tls"),
        ("v1", "Service", "kiali/prometheus"),
    ] {
        if get(cluster, api, kind, name).await.is_some() {
            found.push(name);
        }
    }
    found
}

/// What Kiali's CR says of its metrics.
async fn queried(clusters: &Clusters) -> Value {
    let cr = get(clusters.home(), "kiali.io/v1alpha1", "Kiali", "kiali/kiali").await;
    cr.expect("a CR")["spec"]["external_services"]["prometheus"].clone()
}

async fn with_secrets(clusters: &Clusters) -> Vec<Foreign<'_>> {
    let mut made = Vec::new();
    for (cluster, namespace) in [
        (clusters.home(), "kiali"),
        (clusters.home(), "istio-system"),
        (clusters.remote(), "istio-system"),
    ] {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": namespace},
            "stringData": {"username": "mesh", "password": PASSWORD},
        });
        made.push(Foreign::apply(cluster, &secret.to_string()).await);
    }
    made
}

/// The lines of `verify` or `status` about the store, with a letter for the age of samples.
fn about_store(stdout: &str) -> Vec<String> {
    let lines = stdout.lines().filter(|line| {
        ["remote write", "  store  ", "Store http"]
            .iter()
            .any(|word| line.contains(word))
    });
    let without_age = |line: &str| match line.split_once("has its samples, ") {
        Some((start, _)) => format!("{start}has its samples, N s old"),
        None => line.to_string(),
    };
    lines.map(without_age).collect()
}

#[test]
fn store_takes_the_place_of_the_federation_and_gives_it_back() {
    from_an_install(async |clusters| {
        let mut store = VictoriaMetrics::start(&clusters.sandbox, Some(("mesh", PASSWORD)))
            .await
            .expect("a store");
        let preset = preset(&store);
        let flags = ["--store", &preset, "--store-secret", SECRET];
        let before = clusters.install(&flags).await.exited(3);
        assert!(before.stderr.contains("AK1464"), "{before:#?}");
        let secrets = with_secrets(clusters).await;
        moves(clusters, &store, &flags).await;
        is_proven(clusters, &mut store).await;
        a_record_alone_sends_nothing_elsewhere(clusters, &preset).await;
        goes_back(clusters).await;
        // A cleanup of an install with a store leaves nothing either.
        let mut plain = store;
        plain.kill().await.expect("it ends");
        let plain = VictoriaMetrics::start(&clusters.sandbox, None)
            .await
            .expect("a store");
        clusters
            .install(&["--store", &self::preset(&plain)])
            .await
            .succeeded();
        // Kiali's Deployment mounts the Secret until it is gone: its operator never removes a volume.
        for secret in secrets {
            secret.removed().await;
        }
        clusters.cleaned().await;
    });
}

async fn moves(clusters: &Clusters, store: &VictoriaMetrics, flags: &[&str]) {
    let planned = clusters
        .run(&[&["plan"], &BOTH[..], flags].concat())
        .await
        .succeeded();
    let lines = planned
        .stdout
        .lines()
        .filter(|line| !line.starts_with("    "));
    let lines = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(masked(&lines), PLAN, "{planned:#?}");
    let said = clusters.install(flags).await.succeeded();
    assert!(said.stderr.contains("writes to http://"), "{said:#?}");
    for cluster in clusters.sandbox.clusters() {
        assert_eq!(federation(cluster).await, [""; 0], "{}", cluster.name());
    }
    let url = store.url();
    assert_eq!(
        queried(clusters).await,
        json!({
            "url": url,
            "thanos_proxy": {"enabled": true, "scrape_interval": "15s", "retention_period": "15d"},
            "auth": {
                "type": "basic", "username": "secret:store-login:username",
                "password": "secret:store-login:password",
            },
        })
    );
    until("the store has both clusters", async || {
        let by_cluster = store.query("count by (cluster) (istio_build)").await;
        let by_cluster = by_cluster.expect("an answer");
        let has = |name| {
            by_cluster
                .iter()
                .any(|(labels, _)| labels["cluster"] == name)
        };
        by_cluster.len() == 2 && has("cluster1") && has("cluster2")
    })
    .await;
    let marks = clusters.marks();
    clusters.install(&[]).await.succeeded();
    unwritten(&marks);
}

async fn is_proven(clusters: &Clusters, store: &mut VictoriaMetrics) {
    let url = store.url();
    let verified = clusters.run(&["verify"]).await.succeeded();
    assert_eq!(
        about_store(&verified.stdout),
        [
            format!("ok        remote write   cluster1      writes to {url}/api/v1/write"),
            format!("ok        remote write   cluster2      writes to {url}/api/v1/write"),
            format!("ok        store          cluster1      {url} answers Kiali"),
            "ok        store          cluster1      has its samples, N s old".into(),
            "ok        store          cluster2      has its samples, N s old".into(),
        ]
    );
    let flows = "\
from \\ to  cluster1  cluster2
cluster1   ok        ok
cluster2   ok        -
Verified in ";
    assert!(verified.stdout.contains(flows), "{verified:#?}");
    let shown = clusters.run(&["status"]).await.succeeded();
    assert_eq!(about_store(&shown.stdout).len(), 3, "{shown:#?}");
    let diagnosed = clusters.run(&["doctor"]).await.succeeded();
    assert!(
        diagnosed.stdout.contains("Nothing found in"),
        "{diagnosed:#?}"
    );
    store.kill().await.expect("it ends");
    // Both clusters lose it, and then Kiali.
    let cause = comes_first(clusters, "AK1462", Some("cluster1")).await;
    let seen = cause["message"].as_str().expect("a text");
    assert!(seen.contains("connection refused"), "{seen}");
    let broken = clusters
        .run(&["verify", "--probes", "none"])
        .await
        .exited(5);
    let told = about_store(&broken.stdout);
    assert_eq!(told.len(), 5, "{broken:#?}");
    for line in &told[..2] {
        assert!(
            line.starts_with("broken") && line.contains("[AK1462] does not write to"),
            "{line}"
        );
        assert!(line.contains("connection refused"), "{line}");
    }
    assert!(
        told[2].contains("[AK1463]") && told[2].contains("Kiali's query fails"),
        "{told:?}"
    );
    for line in &told[3..] {
        assert!(
            line.starts_with("skipped") && line.contains("connection refused"),
            "{line}"
        );
    }
    for text in [
        &broken.stdout,
        &broken.stderr,
        &verified.stdout,
        &shown.stdout,
    ] {
        assert!(!text.contains(PASSWORD));
    }
    store.again().await.expect("it starts");
    clusters
        .run(&["verify", "--probes", "none"])
        .await
        .succeeded();
}

async fn a_record_alone_sends_nothing_elsewhere(clusters: &Clusters, preset: &str) {
    rewritten(clusters.home(), |record| {
        let values = &mut record["options"]["values"];
        values["store"] = json!("victoriametrics=http://203.0.113.66:8428");
    })
    .await;
    let marks = clusters.marks();
    let refused = clusters.install(&[]).await.exited(3);
    assert!(refused.stderr.contains("AK1412"), "{refused:#?}");
    let named = "--store 'victoriametrics=http://203.0.113.66:8428'";
    assert!(
        refused.stderr.contains(named) || refused.stderr.contains(&named.replace('\'', "")),
        "{refused:#?}"
    );
    unwritten(&marks);
    clusters
        .install(&["--store", preset, "--store-secret", SECRET])
        .await
        .succeeded();
}

async fn goes_back(clusters: &Clusters) {
    clusters.install(&["--store", "none"]).await.succeeded();
    assert_eq!(federation(clusters.home()).await.len(), 8);
    assert_eq!(federation(clusters.remote()).await.len(), 4);
    assert_eq!(
        queried(clusters).await,
        json!({"url": "http://prometheus.kiali:9090"})
    );
    for cluster in clusters.sandbox.clusters() {
        let config = get(cluster, "v1", "ConfigMap", "istio-system/prometheus").await;
        let text = config.expect("a ConfigMap")["data"]["prometheus.yml"].to_string();
        assert!(!text.contains("remote_write"), "{text}");
    }
    let marks = clusters.marks();
    clusters.install(&[]).await.succeeded();
    unwritten(&marks);
    until("the federation has all clusters", async || {
        let verify = ["verify", "--probes", "none"];
        clusters.run(&verify).await.code == 0
    })
    .await;
}

#[tokio::test]
async fn store_options_are_refused_with_the_reason() {
    let none = std::path::Path::new("/dev/null");
    for (flags, reason) in [
        (
            &["--store", "influx=http://a"][..],
            "use mimir=URL,tenant=NAME, victoriametrics=URL[,cluster=ID]",
        ),
        (
            &["--store", "prometheus=http://user:pw@a"],
            "a URL of a store has no user, query, fragment or escape",
        ),
        (
            &["--store-header", "Authorization=x"],
            "put a secret into a Secret and name it with --store-secret",
        ),
        (
            &["--store-secret", "a:password"],
            "or NAME:token for one with a token",
        ),
    ] {
        let all = [&INSTALL[..], flags].concat();
        let said = ambikiali(&all, none, none).await.exited(2).stderr;
        assert!(said.contains(reason), "{said}");
    }
}

const PLAN: &str = "\
cluster1
  change   namespace           ConfigMap kiali/ambikiali-record
  hold     namespace           Lease kiali/ambikiali
  change   cluster prometheus  ConfigMap istio-system/prometheus
  change   cluster prometheus  Deployment istio-system/prometheus
  delete   expose prometheus   Gateway istio-system/prometheus-gateway
  delete   expose prometheus   HTTPRoute istio-system/prometheus
  delete   expose prometheus   Secret istio-system/prometheus-gateway-tls
  delete   aggregate metrics   ConfigMap kiali/prometheus-config
  delete   aggregate metrics   Deployment kiali/prometheus
  delete   aggregate metrics   Secret kiali/prometheus-tls
  delete   aggregate metrics   Service kiali/prometheus
  change   kiali               Kiali kiali/kiali
cluster2
  change   namespace           ConfigMap kiali/ambikiali-record
  change   cluster prometheus  ConfigMap istio-system/prometheus
  change   cluster prometheus  Deployment istio-system/prometheus
  delete   expose prometheus   Gateway istio-system/prometheus-gateway
  delete   expose prometheus   HTTPRoute istio-system/prometheus
  delete   expose prometheus   Secret istio-system/prometheus-gateway-tls
Plan: 7 to change, 10 to delete, 24 unchanged; nothing was written
";
