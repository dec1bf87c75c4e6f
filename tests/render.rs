//! The files of `render` give the same objects as an install.

mod same;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use self::same::same;
use crate::support::{Clusters, Foreign, from_an_install, get, patch_status, until, unwritten};

#[test]
fn rendered_files_make_the_same_objects_with_the_same_fields_and_an_install_fills_what_lacks() {
    from_an_install(async |clusters| {
        let targets = targets(clusters).await;
        let installed = [made(clusters.home()).await, made(clusters.remote()).await];
        clusters.cleaned().await;

        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().display().to_string();
        let names = [
            "render", "--home", "cluster1", "--remote", "cluster2", "--out", &out,
        ];
        clusters
            .run(&[&names[..], &targets.flags()].concat())
            .await
            .succeeded();
        let home = applied(clusters.home(), &folder.path().join("cluster1")).await;
        let remote = applied(clusters.remote(), &folder.path().join("cluster2")).await;
        same(clusters.home(), &installed[0], &home).await;
        same(clusters.remote(), &installed[1], &remote).await;

        the_install_on_top_fills_the_secret(clusters, &targets).await;
        clusters.cleaned().await;
        home.removed().await;
        remote.removed().await;
        garbage_of_the_gateway_is_gone(clusters).await;
    });
}

struct Targets(BTreeMap<String, String>, Vec<String>);

impl Targets {
    fn flags(&self) -> Vec<&str> {
        self.1
            .iter()
            .flat_map(|target| ["--target", target.as_str()])
            .collect()
    }
}

/// Returns the scrape targets of the federating Prometheus.
async fn targets(clusters: &Clusters) -> Targets {
    let map = get(
        clusters.home(),
        "v1",
        "ConfigMap",
        "kiali/prometheus-config",
    )
    .await;
    let map = map.expect("a configuration");
    let text = map["data"]["prometheus.yml"].as_str().expect("text");
    let config: Value = serde_yaml::from_str(text).expect("YAML");
    let jobs = config["scrape_configs"].as_array().expect("jobs").iter();
    let target = |job: &Value| {
        let one = &job["static_configs"][0];
        let text = |value: &Value| value.as_str().expect("text").to_string();
        (text(&one["labels"]["cluster"]), text(&one["targets"][0]))
    };
    let all = jobs
        .filter(|job| job["metrics_path"] == "/federate")
        .map(target);
    let all = all.collect::<BTreeMap<_, _>>();
    let flags = all
        .iter()
        .map(|(name, address)| format!("{name}={address}"));
    let flags = flags.collect();
    Targets(all, flags)
}

/// Returns every live object that the record names.
async fn made(cluster: &Cluster) -> BTreeMap<String, Value> {
    let record = get(cluster, "v1", "ConfigMap", "kiali/ambikiali-record").await;
    let record = record.expect("a record");
    let text = record["data"]["record.json"].as_str().expect("a record");
    let record: Value = serde_json::from_str(text).expect("JSON");
    let mut made = BTreeMap::new();
    for object in record["objects"].as_array().expect("objects") {
        let live = live(cluster, object).await;
        made.insert(name(&live), live);
    }
    made
}

async fn live(cluster: &Cluster, object: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let meta = if object["metadata"].is_object() {
        &object["metadata"]
    } else {
        object
    };
    let path = match meta["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", text(&meta["name"])),
        None => text(&meta["name"]),
    };
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let live = get(cluster, &api_version, &kind, &path).await;
    live.unwrap_or_else(|| panic!("no {kind} {path}"))
}

fn name(object: &Value) -> String {
    let meta = &object["metadata"];
    format!("{} {} {}", object["kind"], meta["namespace"], meta["name"])
}

/// Applies each file like `kubectl apply --server-side -f FOLDER`. Waits until a new CRD is established.
async fn applied<'a>(cluster: &'a Cluster, folder: &Path) -> Foreign<'a> {
    let mut files = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect::<Vec<_>>();
    files.sort();
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let objects = texts
        .map(|text| serde_yaml::from_str(&text).expect("YAML"))
        .collect();
    Foreign::made(cluster, objects, "kubectl").await
}

/// Makes the load balancer assign the rendered address to each Gateway.
async fn given(clusters: &Clusters, targets: &Targets) {
    let service = "istio-system/prometheus-gateway-istio";
    for cluster in [clusters.home(), clusters.remote()] {
        until("the Gateway has its Service", async || {
            let live = get(cluster, "v1", "Service", service).await;
            live.is_some_and(|s| !s["status"]["loadBalancer"]["ingress"].is_null())
        })
        .await;
        let ip = targets.0[cluster.name()].split(':').next();
        let status = json!({"loadBalancer": {"ingress": [{"ip": ip}]}});
        patch_status(cluster, "v1", "Service", service, &status).await;
        until("the Gateway shows it", async || {
            let (api, name) = (
                "gateway.networking.k8s.io/v1",
                "istio-system/prometheus-gateway",
            );
            let gateway = get(cluster, api, "Gateway", name).await;
            gateway.is_some_and(|g| json!(ip) == g["status"]["addresses"][0]["value"])
        })
        .await;
    }
}

async fn the_install_on_top_fills_the_secret(clusters: &Clusters, targets: &Targets) {
    given(clusters, targets).await;
    let marks = clusters.marks();
    let ended = clusters.install(&[]).await.succeeded();
    assert!(
        ended.stdout.contains("sees cluster1, cluster2"),
        "{ended:#?}"
    );
    let written = marks.map(|mark| {
        let writes = mark
            .requests()
            .unwrap()
            .by_agent("ambikiali")
            .writes()
            .but_leases();
        writes
            .iter()
            .map(|request| request.name.clone())
            .collect::<BTreeSet<_>>()
    });
    let set = |names: &[&str]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        written[0],
        set(&[
            "ambikiali-record",
            "kiali-multi-cluster-secret",
            "prometheus-gateway-tls",
            "prometheus-tls",
        ])
    );
    assert_eq!(
        written[1],
        set(&["ambikiali-record", "prometheus-gateway-tls"])
    );
    let marks = clusters.marks();
    clusters.installed().await;
    unwritten(&marks);
}

/// Waits for the garbage collector to delete the Gateway's dependents.
async fn garbage_of_the_gateway_is_gone(clusters: &Clusters) {
    for cluster in [clusters.home(), clusters.remote()] {
        let service = "istio-system/prometheus-gateway-istio";
        until("the Gateway's Service is gone", async || {
            get(cluster, "v1", "Service", service).await.is_none()
        })
        .await;
    }
}
