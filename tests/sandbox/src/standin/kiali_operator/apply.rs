//! Writes an object as the real roles do: creates it with an owner, or patches it without one. A patch merges lists, so
//! it never removes what an earlier run added to a list.

use std::time::Duration;

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, Error, ResourceExt};
use serde_json::{Value, json};

use super::ROLES_MANAGER;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Written {
    Created,
    Changed,
    Unchanged,
}

pub(super) struct Writer {
    pub(super) client: Client,
    /// The CR that owns new objects.
    pub(super) owner: DynamicObject,
    /// The pause between the six attempts for each object.
    pub(super) pause: Duration,
}

const TRIES: u32 = 6;

impl Writer {
    pub(super) async fn put(&self, object: Value) -> Result<Written, String> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.put_once(&object).await {
                Err(_) if tried < TRIES => tokio::time::sleep(self.pause).await,
                result => return result,
            }
        }
    }

    async fn put_once(&self, object: &Value) -> Result<Written, String> {
        let (api, name) = self.api(object)?;
        let live = api
            .get_opt(&name)
            .await
            .map_err(|e| failed("retrieve requested", &e))?;
        let Some(live) = live else {
            let owned: DynamicObject =
                serde_json::from_value(self.owned(object)).map_err(|e| e.to_string())?;
            let by = PostParams {
                field_manager: Some(ROLES_MANAGER.into()),
                ..Default::default()
            };
            api.create(&by, &owned)
                .await
                .map_err(|e| failed("create", &e))?;
            return Ok(Written::Created);
        };
        let patch = Patch::Strategic(object);
        let patched = api
            .patch(&name, &by_roles(), &patch)
            .await
            .map_err(|e| failed("patch", &e))?;
        let same = patched.resource_version() == live.resource_version();
        Ok(if same {
            Written::Unchanged
        } else {
            Written::Changed
        })
    }

    pub(super) async fn patch(&self, object: &Value, change: &Value) -> Result<(), String> {
        let (api, name) = self.api(object)?;
        let patched = api
            .patch(&name, &by_roles(), &Patch::Strategic(change))
            .await;
        patched.map(drop).map_err(|e| failed("patch", &e))
    }

    pub(super) async fn get(&self, object: &Value) -> Result<Option<DynamicObject>, String> {
        let (api, name) = self.api(object)?;
        api.get_opt(&name)
            .await
            .map_err(|e| failed("retrieve requested", &e))
    }

    /// Deletes an object. Succeeds if it does not exist.
    pub(super) async fn delete(
        &self,
        kind: &str,
        api_version: &str,
        name: &str,
        namespace: &str,
    ) -> Result<(), String> {
        let object = json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace},
        });
        let (api, name) = self.api(&object)?;
        match api.delete(&name, &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) if status.code == 404 => Ok(()),
            Err(why) => Err(failed("delete", &why)),
        }
    }

    fn api(&self, object: &Value) -> Result<(Api<DynamicObject>, String), String> {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (group, version) = text("/apiVersion")
            .rsplit_once('/')
            .unwrap_or(("", text("/apiVersion")));
        let kind = text("/kind");
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let client = self.client.clone();
        let api = match text("/metadata/namespace") {
            _ if kind.starts_with("ClusterRole") => Api::all_with(client, &resource),
            "" => return Err(format!("{kind} without a namespace")),
            namespace => Api::namespaced_with(client, namespace, &resource),
        };
        Ok((api, text("/metadata/name").to_string()))
    }

    /// Sets the owner. Only objects in the CR's own namespace can have the CR as an owner. Others get annotations.
    fn owned(&self, object: &Value) -> Value {
        let (name, namespace) = (
            self.owner.name_any(),
            self.owner.namespace().unwrap_or_default(),
        );
        let mut object = object.clone();
        if object["metadata"]["namespace"] == namespace.as_str() {
            object["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "kiali.io/v1alpha1", "kind": "Kiali", "name": name,
                "uid": self.owner.uid().unwrap_or_default(),
            }]);
        } else {
            object["metadata"]["annotations"]["operator-sdk/primary-resource"] =
                json!(format!("{namespace}/{name}"));
            object["metadata"]["annotations"]["operator-sdk/primary-resource-type"] =
                json!("Kiali.kiali.io");
        }
        object
    }
}

pub(super) fn by_roles() -> PatchParams {
    PatchParams {
        field_manager: Some(ROLES_MANAGER.into()),
        ..Default::default()
    }
}

/// Returns the API server's message, in the form in which the failed task reports it.
pub(super) fn failed(verb: &str, error: &Error) -> String {
    match error {
        Error::Api(status) => format!(
            "Failed to {verb} object: {} ({})",
            status.message, status.code
        ),
        other => format!("Failed to {verb} object: {other}"),
    }
}
