//! Whether istiod has the endpoints of the other clusters, according to its debug port. istiod answers there only
//! requests from its own pod, such as those of a port-forward.

use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

use super::Finding;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::forward::{self, Target};
use crate::k8s::{Scope, pods};
use crate::mesh::ClusterName;
use crate::progress::ObjectId;
use crate::run::Run;
use crate::visible;

const PORT: u16 = 15014;
const PATIENCE: Duration = Duration::from_secs(3);

/// A cluster as an istiod sees it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    id: String,
    #[serde(default, deserialize_with = "visible::said")]
    secret_name: String,
    #[serde(deserialize_with = "visible::said")]
    sync_status: String,
}

/// Returns nothing if no istiod runs, which is another finding.
pub async fn check(run: &Run<'_>, scope: &Scope<'_>) -> Result<Vec<Finding>> {
    // The missing right to list pods is another finding.
    let Ok(Some(pod)) = pods::ready(scope, ISTIO_NAMESPACE, "app=istiod").await else {
        return Ok(Vec::new());
    };
    let target = Target {
        namespace: ISTIO_NAMESPACE.into(),
        pod,
        port: PORT,
    };
    let asked = forward::get_json::<Vec<Seen>>(scope, &target, "/debug/clusterz", PATIENCE);
    let seen = match asked.await {
        Ok(seen) => seen,
        Err(error) => return Ok(vec![unknown(scope, &target, &error)]),
    };
    let others = run.mesh.others(scope.cluster);
    let judged = others.filter_map(|other| judge(scope, &other.name, &seen));
    Ok(judged.collect())
}

fn unknown(scope: &Scope<'_>, target: &Target, error: &anyhow::Error) -> Finding {
    let pod = ObjectId::new("Pod", ISTIO_NAMESPACE, &target.pod);
    let cause = format!("does not tell whether it is in sync with the other clusters: {error:#}");
    let finding = Finding::new(Code::SyncUnknown, scope.cluster, pod, cause);
    finding.fix(remote_clusters(scope))
}

/// A cluster that istiod does not know has no Secret, or one that istiod has not read yet. A missing Secret is another
/// finding.
fn judge(scope: &Scope<'_>, name: &ClusterName, seen: &[Seen]) -> Option<Finding> {
    let one = seen.iter().find(|one| one.id == name.as_str())?;
    if one.sync_status == "synced" {
        return None;
    }
    let secret = one.secret_name.rsplit('/').next().unwrap_or_default();
    let secret = ObjectId::new("Secret", ISTIO_NAMESPACE, secret);
    let cause = format!(
        "istiod is not in sync with {name} by it: {}",
        one.sync_status
    );
    let finding = Finding::new(Code::NotInSync, scope.cluster, secret, cause);
    Some(finding.fix(remote_clusters(scope)))
}

fn remote_clusters(scope: &Scope<'_>) -> String {
    format!(
        "istioctl --context {} remote-clusters",
        scope.cluster.context
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_istiod_tells_is_read_or_refused() {
        let samples = [
            r#"[{"id": "cluster1", "syncStatus": "synced"}, {"id": "cluster2",
                "secretName": "istio-system/istio-remote-secret-cluster2", "syncStatus": "synced"}]"#,
            r#"[{"id": "cluster3", "secretName": "istio-system/s", "syncStatus": "timeout"}]"#,
        ];
        crate::fuzz::fuzz("istiod's debug pages", &samples, |input| {
            let _ = serde_json::from_slice::<Vec<Seen>>(input);
        });
    }
}
