//! What a store does to samples after it has answered, or while it refuses them: with a real VictoriaMetrics, and with a
//! real Prometheus that receives.

use std::time::{Duration, SystemTime};

use ambikiali_sandbox::receiver::Receiver;
use ambikiali_sandbox::victoria_metrics::{Start, VictoriaMetrics};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch};
use serde_json::json;

use super::{about_store, preset};
use crate::doctor::comes_first;
use crate::support::web_server::WebServer;
use crate::support::{BOTH, Clusters, Ended, from_an_install, until};

const BUILD: &str = "istio_build{component=\"ztunnel\",cluster=\"cluster2\"}";

/// Looks without traffic, and not for long at what will not come.
async fn looked(clusters: &Clusters) -> Ended {
    let verify = ["verify", "--probes", "none", "--timeout", "25s"];
    clusters.run(&verify).await
}

#[test]
fn store_that_drops_series_or_has_two_writers_is_found_out() {
    from_an_install(async |clusters| {
        let start = async |start| {
            let started = VictoriaMetrics::start_with(&clusters.sandbox, start).await;
            started.expect("a store")
        };
        has_many_labels(clusters).await;
        let store = start(Start::default()).await;
        is_of_another_engine(clusters, &store).await;
        has_another_health(clusters, &store).await;
        is_written_twice(clusters, &store).await;
        drop(store);
        let limited = start(Start {
            flags: &["-maxLabelsPerTimeseries=15"],
            ..Start::default()
        });
        let store = limited.await;
        drops_series(clusters).await;
        drop(store);
        let locked = start(Start {
            auth: Some(("mesh", "s3cret")),
            ..Start::default()
        });
        let _store = locked.await;
        refuses_credentials(clusters).await;
        clusters.cleaned().await;
    });
}

/// The labels of a pod become those of its series.
async fn has_many_labels(clusters: &Clusters) {
    let pods = Api::<Pod>::namespaced(clusters.remote().client(), "istio-system");
    let ztunnels = ListParams::default().labels("app=ztunnel");
    // An earlier test may have replaced the pods, and one of before may still be ending.
    let labelled = async |value: serde_json::Value| {
        let labels = (0..20).map(|n| (format!("label{n}"), value.clone()));
        let labels = labels.collect::<serde_json::Map<_, _>>();
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        for pod in pods.list(&ztunnels).await.expect("pods") {
            let name = pod.metadata.name.expect("a name");
            let patched = pods.patch(&name, &Default::default(), &patch).await;
            assert!(patched.is_ok() || pod.metadata.deletion_timestamp.is_some());
        }
    };
    let check = [&["check"], &BOTH[..], &["--metrics", "guide"]].concat();
    let check = [
        &check[..],
        &["--store", "mimir=https://m.example.com,tenant=a"],
    ]
    .concat();
    until("the labels are counted", async || {
        labelled(json!("x")).await;
        let said = clusters.run(&check).await.succeeded().stdout;
        // Home may have as many, with the traffic of an earlier test.
        said.lines().any(|line| {
            line.starts_with(
                "warning[AK1461]: cluster2: Deployment istio-system/prometheus: has series istio_",
            ) && line.contains("and the store takes 30 by default: it refuses it")
        })
    })
    .await;
    // Labels of pods are not sent otherwise.
    let lean = [&["check"], &BOTH[..], &check[check.len() - 2..]].concat();
    let said = clusters.run(&lean).await.succeeded().stdout;
    assert!(!said.contains("AK1461"), "{said}");
    labelled(serde_json::Value::Null).await;
}

async fn is_of_another_engine(clusters: &Clusters, store: &VictoriaMetrics) {
    let other = format!("prometheus={}", store.url());
    clusters
        .install(&["--store", &other, "--scrape-interval", "5s"])
        .await
        .succeeded();
    let verified = clusters.run(&["verify"]).await.succeeded();
    let line = format!(
        "ok        store          cluster1      [AK1467] {} answers Kiali, but it says version 2.24.0, which is that of VictoriaMetrics",
        store.url()
    );
    assert!(verified.stdout.contains(&line), "{verified:#?}");
    clusters
        .install(&["--store", &preset(store)])
        .await
        .succeeded();
}

async fn has_another_health(clusters: &Clusters, store: &VictoriaMetrics) {
    let health = format!("{}/nothing/here", store.url());
    let install = [&["install"], &BOTH[..], &["--timeout", "45s"]].concat();
    let install = [&install[..], &["--store-health-url", &health]].concat();
    // An install may run out of time before it comes to Kiali.
    until("Kiali does not start", async || {
        let said = clusters.run(&install).await.exited(4).stderr;
        said.contains("AK1463") && said.contains("Connecting to Prometheus")
    })
    .await;
    comes_first(clusters, "AK1463", Some("cluster1")).await;
    clusters
        .install(&["--store-health-url", "default"])
        .await
        .succeeded();
}

