//! Creates foreign objects, and reads and changes any object as plain data.

use std::time::{Duration, Instant};

use ambikiali_sandbox::Cluster;
use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{PATIENCE, until};

/// The field manager of foreign objects.
const SOMEBODY: &str = "somebody";
/// How long istiod may take to write to a new namespace.
const PROMPT: Duration = Duration::from_secs(30);

/// Foreign objects in a cluster.
pub struct Foreign<'a> {
    cluster: &'a Cluster,
    objects: Vec<Value>,
}

impl<'a> Foreign<'a> {
    /// Applies YAML documents in order.
    pub async fn apply(cluster: &'a Cluster, yaml: &str) -> Foreign<'a> {
        let objects: Vec<Value> = serde_yaml::from_multiple(yaml).expect("YAML");
        Foreign::made(cluster, objects, SOMEBODY).await
    }

    /// Applies objects with this field manager.
    pub async fn made(cluster: &'a Cluster, objects: Vec<Value>, by: &str) -> Foreign<'a> {
        let params = PatchParams::apply(by).force();
        for object in &objects {
            let (api, name) = api(cluster, object);
            let applied =
                retry_unknown_kind(async || api.patch(&name, &params, &Patch::Apply(object)).await);
            applied.await.expect("a foreign object");
            if object["kind"] == "Namespace" {
                await_generated_objects(cluster, &name).await;
            }
        }
        Foreign { cluster, objects }
    }

    /// Returns the live objects, with None for a deleted one.
    pub async fn all(&self) -> Vec<Option<Value>> {
        let all = self.objects.iter().map(async |object| {
            let (api, name) = api(self.cluster, object);
            let found = api.get_opt(&name).await.expect("an answer");
            found.map(|object| serde_json::to_value(object).expect("JSON"))
        });
        futures::future::join_all(all).await
    }

    /// Waits until the last object has a condition.
    pub async fn is(&self, condition: &str) {
        let (api, name) = api(self.cluster, self.objects.last().expect("an object"));
        let end = Instant::now() + PATIENCE;
        loop {
            let live = api.get(&name).await.expect("the object");
            let conditions = live.data["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            if conditions.any(|c| c["type"] == condition && c["status"] == "True") {
                return;
            }
            assert!(Instant::now() < end, "{name} is not {condition}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Deletes the objects in reverse order and waits until each is gone.
    pub async fn removed(self) {
        for object in self.objects.iter().rev() {
            delete(self.cluster, object).await;
        }
    }
}

/// Returns a CRD of an unrelated kind, and an object of this kind in a namespace.
pub fn widgets(namespace: &str) -> String {
    let widgets = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: one, namespace: NAMESPACE}
";
    widgets.replace("NAMESPACE", namespace)
}

/// Waits for the objects that controllers and istiod create in each namespace. Otherwise they may appear after the
/// test's next snapshot and count as a difference.
pub async fn await_generated_objects(cluster: &Cluster, namespace: &str) {
    let prompt = timeout(PROMPT, are_generated(cluster, namespace));
    if prompt.await.is_err() {
        // An earlier test kept its API server away for so long that istiod lost its Leases.
        cluster.restart_istiod().await.expect("it serves again");
        are_generated(cluster, namespace).await;
    }
}

async fn are_generated(cluster: &Cluster, namespace: &str) {
    for (kind, name) in [
        ("ServiceAccount", "default"),
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "istio-ca-root-cert"),
    ] {
        let name = format!("{namespace}/{name}");
        until(&format!("{kind} {name}"), async || {
            get(cluster, "v1", kind, &name).await.is_some()
        })
        .await;
    }
}

/// Retries while the kind is not served, as just after its CRD was created.
async fn retry_unknown_kind<T>(ask: impl AsyncFn() -> kube::Result<T>) -> kube::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Err(kube::Error::Api(status)) if status.code == 404 && Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer,
        }
    }
}

/// Reads an object, as in `get(cluster, "v1", "Service", "kiali/prometheus")`. Returns None if it does not exist.
pub async fn get(cluster: &Cluster, api_version: &str, kind: &str, name: &str) -> Option<Value> {
    let (api, name) = api(cluster, &named(api_version, kind, name));
    let found = api.get_opt(&name).await.expect("an answer");
    found.map(|object| serde_json::to_value(object).expect("JSON"))
}

/// Applies a strategic merge patch, like `kubectl patch`.
pub async fn patch(cluster: &Cluster, api_version: &str, kind: &str, name: &str, patch: &Value) {
    let (api, name) = api(cluster, &named(api_version, kind, name));
    let params = PatchParams {
        field_manager: Some(SOMEBODY.into()),
        ..PatchParams::default()
    };
    let patched = api.patch(&name, &params, &Patch::Strategic(patch)).await;
    patched.expect("a patched object");
}

/// Applies a merge patch. Custom resources do not support strategic merge patches.
pub async fn merge(cluster: &Cluster, api_version: &str, kind: &str, name: &str, change: &Value) {
    let (api, name) = api(cluster, &named(api_version, kind, name));
    let params = PatchParams {
        field_manager: Some(SOMEBODY.into()),
        ..PatchParams::default()
    };
    let merged = api.patch(&name, &params, &Patch::Merge(change)).await;
    merged.expect("a changed object");
}

