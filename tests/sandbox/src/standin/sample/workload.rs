//! A pod as the mesh knows it.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// A name in a namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Named {
    pub namespace: String,
    pub name: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    pub named: Named,
    /// The canonical service, and the app.
    pub app: String,
    pub revision: String,
    /// The ServiceAccount.
    pub account: String,
}

impl Named {
    pub fn new(namespace: &str, name: &str) -> Named {
        Named {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The Service of the sample app that answers.
    pub fn helloworld() -> Named {
        Named::new("sample", "helloworld")
    }
}

impl Workload {
    /// The sample app that sends.
    pub fn curl() -> Workload {
        Workload {
            named: Named::new("sample", "curl"),
            app: "curl".to_owned(),
            revision: "latest".to_owned(),
            account: "curl".to_owned(),
        }
    }

    pub fn of(pod: &Pod) -> Workload {
        let name = pod.name_any();
        let owners = pod.metadata.owner_references.iter().flatten();
        let is_of_set = owners.into_iter().any(|owner| owner.kind == "ReplicaSet");
        // The pods of a Deployment have the hash of their ReplicaSet and a random suffix.
        let workload = match is_of_set {
            true => name.rsplitn(3, '-').nth(2).unwrap_or(&name),
            false => &name,
        };
        let label = |name: &str| pod.labels().get(name).cloned();
        let account = pod
            .spec
            .as_ref()
            .and_then(|s| s.service_account_name.clone());
        Workload {
            named: Named::new(&pod.namespace().unwrap_or_default(), workload),
            app: label("app").unwrap_or_else(|| workload.to_owned()),
            revision: label("version").unwrap_or_else(|| "latest".to_owned()),
            account: account.unwrap_or_else(|| "default".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_of_a_deployment_is_named_after_it() {
        let pod = |owner: &str| -> Pod {
            let owner = json!({"apiVersion": "v1", "kind": owner, "name": "o", "uid": "1"});
            let metadata = json!({
                "name": "helloworld-v1-6d8f9c-x2z4k", "namespace": "sample",
                "labels": {"app": "helloworld", "version": "v1"}, "ownerReferences": [owner],
            });
            serde_json::from_value(json!({"metadata": metadata})).expect("a pod")
        };
        let workload = Workload::of(&pod("ReplicaSet"));
        assert_eq!(workload.named, Named::new("sample", "helloworld-v1"));
        let Workload {
            app,
            revision,
            account,
            ..
        } = workload;
        assert_eq!([app, revision, account], ["helloworld", "v1", "default"]);
        let alone = Workload::of(&pod("Job")).named.name;
        assert_eq!(alone, "helloworld-v1-6d8f9c-x2z4k");
    }
}
