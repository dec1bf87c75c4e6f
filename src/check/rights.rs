//! Whether the user has all rights that an install needs.

use anyhow::Result;
use serde_json::{Value, json};

use super::Finding;
use crate::code::Code;
use crate::guide::{ISTIO_NAMESPACE, Step};
use crate::k8s::record::Origin;
use crate::k8s::rights::{self, Right};
use crate::k8s::{Scope, kinds};
use crate::planned;
use crate::progress::ObjectId;
use crate::run::Run;

/// Kinds that an install waits for.
const WATCHED: [&str; 6] = [
    "CustomResourceDefinition",
    "Deployment",
    "Gateway",
    "HTTPRoute",
    "Kiali",
    "Service",
];

pub async fn check(
    run: &Run<'_>,
    scope: &Scope<'_>,
    planned: &[(Step, Value)],
) -> Result<Vec<Finding>> {
    let home = run.is_home(scope.cluster);
    let objects = objects(run, scope, planned)?;
    let roles = objects.iter().filter(|o| o["kind"] == "ClusterRole");
    let roles = roles.cloned().collect::<Vec<_>>();
    let mut needed = needed(scope, &objects, home)?;
    needed.extend(to_remove(run, scope)?);
    let missing = rights::missing(scope, needed, &roles).await?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let lines = rights::lines(&missing).join("\n");
    let user = ObjectId::cluster_wide("User", &format!("of context {}", scope.cluster.context));
    let cause = format!("lacks rights that an install needs:\n{lines}");
    let finding = Finding::new(Code::RightsMissing, scope.cluster, user, cause);
    Ok(vec![finding.fix(format!(
        "have these granted, or name the context of an administrator: {} -n {} auth can-i --list",
        scope.cluster.kubectl, scope.namespace
    ))])
}

/// All objects that are written to a home or to a remote.
fn objects(run: &Run<'_>, scope: &Scope<'_>, planned: &[(Step, Value)]) -> Result<Vec<Value>> {
    let planned = planned.iter().map(|(_, object)| object.clone());
    let mut objects = planned.collect::<Vec<_>>();
    objects.push(scope.record.object(scope.namespace)?);
    if run.is_home(scope.cluster) {
        objects.push(scope.lease.object());
    }
    Ok(objects)
}

/// The rights to remove what an earlier install made, and this one does not want.
fn to_remove(run: &Run<'_>, scope: &Scope<'_>) -> Result<Vec<Right>> {
    let unwanted = planned::unwanted(run, scope.cluster)?.into_iter();
    let made = unwanted.filter(|object| {
        let entry = scope.record.entry(object);
        entry.is_some_and(|entry| entry.origin == Origin::Created)
    });
    made.map(|object| {
        let kind = kinds::of(&object)?;
        let namespace = object["metadata"]["namespace"].as_str();
        Ok(Right::new(namespace, &kind.group, &kind.plural, "delete"))
    })
    .collect()
}

fn needed(scope: &Scope<'_>, objects: &[Value], home: bool) -> Result<Vec<Right>> {
    let own = Some(scope.namespace);
    let mut needed = Vec::new();
    for object in objects {
        let kind = kinds::of(object)?;
        let namespace = object["metadata"]["namespace"].as_str();
        let token = object["type"] == json!("kubernetes.io/service-account-token");
        let watch = WATCHED.contains(&kind.kind.as_str()) || token;
        // A server-side apply that creates an object needs both verbs.
        let verbs = ["get", "create", "patch"].into_iter();
        for verb in verbs.chain(watch.then_some("watch")) {
            needed.push(Right::new(namespace, &kind.group, &kind.plural, verb));
        }
    }
    if scope.settings.store.is_some() {
        // Its own counters tell whether a Prometheus writes to the store.
        let istio = Some(ISTIO_NAMESPACE);
        let ask = |stream: &str| ["get", "create"].map(|verb| Right::new(istio, "", stream, verb));
        needed.extend(ask("pods/portforward"));
        if home {
            needed.extend(ask("pods/exec"));
        }
    }
    for namespace in [own, Some(ISTIO_NAMESPACE)] {
        needed.push(Right::new(namespace, "", "pods", "list"));
    }
    if home {
        // Over WebSocket, older servers require get, and newer ones get and create.
        for stream in ["pods/exec", "pods/portforward"] {
            needed.extend(["get", "create"].map(|verb| Right::new(own, "", stream, verb)));
        }
    } else {
        if scope.settings.token_lifetime.is_some() {
            needed.push(Right::new(own, "", "serviceaccounts/token", "create"));
        }
        let bindings = ("rbac.authorization.k8s.io", "clusterrolebindings");
        needed.push(Right::new(None, bindings.0, bindings.1, "watch"));
    }
    Ok(needed)
}
