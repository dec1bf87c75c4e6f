//! Metric profiles: each brings the series of Kiali's graph exactly as the Prometheus of each cluster has them, and an
//! install moves from one to another.

use std::cell::RefCell;
use std::collections::BTreeSet;

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::standin::service;
use serde_json::{Value, json};

use crate::support::tls_client::page;
use crate::support::{BOTH, Clusters, from_an_install, get, until, unwritten};

const GUIDE: &str = r#"{job="kubernetes-pods"}"#;
/// The bytes of the sample's traffic, as the selector of a query and of `/federate`.
const BYTES: &str = r#"{__name__=~"istio_tcp_(received|sent)_bytes_total"}"#;
const GRAPH: &str = "/kiali/api/namespaces/graph?namespaces=sample&duration=60s&graphType=workload&injectServiceNodes=true&ambientTraffic=total";
/// Labels of pods that home drops.
const DROPPED: [&str; 2] = ["helm_sh_chart", "pod_template_generation"];

#[test]
fn each_profile_brings_the_same_graph_and_an_install_moves_between_them() {
    from_an_install(async |clusters| {
        let core = edges(clusters).await;
        assert_eq!(
            config(clusters.home()).await["global"]["scrape_interval"],
            "15s"
        );
        pulled(clusters, true).await;

        a_smaller_one_is_planned_and_installed(clusters).await;
        assert_eq!(edges(clusters).await, core);
        pulled(clusters, true).await;

        the_guides_is_slower_on_request(clusters).await;
        assert_eq!(edges(clusters).await, core);
        pulled(clusters, false).await;

        the_way_back_is_default(clusters).await;
        clusters.cleaned().await;
    });
}

async fn config(cluster: &Cluster) -> Value {
    let name = match cluster.name() {
        "cluster1" => "kiali/prometheus-config",
        _ => "istio-system/prometheus",
    };
    let map = get(cluster, "v1", "ConfigMap", name).await;
    let map = map.expect("a ConfigMap");
    let text = map["data"]["prometheus.yml"].as_str().expect("text");
    serde_yaml::from_str(text).expect("YAML")
}

fn selectors(config: &Value) -> Vec<&str> {
    let all = config["scrape_configs"][1]["params"]["match[]"].as_array();
    let all = all.expect("selectors").iter();
    all.map(|one| one.as_str().expect("text")).collect()
}

async fn a_smaller_one_is_planned_and_installed(clusters: &Clusters) {
    let lean = ["--metrics", "lean"];
    let planned = [&["plan"], &BOTH[..], &lean].concat();
    let planned = clusters.run(&planned).await.succeeded();
    let said = "option changed since the last install: --metrics core -> lean\n";
    assert!(planned.stderr.contains(said), "{planned:#?}");
    let changes = planned.stdout.lines().filter(|l| l.contains("  change  "));
    let changes = changes.map(|line| line.trim_start().to_string());
    assert_eq!(
        changes.collect::<Vec<_>>(),
        [
            "change   namespace           ConfigMap kiali/ambikiali-record",
            "change   aggregate metrics   ConfigMap kiali/prometheus-config",
            "change   aggregate metrics   Deployment kiali/prometheus",
        ]
    );
    let before = config(clusters.home()).await;
    assert_eq!(selectors(&before).len(), 5, "{before:#}");
    clusters.install(&lean).await.succeeded();
    let after = config(clusters.home()).await;
    let kept = selectors(&after);
    assert_eq!(kept, selectors(&before)[..4]);
    assert!(kept.iter().all(|s| !s.contains("_bucket")), "{kept:?}");
}

async fn the_guides_is_slower_on_request(clusters: &Clusters) {
    let flags = ["--metrics", "guide", "--scrape-interval", "1m"];
    clusters.install(&flags).await.succeeded();
    let home = config(clusters.home()).await;
    assert_eq!(selectors(&home), [GUIDE]);
    for cluster in clusters.sandbox.clusters() {
        let global = &config(cluster).await["global"];
        assert_eq!(global["scrape_interval"], "60s", "{global:#}");
        assert_eq!(global["scrape_timeout"], "48s", "{global:#}");
    }
    let server = get(
        clusters.remote(),
        "apps/v1",
        "Deployment",
        "istio-system/prometheus",
    );
    let server = server.await.expect("a Deployment");
    let args = &server["spec"]["template"]["spec"]["containers"][0]["args"];
    let idle = json!("--web.read-timeout=25s");
    assert!(args.as_array().expect("arguments").contains(&idle));
    let marks = clusters.marks();
    let again = clusters.install(&[]).await.succeeded();
    unwritten(&marks);
    let said = "using the options of the last install: --metrics guide --scrape-interval 60s\n";
    assert!(again.stderr.contains(said), "{again:#?}");
}