/// Replaces an object with an older version of it.
pub async fn put(cluster: &Cluster, mut object: Value) {
    let (api, name) = api(cluster, &object);
    until(&format!("{name} is as it was"), async || {
        let live = api.get(&name).await.expect("the object");
        object["metadata"]["resourceVersion"] = json!(live.metadata.resource_version);
        let object = serde_json::from_value(object.clone()).expect("an object");
        // The server rejects this if a controller wrote in between.
        api.replace(&name, &PostParams::default(), &object)
            .await
            .is_ok()
    })
    .await;
}

/// Applies a merge patch to the status, as a controller does.
pub async fn patch_status(
    cluster: &Cluster,
    api_version: &str,
    kind: &str,
    name: &str,
    status: &Value,
) {
    let (api, name) = api(cluster, &named(api_version, kind, name));
    let change = Patch::Merge(json!({"status": status}));
    let params = PatchParams::default();
    let patched = api.patch_status(&name, &params, &change).await;
    patched.expect("an object with another status");
}

/// Scales a Deployment and waits until its pods are ready or gone.
pub async fn scale(cluster: &Cluster, name: &str, replicas: i64) {
    let spec = json!({"spec": {"replicas": replicas}});
    patch(cluster, "apps/v1", "Deployment", name, &spec).await;
    until(&format!("{name} with {replicas} pods"), async || {
        let live = get(cluster, "apps/v1", "Deployment", name).await;
        let live = live.expect("a Deployment");
        let count = |field: &str| live["status"][field].as_i64().unwrap_or(0);
        live["status"]["observedGeneration"] == live["metadata"]["generation"]
            && ["replicas", "readyReplicas"].map(count) == [replicas, replicas]
    })
    .await;
}

/// Waits until the server mutates such an object, or stops doing so.
pub async fn until_changed(cluster: &Cluster, (yaml, field): (&str, &str), changed: bool) {
    let object: Value = serde_yaml::from_str(yaml).expect("YAML");
    let (api, name) = api(cluster, &object);
    let params = PatchParams::apply(SOMEBODY).force().dry_run();
    until(&format!("{name} changed: {changed}"), async || {
        let stored = api.patch(&name, &params, &Patch::Apply(&object)).await;
        let stored = serde_json::to_value(stored.expect("an answer")).expect("JSON");
        (stored.pointer(field) != object.pointer(field)) == changed
    })
    .await;
}

/// Waits until the server rejects such an object, or accepts it. A policy, webhook or schema takes effect some time
/// after it was stored.
pub async fn until_refused(cluster: &Cluster, yaml: &str, refused: bool) {
    let object: Value = serde_yaml::from_str(yaml).expect("YAML");
    let (api, name) = api(cluster, &object);
    let params = PatchParams::apply(SOMEBODY).force().dry_run();
    until(&format!("{name} refused: {refused}"), async || {
        let answer = api.patch(&name, &params, &Patch::Apply(&object)).await;
        answer.is_err() == refused
    })
    .await;
}

/// Deletes an object and waits until it is gone.
pub async fn remove(cluster: &Cluster, api_version: &str, kind: &str, name: &str) {
    delete(cluster, &named(api_version, kind, name)).await;
}

async fn delete(cluster: &Cluster, object: &Value) {
    let (api, name) = api(cluster, object);
    let end = Instant::now() + PATIENCE;
    let _ = api.delete(&name, &DeleteParams::background()).await;
    while api.get_opt(&name).await.expect("an answer").is_some() {
        assert!(Instant::now() < end, "{name} does not go");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn named(api_version: &str, kind: &str, name: &str) -> Value {
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    };
    let metadata = json!({"namespace": namespace, "name": name});
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
}

fn api(cluster: &Cluster, object: &Value) -> (Api<DynamicObject>, String) {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion").expect("apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = GroupVersionKind::gvk(group, version, text("/kind").expect("kind"));
    let resource = ApiResource::from_gvk(&gvk);
    let api = match text("/metadata/namespace") {
        Some(namespace) => Api::namespaced_with(cluster.client(), namespace, &resource),
        None => Api::all_with(cluster.client(), &resource),
    };
    (api, text("/metadata/name").expect("a name").to_string())
}

/// Returns a remote's Secret in namespace kiali, as in the guide.
pub fn guides_secret(cluster: &str, kubeconfig: &str) -> String {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": format!("kiali-remote-cluster-secret-{cluster}"), "namespace": "kiali",
            "labels": {"kiali.io/multiCluster": "true"},
            "annotations": {"kiali.io/cluster": cluster},
        },
        "stringData": {cluster: kubeconfig},
    });
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: kiali}\n";
    format!("{namespace}---\n{secret}\n")
}

/// Returns a kubeconfig with an address where nothing listens.
pub fn dead_kubeconfig(cluster: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Config
clusters: [{{name: {cluster}, cluster: {{server: 'https://127.0.0.1:1'}}}}]
users: [{{name: {cluster}, user: {{token: none}}}}]
contexts: [{{name: {cluster}, context: {{cluster: {cluster}, user: {cluster}}}}}]
current-context: {cluster}
"
    )
}

/// Returns a Secret of an unreachable remote. Kiali does not start with it.
pub fn dead_remote() -> String {
    guides_secret("cluster3", &dead_kubeconfig("cluster3"))
}
