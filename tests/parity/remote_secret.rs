//! One Secret instead of the guide's Secret per remote, which the operator neither watches nor removes from Kiali's
//! Deployment.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::there;
use crate::support::{Clusters, get};

const SECRET: (&str, &str) = ("v1", "Secret");

pub async fn is_one_with_a_kubeconfig_for_each_remote(clusters: &Clusters) {
    let guides = "kiali/kiali-remote-cluster-secret-cluster2";
    assert_eq!(get(clusters.home(), SECRET.0, SECRET.1, guides).await, None);
    let secret = there(
        clusters,
        "cluster1",
        SECRET,
        "kiali/kiali-multi-cluster-secret",
    )
    .await;
    assert_eq!(
        secret["metadata"]["labels"]["kiali.io/kiali-multi-cluster-secret"],
        "true"
    );
    // The guide's kubectl apply stores the token again in an annotation, in clear text.
    assert_eq!(secret["metadata"]["annotations"], Value::Null);
    let data = secret["data"].as_object().expect("data");
    assert_eq!(data.keys().collect::<Vec<_>>(), ["cluster2"]);
    let kubeconfig: Value = serde_yaml::from_str(&decoded(&data["cluster2"])).expect("YAML");

    let token = there(clusters, "cluster2", SECRET, "kiali/kiali").await;
    let remote = clusters.remote();
    // As in the guide's script, without the unused `preferences`.
    assert_eq!(
        kubeconfig,
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster2", "cluster": {
                "server": remote.server(),
                "certificate-authority-data": STANDARD.encode(remote.ca()),
            }}],
            "users": [{"name": "cluster2", "user": {"token": decoded(&token["data"]["token"])}}],
            "contexts": [{"name": "cluster2", "context": {"cluster": "cluster2", "user": "cluster2"}}],
            "current-context": "cluster2",
        })
    );
}

fn decoded(data: &Value) -> String {
    let bytes = STANDARD.decode(data.as_str().expect("data"));
    String::from_utf8(bytes.expect("base64")).expect("text")
}
