//! `doctor` finds each cause of an empty or wrong graph, made on real control planes and a real Prometheus, and puts it
//! first. It finds nothing in a healthy install.

mod federation;
mod kiali;
mod mesh;
mod path;
mod report;
mod scrape;
mod traffic;
mod workloads;
mod ztunnel;

use std::time::{Duration, Instant};

use ambikiali_sandbox::standin::sample::Traffic;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::output::schema;
use crate::support::{Clusters, Ended, masked, on_an_install, scale, until, unwritten};

/// The shortest window with a rate: four scrapes, as configured.
const DOCTOR: [&str; 3] = ["doctor", "--since", "1m"];
const HEALTHY: &str = "Nothing found in TIME; ruled out: 44 of 44\n";

/// Requests from home, as long as this exists.
struct Requests(JoinHandle<()>);

impl Requests {
    fn start(clusters: &Clusters) -> Requests {
        let traffic = clusters.sandbox.world().traffic.clone();
        Requests(tokio::spawn(Requests::send(traffic)))
    }

    async fn send(traffic: Traffic) {
        loop {
            // Some tests make them fail.
            let _ = traffic.request("cluster1").await;
            sleep(Duration::from_millis(300)).await;
        }
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub async fn doctor(clusters: &Clusters, more: &[&str]) -> Ended {
    clusters.run(&[&DOCTOR[..], more].concat()).await
}

/// Waits until nothing is found. What an earlier test broke stays in the window for a while.
async fn healthy(clusters: &Clusters) -> Requests {
    let requests = Requests::start(clusters);
    until("nothing is found", async || {
        doctor(clusters, &[]).await.code == 0
    })
    .await;
    requests
}

/// The code and the cluster of each cause.
pub fn causes(document: &Value) -> Vec<(String, Option<String>)> {
    let causes = document["causes"].as_array().expect("causes");
    let text = |value: &Value| value.as_str().map(String::from);
    let cause = |one: &Value| (text(&one["code"]).expect("a code"), text(&one["cluster"]));
    causes.iter().map(cause).collect()
}

/// What was seen of a cause.
fn message(cause: &Value) -> &str {
    cause["message"].as_str().expect("a text")
}

async fn is_not_told(clusters: &Clusters, code: &str) {
    let ended = doctor(clusters, &["-o", "json"]).await;
    let document = schema::read("json", &ended).document.expect("a document");
    let all = causes(&document);
    assert!(all.iter().all(|(told, _)| told != code), "{all:?}");
}

/// Waits until a cause comes first, and returns it. It takes some scrapes until the metrics show it.
pub async fn comes_first(clusters: &Clusters, code: &str, cluster: Option<&str>) -> Value {
    comes_first_by(code, cluster, async || {
        doctor(clusters, &["-o", "json"]).await
    })
    .await
}

async fn comes_first_by(
    code: &str,
    cluster: Option<&str>,
    mut ask: impl AsyncFnMut() -> Ended,
) -> Value {
    let (begin, mut found) = (Instant::now(), Value::Null);
    let mut before = Vec::new();
    until(&format!("{code} comes first"), async || {
        let asked = Instant::now();
        let ended = ask().await;
        let took = asked.elapsed();
        let document = schema::read("json", &ended).document.expect("a document");
        let first = causes(&document).into_iter().next();
        let expected = (code.to_string(), cluster.map(String::from));
        if first.as_ref() != Some(&expected) {
            let after = begin.elapsed();
            let seen = causes(&document);
            if seen != before {
                eprintln!("{code}: not yet after {after:.1?}: {seen:?}");
                before = seen;
            }
            return false;
        }
        assert_eq!(ended.code, 5);
        let (after, others) = (begin.elapsed(), causes(&document).len() - 1);
        eprintln!(
            "{code}: first, {others} after it, doctor took {took:.1?}, seen after {after:.1?}"
        );
        found = document["causes"][0].clone();
        true
    })
    .await;
    found
}

#[test]
fn nothing_is_found_in_a_healthy_install_and_nothing_is_written() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let marks = clusters.marks();
        for run in 0..20 {
            let ended = doctor(clusters, &[]).await.succeeded();
            assert_eq!(masked(&ended.stdout), HEALTHY, "run {run}");
        }
        let narrowed = ["--traffic-namespace", "sample", "--service", "helloworld"];
        let ended = doctor(clusters, &narrowed).await.succeeded();
        assert_eq!(masked(&ended.stdout), HEALTHY);
        let other = ["--traffic-namespace", "sample", "--service", "other"];
        let other = doctor(clusters, &other).await.exited(5);
        let said = "no counter of traffic to Service sample/other grew in the last 1m";
        assert!(other.stdout.contains(said), "{other:#?}");
        unwritten(&marks);
    });
}

#[test]
fn two_causes_at_once_are_both_among_the_first_three() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        scale(clusters.remote(), "istio-system/prometheus", 0).await;
        mesh::labelled(clusters.remote(), Value::Null).await;
        let both = ["AK1501", "AK1511"].map(|code| (code.to_string(), Some("cluster2".into())));
        until("both are found", async || {
            let ended = doctor(clusters, &["-o", "json"]).await;
            let document = schema::read("json", &ended).document.expect("a document");
            let causes = causes(&document);
            let first = causes.get(..3).unwrap_or(&causes);
            both.iter().all(|one| first.contains(one))
        })
        .await;
        mesh::labelled(clusters.remote(), "ambient".into()).await;
        scale(clusters.remote(), "istio-system/prometheus", 1).await;
        healthy(clusters).await;
    });
}
