//! What the pod of the federating Prometheus has, for a change that is made without the options of the install.

use serde_json::{Value, json};

use crate::mesh::ClusterName;
use crate::own_prometheus;

const VOLUMES: &str = "/spec/template/spec/volumes";
const CONFIG: &str = "config-volume";
const STORAGE: &str = "storage";
/// What the options of an install decide and the removal of a remote does not.
const KEPT: [&str; 3] = [
    "/spec/template/spec/containers/0/image",
    "/spec/template/spec/containers/0/args",
    "/spec/template/spec/containers/0/resources/limits/memory",
];

/// The sources of the user in the volume with the configuration, without those for the clusters that leave.
pub fn sources(live: &Value, leaving: &[ClusterName]) -> Vec<Value> {
    let sources = volume(live, CONFIG).and_then(|volume| volume["projected"]["sources"].as_array());
    let is_kept = |source: &&Value| {
        let kinds = ["secret", "configMap"].map(|kind| source[kind]["items"].as_array());
        let items = kinds.into_iter().flatten().flatten();
        let paths = items.map(|item| item["path"].as_str().unwrap_or_default());
        let paths = paths.collect::<Vec<_>>();
        let of_left = |path: &&str| {
            leaving
                .iter()
                .any(|left| own_prometheus::is_file_of(left, path))
        };
        !paths.is_empty()
            && paths
                .iter()
                .all(|path| own_prometheus::is_file(path) && !of_left(path))
    };
    sources
        .into_iter()
        .flatten()
        .filter(is_kept)
        .cloned()
        .collect()
}

/// Gives the manifest what the Deployment that is there has.
pub fn keep(live: &Value, manifest: &mut Value) {
    for path in KEPT {
        if let (Some(wanted), Some(value)) = (manifest.pointer_mut(path), live.pointer(path)) {
            *wanted = value.clone();
        }
    }
    // As the manifest says it: what the API server adds to it stays the server's.
    if live.pointer("/spec/strategy/type") == Some(&json!("Recreate")) {
        manifest["spec"]["strategy"] = json!({"type": "Recreate", "rollingUpdate": null});
    }
    let wanted = manifest.pointer_mut(VOLUMES).and_then(Value::as_array_mut);
    let mut wanted = wanted.into_iter().flatten();
    let storage = wanted.find(|volume| volume["name"] == STORAGE);
    if let (Some(wanted), Some(value)) = (storage, volume(live, STORAGE)) {
        *wanted = value.clone();
    }
}

fn volume<'a>(deployment: &'a Value, name: &str) -> Option<&'a Value> {
    let volumes = deployment.pointer(VOLUMES)?.as_array()?;
    volumes.iter().find(|volume| volume["name"] == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_has_is_kept_but_for_the_clusters_that_leave() {
        let source = |cluster: &str| {
            json!({"secret": {"name": "login", "items": [
                {"key": "token", "path": format!("own-{cluster}-token")},
            ]}})
        };
        let claim =
            json!({"name": "storage", "persistentVolumeClaim": {"claimName": "prometheus-data"}});
        let others =
            json!({"secret": {"name": "x", "items": [{"key": "a", "path": "client.crt"}]}});
        let sources_there =
            json!([source("west"), source("north"), others, {"secret": {"name": "all"}}]);
        let pod = |image: &str, args: Value, storage: Value, sources: Value| {
            json!({"spec": {"strategy": {"type": "Recreate"}, "template": {"spec": {
                "containers": [{"image": image, "args": args}],
                "volumes": [{"name": "config-volume", "projected": {"sources": sources}}, storage],
            }}}})
        };
        let live = pod(
            "a:1",
            json!(["--storage.tsdb.retention.time=1y"]),
            claim,
            sources_there,
        );
        let west = ClusterName::new("west").unwrap();
        assert_eq!(sources(&live, &[west]), [source("north")]);
        assert_eq!(sources(&Value::Null, &[]), Vec::<Value>::new());
        let empty = json!({"name": "storage", "emptyDir": {}});
        let mut wanted = pod("b:2", json!([]), empty, json!([]));
        keep(&live, &mut wanted);
        let mut kept = live.clone();
        kept["spec"]["strategy"]["rollingUpdate"] = Value::Null;
        kept["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"] = json!([]);
        assert_eq!(wanted, kept);
        keep(&Value::Null, &mut wanted);
        assert_eq!(wanted, kept);
    }
}
