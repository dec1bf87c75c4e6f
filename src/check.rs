//! `check`, which an install also runs before its first write: whether the clusters have what an install needs, as far
//! as their API servers show. It only reads. What the user may not read is reported and does not stop an install.

mod exposed;
mod facts;
mod fleet;
mod gateway_api;
mod history;
mod istio;
mod login;
mod mesh;
mod mesh_config;
mod objects;
mod others;
mod own_prometheus;
mod policies;
mod reach;
mod rehearsal;
mod rights;
mod scrapes;
mod secrets;
mod servers;
mod store;
mod sync;
mod taken;

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use serde::Serialize;
use serde_json::Value;

use self::facts::{Facts, Looked};
pub use self::mesh::of_mesh;
use self::objects::LookMode;
use crate::code::{Code, Severity};
use crate::guide::Step;
use crate::k8s::record::Key;
use crate::k8s::seen::Seen;
use crate::k8s::{Scope, record};
use crate::mesh::{Cluster, ClusterName, Mesh};
use crate::planned::planned;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::run::Run;

/// Concurrent requests to one cluster.
const AT_ONCE: usize = 8;
/// For a single request to an API server with the credentials of others.
const PATIENCE: Duration = Duration::from_secs(10);

/// A problem that would make an install fail, or leave the view incomplete.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub code: Code,
    pub severity: Severity,
    pub cluster: ClusterName,
    /// The object to look at.
    pub object: ObjectId,
    /// One sentence, without the cluster.
    #[serde(rename = "message")]
    pub cause: String,
    /// One command or one action.
    pub fix: String,
    /// The user wants to continue in spite of it.
    pub skipped: bool,
}

impl Finding {
    fn new(code: Code, cluster: &Cluster, object: ObjectId, cause: impl Into<String>) -> Finding {
        Finding {
            code,
            severity: code.severity(),
            cluster: cluster.name.clone(),
            object,
            cause: cause.into(),
            fix: format!("ambikiali explain {code}"),
            skipped: false,
        }
    }

    fn fix(mut self, fix: impl Into<String>) -> Finding {
        self.fix = fix.into();
        self
    }

    /// Sets a fix that is a kubectl command for this cluster.
    fn kubectl(self, cluster: &Cluster, rest: &str) -> Finding {
        self.fix(format!("{} {rest}", cluster.kubectl))
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error && !self.skipped
    }

    pub fn is_warning(&self) -> bool {
        self.severity == Severity::Warning && !self.skipped
    }
}

/// The result of a check.
pub struct Checked {
    /// Errors first, then by cluster and code.
    pub findings: Vec<Finding>,
    /// The objects of an install in each cluster, in the mesh's order.
    pub seen: Vec<Seen>,
}

/// Also looks at what runs of an earlier install, which a new one does not change.
pub async fn check_all(run: &Run<'_>, skip: &[Code]) -> Result<Checked> {
    let (mut checked, scrapes) = tokio::join!(check(run, skip), scrapes::check(run));
    if let Ok(Checked { findings, .. }) = &mut checked {
        findings.extend(scrapes);
        sort(run, findings, skip);
    }
    checked
}

/// What may stop an install, or is worth to know before it.
pub async fn check(run: &Run<'_>, skip: &[Code]) -> Result<Checked> {
    let looked = run
        .mesh
        .all()
        .map(|cluster| run.unless_left_out(cluster, one(run, cluster)));
    let (mut facts, mut findings, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for looked in try_join_all(looked).await? {
        // Nothing is known about a remote that is left out.
        let Some(looked) = looked else {
            seen.push(Seen::default());
            continue;
        };
        facts.push(looked.facts);
        findings.extend(looked.findings);
        seen.push(looked.seen);
    }
    findings.extend(fleet::compare(
        &facts,
        run.namespace,
        run.left_out.is_empty(),
    ));
    sort(run, &mut findings, skip);
    Ok(Checked { findings, seen })
}

fn sort(run: &Run<'_>, findings: &mut [Finding], skip: &[Code]) {
    for finding in findings.iter_mut() {
        finding.skipped = skip.contains(&finding.code);
    }
    let place = |finding: &Finding| run.mesh.all().position(|c| c.name == finding.cluster);
    findings.sort_by_key(|f| (f.skipped, f.severity, place(f), f.code));
}

/// The result in one cluster.
struct One<'a> {
    facts: Facts<'a>,
    findings: Vec<Finding>,
    seen: Seen,
}

