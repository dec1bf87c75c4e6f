//! Published YAML, read from a folder or rendered by helm, and how it is applied.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use futures::stream::{StreamExt, TryStreamExt, iter};
use kube::Client;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, TypeMeta,
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

pub const CRD: &str = "CustomResourceDefinition";

/// Renders a chart, which is then applied here. Three runs of `helm install` take three times as long.
pub fn helm(helm: &Path, release: &str, chart: &Path, values: &[&str]) -> Result<String> {
    let mut command = Command::new(helm);
    command.args(["template", release]).arg(chart);
    command.args(["--namespace", "istio-system"]);
    for value in values {
        command.args(["--set", value]);
    }
    let output = command.output().context("cannot start helm")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "helm cannot render {release}: {errors}"
    );
    Ok(String::from_utf8(output.stdout)?)
}

pub fn read_folder(folder: &Path) -> Result<Vec<Value>> {
    let files = fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    let mut objects = Vec::new();
    for file in files {
        let path = file?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            objects.extend(objects_of(&fs::read_to_string(&path)?)?);
        }
    }
    Ok(objects)
}

pub fn objects_of(text: &str) -> Result<Vec<Value>> {
    let documents = text.split("\n---").map(|document| {
        // helm leaves documents that contain only comments.
        let words = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let empty = !document.lines().any(|line| line != "---" && words(line));
        match empty {
            true => Ok(Value::Null),
            false => serde_yaml::from_str(document).context("not YAML"),
        }
    });
    let kept = documents.filter(|document| !document.as_ref().is_ok_and(Value::is_null));
    kept.collect()
}

pub fn namespace(name: &str, label: (&str, &str)) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {label.0: label.1}},
    })
}

/// Applies objects server-side, several at a time.
pub async fn apply(client: &Client, manager: &str, objects: &[Value]) -> Result<()> {
    let params = PatchParams::apply(manager).force();
    let applied = iter(objects).map(|object| apply_one(client, &params, object));
    applied.buffer_unordered(8).try_collect().await
}

async fn apply_one(client: &Client, params: &PatchParams, object: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let types = TypeMeta {
        api_version: text(&object["apiVersion"]),
        kind: text(&object["kind"]),
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
    let name = text(&object["metadata"]["name"]);
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let applied = api.patch(&name, params, &Patch::Apply(object)).await;
    applied.with_context(|| format!("cannot apply {} {name}", types.kind))?;
    Ok(())
}

/// Waits until the kinds can be listed. An istiod that starts earlier retries only after five seconds.
pub async fn served(client: &Client, kinds: &[Value]) -> Result<()> {
    let lists = kinds
        .iter()
        .filter(|object| object["kind"] == CRD)
        .map(|kind| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
            let spec = &kind["spec"];
            let (group, version) = (text(&spec["group"]), text(&spec["versions"][0]["name"]));
            let gvk = GroupVersionKind::gvk(&group, &version, &text(&spec["names"]["kind"]));
            let resource = ApiResource::from_gvk_with_plural(&gvk, &text(&spec["names"]["plural"]));
            Api::<DynamicObject>::all_with(client.clone(), &resource)
        });
    let lists = lists.map(|api| async move {
        while api.list(&ListParams::default().limit(1)).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    let waited = timeout(Duration::from_secs(180), join_all(lists)).await;
    waited.context("the kinds of the mesh are not served after three minutes")?;
    Ok(())
}