/// Another Prometheus writes the same ztunnel with a label of its own.
async fn is_written_twice(clusters: &Clusters, store: &VictoriaMetrics) {
    let found = store.query(BUILD).await.expect("an answer");
    let (labels, _) = found.first().expect("a series");
    let instance = labels["instance"].as_str().expect("an instance");
    let label = format!(",instance=\"{instance}\",replica=\"b\"}} 1\n");
    store
        .import(&BUILD.replace('}', &label))
        .await
        .expect("it is taken");
    let line = format!(
        "broken    store          cluster2      [AK1469] several servers write its metrics: the store has more than one series at a time for ztunnel {instance}"
    );
    until("the second writer is seen", async || {
        let said = looked(clusters).await;
        said.code == 5 && said.stdout.contains(&line)
    })
    .await;
    comes_first(clusters, "AK1469", Some("cluster2")).await;
}

/// A store without the data of before, which answers 204 to series that it drops.
async fn drops_series(clusters: &Clusters) {
    let line = "broken    store          cluster1      [AK1461] the store lacks its traffic, which its Prometheus has: it drops series of more than 40 labels by default";
    until("the dropped series are missed", async || {
        let said = looked(clusters).await;
        said.code == 5 && said.stdout.contains(line)
    })
    .await;
    comes_first(clusters, "AK1461", Some("cluster1")).await;
}

async fn refuses_credentials(clusters: &Clusters) {
    let verify = ["verify", "--probes", "none", "--timeout", "60s"];
    let said = clusters.run(&verify).await.exited(5);
    let told = about_store(&said.stdout);
    let hint = "give the tenant with --store-header, or credentials with --store-secret";
    for line in &told[..2] {
        assert!(
            line.contains("[AK1462]") && line.contains("401"),
            "{said:#?}"
        );
        assert!(line.contains(hint), "{said:#?}");
    }
    assert!(
        told[2].contains("[AK1463]") && told[2].contains("401"),
        "{said:#?}"
    );
    assert!(
        told[3].starts_with("skipped") && told[3].contains("401"),
        "{said:#?}"
    );
}

#[test]
fn store_that_refuses_the_time_of_samples_is_found_out_and_remembered() {
    from_an_install(async |clusters| {
        let page = WebServer::start(plain("ahead 1\n")).await;
        let store = Receiver::start(&clusters.sandbox, page.address).await;
        let store = store.expect("a receiver");
        let engine = format!("prometheus={}", store.url());
        clusters
            .install(&["--store", &engine, "--scrape-interval", "5s"])
            .await
            .succeeded();
        let verified = looked(clusters).await.succeeded();
        let told = about_store(&verified.stdout);
        assert_eq!(told.len(), 5, "{verified:#?}");
        assert!(told.iter().all(|line| line.starts_with("ok")), "{told:#?}");

        // A server whose clock is nine minutes ahead writes one sample.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let ahead = now.expect("a time") + Duration::from_secs(540);
        page.answers(plain(&format!("ahead 1 {}\n", ahead.as_millis())));
        until("all that is of now is refused", async || {
            let said = looked(clusters).await;
            let told = about_store(&said.stdout);
            let refused = |line: &String| {
                line.starts_with("broken")
                    && line.contains("[AK1462] does not write to")
                    && line.contains("out of bounds")
                    && line.contains("compare the clocks")
            };
            said.code == 5 && told[..2].iter().all(refused)
        })
        .await;

        // The next store takes samples again, and what the first one refused stays known.
        page.answers(plain("ahead 1\n"));
        drop(store);
        let store = Receiver::start(&clusters.sandbox, page.address).await;
        let _store = store.expect("a receiver");
        until("samples are taken again", async || {
            looked(clusters).await.code == 0
        })
        .await;
        let verified = looked(clusters).await.succeeded();
        let told = about_store(&verified.stdout);
        for line in &told[..2] {
            assert!(line.starts_with("ok        remote write"), "{line}");
            assert!(
                line.contains("[AK1468]")
                    && line.contains("samples since this server started, which are lost"),
                "{line}"
            );
        }
        let shown = clusters.run(&["status"]).await.succeeded();
        let told = about_store(&shown.stdout);
        let refused = told
            .iter()
            .filter(|line| line.contains("ready") && line.contains("[AK1468] the store refused"));
        assert_eq!(refused.count(), 2, "{shown:#?}");
        comes_first(clusters, "AK1468", Some("cluster1")).await;
        clusters.cleaned().await;
    });
}

fn plain(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