async fn one<'a>(run: &Run<'a>, cluster: &'a Cluster) -> Result<One<'a>> {
    let scope = run.on(Step::Namespace, cluster);
    let mut planned = planned(run, cluster)?;
    // Rights and objects are judged by the record. Home's record was read with the session. Errors are reported by the
    // comparison of the clusters.
    if !scope.is_home() {
        let _ = record::look(&scope).await;
    }
    let history = history::check(&scope, &mut planned).await?;
    let (facts, kinds, rights, sync, secrets, others, login, store, own) = tokio::try_join!(
        Facts::of(&scope),
        async {
            match cluster.prometheus.is_some() || run.settings.store.is_some() {
                // No Gateway is created there.
                true => Ok(Vec::new()),
                false => gateway_api::check(&scope).await,
            }
        },
        rights::check(run, &scope, &planned),
        sync::check(run, &scope),
        secrets::check(&scope),
        async { Ok(others::check(&scope).await) },
        login::check(&scope),
        store::check(run, &scope),
        async { Ok(own_prometheus::check(run, &scope).await) },
    )?;
    if let Some(elsewhere) = istio::elsewhere(&facts) {
        // Everything else would be searched in the wrong namespace.
        return Ok(One {
            facts,
            findings: vec![elsewhere],
            seen: Seen::default(),
        });
    }
    let own_policies = policies::planned(&planned);
    let namespace = &facts.namespace;
    let (mut objects, seen) = objects_of(&scope, planned, namespace, rights.is_empty()).await?;
    // That the server refuses an object is known already where its finding says why.
    let is_told = |object: &ObjectId| history.iter().any(|told| told.object == *object);
    objects.retain(|finding| finding.code != Code::Refused || !is_told(&finding.object));
    let (istio, servers) = (istio::judge(&facts), servers::judge(&facts));
    let reach = reach::judge(&facts, run.mesh);
    let home = run.is_home(cluster);
    let exposed = exposed::judge(run, &facts);
    let policies = policies::judge(&facts, home, scope.namespace, &own_policies);
    let findings = [
        kinds, rights, objects, istio, reach, sync, servers, secrets, exposed, policies, others,
        login, history, store, own,
    ];
    let mut findings = findings.concat();
    if run.settings.store.is_some() {
        findings.retain(|finding| !finding.code.is_about_gateway());
    }
    Ok(One {
        facts,
        findings: at_once(findings),
        seen,
    })
}

/// The findings about the objects of an install, and the objects as they are now.
async fn objects_of(
    scope: &Scope<'_>,
    mut planned: Vec<(Step, Value)>,
    namespace: &Looked<Namespace>,
    has_rights: bool,
) -> Result<(Vec<Finding>, Seen)> {
    let has_namespace = !matches!(namespace, Ok(None));
    // A missing namespace contains nothing, and an existing one is not changed.
    planned.retain(|(step, object)| match step {
        Step::Namespace => !has_namespace,
        _ => has_namespace || object["metadata"]["namespace"] != scope.namespace,
    });
    let mode = LookMode {
        first: !has_namespace,
        rehearse: has_rights,
    };
    let looked = objects::look(scope, planned, mode).await?;
    let foreign = taken::foreign(scope, &looked);
    let mut findings = taken::judge(scope, &foreign).await?;
    // All missing rights are findings already.
    if has_rights {
        findings.extend(rehearsal::judge(scope, &looked, &foreign).await?);
    }
    let mut seen = objects::seen(&looked);
    // One that is being deleted is waited for.
    if let Ok(Some(namespace)) = namespace
        && namespace.metadata.deletion_timestamp.is_none()
    {
        let live = serde_json::to_value(namespace)?;
        seen.put(Key::of(&live), Some(live));
    }
    Ok((findings, seen))
}

/// Merges all findings about objects that the user may not read.
fn at_once(findings: Vec<Finding>) -> Vec<Finding> {
    let is_blind = |finding: &Finding| finding.code == Code::NotLookedAt;
    let (blind, mut findings): (Vec<_>, Vec<_>) = findings.into_iter().partition(is_blind);
    let objects = blind.iter().map(|finding| finding.object.to_string());
    let objects = objects.collect::<Vec<_>>().join(", ");
    findings.extend(blind.into_iter().next().map(|first| Finding {
        object: ObjectId::cluster_wide("Rights", "to read"),
        cause: format!("the user may not read {objects}; whether all is well there is unknown"),
        ..first
    }));
    findings
}

/// Fails for a loopback address, which in Kiali's pod is the pod itself.
pub fn usable_addresses(mesh: &Mesh, allow_loopback: bool) -> Result<(), Problem> {
    let local = |remote: &&Cluster| remote.endpoint.local_only && !allow_loopback;
    match mesh.remotes.iter().find(local) {
        None => Ok(()),
        Some(remote) => Err(Problem::new(
            Exit::Preflight,
            format!(
                "{}: context {} says its API server is at {}, which inside a pod of {} is the pod itself",
                remote.name, remote.context, remote.endpoint.server, mesh.home.name
            ),
        )
        .code(Code::LoopbackAddress)
        .fix(format!("name the address that pods of home reach: {} https://HOST:PORT", remote.endpoint.flag))),
    }
}
