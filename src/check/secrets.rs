//! Other Secrets with remotes for Kiali, which mounts all Secrets with a label.

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;

use super::Finding;
use crate::code::Code;
use crate::k8s::Scope;
use crate::k8s::request::send;
use crate::progress::ObjectId;
use crate::shell::quoted;
use crate::steps::remote_secret;

/// The label of the Secrets that the guide's script creates: the operator mounts each of them.
const MOUNTED: &str = "kiali.io/multiCluster=true";

/// Judges the Secrets by their names only; their contents are not read.
pub async fn check(scope: &Scope<'_>) -> Result<Vec<Finding>> {
    if !scope.is_home() {
        return Ok(Vec::new());
    }
    let secrets = Api::<Secret>::namespaced(scope.cluster.client.clone(), scope.namespace);
    let list = ListParams::default().labels(MOUNTED);
    let all = ObjectId::new("Secrets", scope.namespace, MOUNTED);
    // An install does not need the right to list them.
    let Ok(found) = send(scope, &all, || secrets.list_metadata(&list)).await else {
        return Ok(Vec::new());
    };
    let names = found.items.into_iter().filter_map(|s| s.metadata.name);
    let others = names.filter(|name| name != remote_secret::NAME);
    Ok(others.map(|name| finding(scope, &name)).collect())
}

fn finding(scope: &Scope<'_>, name: &str) -> Finding {
    let cause = "is mounted into Kiali beside the one of ambikiali, so that Kiali may know a cluster twice, and its token stays in use";
    let id = ObjectId::new("Secret", scope.namespace, name);
    let finding = Finding::new(Code::SecondRemoteSecret, scope.cluster, id, cause);
    let (kubectl, namespace) = (&scope.cluster.kubectl, scope.namespace);
    let name = quoted(name);
    // The operator never removes a volume from a Deployment, and a pod does not start without its Secret.
    finding.fix(format!(
        "{kubectl} -n {namespace} delete secret/{name} deployment/kiali, then have the operator make Kiali \
         again: {kubectl} -n {namespace} annotate kiali --all --overwrite kiali.io/reconcile=now"
    ))
}