async fn the_way_back_is_default(clusters: &Clusters) {
    let back = ["--metrics", "default", "--scrape-interval", "default"];
    let ended = clusters.install(&back).await.succeeded();
    for said in [
        "--metrics guide -> core\n",
        "--scrape-interval 60s -> 15s\n",
    ] {
        let said = format!("option changed since the last install: {said}");
        assert!(ended.stderr.contains(&said), "{ended:#?}");
    }
    let global = &config(clusters.remote()).await["global"];
    assert_eq!(global["scrape_interval"], "15s");
    assert_eq!(selectors(&config(clusters.home()).await).len(), 5);
}

async fn asked(clusters: &Clusters, (host, port): (&str, u16), path: &str) -> Value {
    let client = clusters.home().client();
    let at = service::resolve(&client, host, port).await.expect("a pod");
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.expect("a client");
    let answer = client.get(format!("http://{at}{path}")).send().await;
    let text = answer.expect("an answer").text().await.expect("text");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The edges of Kiali's graph: from curl to the Service in each cluster, and from there to its version.
async fn edges(clusters: &Clusters) -> BTreeSet<String> {
    clusters.run(&["verify"]).await.succeeded();
    let seen = RefCell::new(BTreeSet::new());
    until("Kiali's graph has all edges", async || {
        // A rate needs counters that grow from one scrape to the next.
        for _ in 0..10 {
            let traffic = &clusters.sandbox.world().traffic;
            traffic.request("cluster1").await.expect("an answer");
        }
        let graph = asked(clusters, ("kiali.kiali", 20001), GRAPH).await;
        let edges = graph["elements"]["edges"].as_array().expect("edges");
        let edge = |edge: &Value| format!("{} {}", edge["data"]["source"], edge["data"]["target"]);
        seen.replace(edges.iter().map(edge).collect());
        seen.borrow().len() == 4
    })
    .await;
    seen.into_inner()
}

/// The cluster, name, pod and reporter of a series, both ends, and its value.
fn series(label: impl Fn(&str) -> String, value: &str) -> String {
    let value = value.parse::<f64>().expect("a number");
    let labels = ["cluster", "__name__", "pod", "reporter", "source_workload"];
    let ends = [
        "source_cluster",
        "destination_workload",
        "destination_cluster",
    ];
    let labels = labels.into_iter().chain(ends).map(label);
    format!("{} {value}", labels.collect::<Vec<_>>().join(" "))
}

/// Waits until home has each series with the value that it has in its cluster. Nobody sends traffic now.
async fn pulled(clusters: &Clusters, drops: bool) {
    until("home has the series of each cluster", async || {
        let mut there = BTreeSet::new();
        for cluster in clusters.sandbox.clusters() {
            let path = format!("/federate?match[]={}", encoded(BYTES));
            let page = page(cluster, clusters.home(), &path).await;
            for line in page.lines().filter(|line| !line.starts_with('#')) {
                let (name, rest) = line.split_once('{').expect("labels");
                let (labels, values) = rest.rsplit_once("} ").expect("a value");
                let label = |wanted: &str| match wanted {
                    "cluster" => cluster.name().to_string(),
                    "__name__" => name.to_string(),
                    _ => labels
                        .split("\",")
                        .filter_map(|one| one.split_once("=\""))
                        .find(|(label, _)| *label == wanted)
                        .map(|(_, value)| value.trim_end_matches('"').to_string())
                        .unwrap_or_default(),
                };
                there.insert(series(label, values.split(' ').next().expect("a value")));
            }
        }
        let query = format!("/api/v1/query?query={}", encoded(BYTES));
        let answer = asked(clusters, ("prometheus.kiali", 9090), &query).await;
        let found = answer["data"]["result"].as_array().expect("series");
        let of_pods = |s: &&Value| {
            DROPPED
                .iter()
                .any(|label| s["metric"].get(*label).is_some())
        };
        assert_eq!(found.iter().any(|s| of_pods(&s)), !drops, "{found:#?}");
        let here = found.iter().map(|one| {
            let label = |name: &str| one["metric"][name].as_str().unwrap_or_default().to_string();
            series(label, one["value"][1].as_str().expect("a value"))
        });
        !there.is_empty() && here.collect::<BTreeSet<_>>() == there
    })
    .await;
}

fn encoded(selector: &str) -> String {
    form_urlencoded::byte_serialize(selector.as_bytes()).collect()
}
