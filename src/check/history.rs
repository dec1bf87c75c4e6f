//! Whether the claim for the history can be what the user asks for, and whether anything would provide a volume for it.

use anyhow::Result;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use super::Finding;
use crate::code::Code;
use crate::guide::Step;
use crate::history::Storage;
use crate::k8s::Scope;
use crate::k8s::record::CLAIM;
use crate::k8s::request::{RequestError, send_opt};
use crate::mesh::pages;
use crate::progress::ObjectId;
use crate::steps::aggregate_metrics::{claim_id, keep_claim, unusable};

/// Annotations of the StorageClass for claims that name none.
const DEFAULT: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

/// Gives the manifest of the claim what the live one keeps, and judges both.
pub async fn check(scope: &Scope<'_>, planned: &mut [(Step, Value)]) -> Result<Vec<Finding>> {
    let claim = planned.iter_mut().find(|(_, one)| one["kind"] == CLAIM);
    let (Some((_, manifest)), Some(storage)) = (claim, &scope.settings.history.storage) else {
        return Ok(Vec::new());
    };
    // The missing right to read it is another finding.
    let Ok(live) = keep_claim(scope, std::slice::from_mut(manifest)).await else {
        return Ok(Vec::new());
    };
    let found = match live {
        Some(live) => unusable(scope, manifest, &live).map(|unusable| {
            let id = claim_id(scope);
            let finding = Finding::new(unusable.code, scope.cluster, id, unusable.cause);
            finding.fix(unusable.fix)
        }),
        None => provided(scope, storage).await?,
    };
    Ok(found.into_iter().collect())
}

/// Whether a StorageClass provides the volume of a new claim. A volume may also be made by hand, so it is a warning.
async fn provided(scope: &Scope<'_>, storage: &Storage) -> Result<Option<Finding>> {
    let classes = Api::<StorageClass>::all(scope.cluster.client.clone());
    let warning = |id, cause: &str, fix: &str| {
        let finding = Finding::new(Code::NoStorageClass, scope.cluster, id, cause);
        let kubectl = &scope.cluster.kubectl;
        Some(finding.fix(format!("{fix}, of these: {kubectl} get storageclasses")))
    };
    if let Some(name) = &storage.class {
        let id = ObjectId::cluster_wide("StorageClass", name);
        return match send_opt(scope, &id, || classes.get(name)).await {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Ok(warning(
                id,
                "does not exist, so nothing provides the volume for the history",
                "name one with --storage-class NAME",
            )),
            Err(refusal) => blind(scope, id, refusal),
        };
    }
    let id = ObjectId::cluster_wide("StorageClasses", "of the cluster");
    let params = ListParams::default();
    let (api, params) = (&classes, &params);
    match send_opt(scope, &id, async || pages::list(api, params).await).await {
        Ok(all) if all.iter().flatten().any(is_default) => Ok(None),
        Ok(_) => Ok(warning(
            id,
            "none of them is the default, so nothing provides the volume for the history",
            "name one with --storage-class NAME",
        )),
        Err(refusal) => blind(scope, id, refusal),
    }
}

fn is_default(class: &StorageClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    let is_set = |name: &str| {
        let value = annotations.and_then(|all| all.get(name));
        value.is_some_and(|value| value == "true")
    };
    DEFAULT.into_iter().any(is_set)
}

/// The user may not read it.
fn blind(scope: &Scope<'_>, id: ObjectId, refusal: RequestError) -> Result<Option<Finding>> {
    if refusal.status().is_none_or(|status| status.code != 403) {
        return Err(refusal.into());
    }
    let finding = Finding::new(Code::NotLookedAt, scope.cluster, id, refusal.text());
    Ok(Some(finding.kubectl(scope.cluster, "auth can-i --list")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_class_is_the_default_by_either_annotation() {
        let class = |annotations: Value| {
            let all = json!({"metadata": {"annotations": annotations}, "provisioner": "a"});
            is_default(&serde_json::from_value(all).expect("a class"))
        };
        assert!(class(json!({DEFAULT[0]: "true"})) && class(json!({DEFAULT[1]: "true"})));
        assert!(!class(json!({DEFAULT[0]: "false"})) && !class(json!({})));
    }
}
