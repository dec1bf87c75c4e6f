//! Whether a server accepts the objects that an install writes, tried as dry runs: privilege escalation, schemas,
//! policies and webhooks are known before the first write. Objects in a missing namespace, or of a missing kind,
//! cannot be tried.

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::objects::{Live, PlannedObject};
use super::{AT_ONCE, Finding, taken};
use crate::code::Code;
use crate::k8s::request::{RequestError, send, send_opt};
use crate::k8s::{FIELD_MANAGER, Scope, additions, advice};
use crate::progress::ObjectId;

const ACCOUNT: &str = "/spec/template/spec/serviceAccountName";

/// `foreign` are objects of others, which need not be written.
pub async fn judge(
    scope: &Scope<'_>,
    looked: &[PlannedObject],
    foreign: &[(&PlannedObject, &Value)],
) -> Result<Vec<Finding>> {
    let asked = looked.iter().filter(|one| !taken::serves(foreign, one));
    let asked = asked.collect::<Vec<_>>();
    let mut findings = Vec::new();
    for refusal in asked.iter().filter_map(|one| one.refusal.as_ref()) {
        findings.extend(refused(scope, refusal).await?);
    }
    for one in &asked {
        findings.extend(changed(scope, one).await?);
    }
    // Every policy accepts a Deployment, but not its pods.
    let deployments = asked.into_iter().filter(|one| one.id.kind == "Deployment");
    let pods = deployments.map(|deployment| pod(scope, deployment, looked));
    let refused = futures::stream::iter(pods).buffered(AT_ONCE);
    let refused = refused.try_collect::<Vec<_>>().await?;
    findings.extend(refused.into_iter().flatten());
    Ok(findings)
}

/// Fields of an object that admission changes, as it would be stored or as it is.
async fn changed(scope: &Scope<'_>, one: &PlannedObject) -> Result<Option<Finding>> {
    let live = match &one.live {
        Live::There(live) if scope.record.is_ours(live) => Some(live),
        Live::Absent => None,
        // What others added to an object cannot be told from what admission adds to it.
        Live::There(_) | Live::Unknown => return Ok(None),
    };
    let Some(now) = one.stored.as_ref().or(live) else {
        return Ok(None);
    };
    let fields = additions::admitted(scope, &one.wanted, live, now).await?;
    Ok(overruled(scope, one.id.clone(), "it", &fields))
}

/// Tries the first pod of a Deployment, as its ReplicaSet would create it: quotas, limits, pod security and most
/// policies apply only to pods. A Deployment with pods is judged by those.
async fn pod(
    scope: &Scope<'_>,
    deployment: &PlannedObject,
    looked: &[PlannedObject],
) -> Result<Option<Finding>> {
    if let Live::There(live) = &deployment.live
        && live["status"]["replicas"].as_u64() > Some(0)
    {
        return Ok(None);
    }
    let (id, deployment) = (deployment.id.clone(), &deployment.wanted);
    let namespace = id.namespace.clone().unwrap_or_default();
    let account = account(scope, deployment, &namespace, looked).await?;
    let name = format!("{}-dry-run", id.name);
    let wanted: Pod = serde_json::from_value(pod_of(deployment, &name, account))?;
    let api = Api::<Pod>::namespaced(scope.cluster.client.clone(), &namespace);
    let params = PostParams {
        dry_run: true,
        field_manager: Some(FIELD_MANAGER.into()),
    };
    let object = ObjectId::new("Pod", &namespace, &name);
    match send(scope, &object, || api.create(&params, &wanted)).await {
        Ok(pod) => {
            let pod = serde_json::to_value(pod)?;
            let fields = additions::changed_pod(&serde_json::to_value(&wanted)?, &pod);
            Ok(overruled(scope, id, "its pod", &fields))
        }
        Err(refusal) => judged(scope, id, refusal).await,
    }
}

/// The finding that admission changes an object or its pod.
fn overruled(
    scope: &Scope<'_>,
    id: ObjectId,
    what: &str,
    fields: &[impl ToString],
) -> Option<Finding> {
    if fields.is_empty() {
        return None;
    }
    let fields = additions::listed(fields);
    let cause = format!("an admission policy or webhook of the cluster changes {what} at {fields}");
    let finding = Finding::new(Code::Overruled, scope.cluster, id, cause);
    Some(finding.kubectl(scope.cluster, "get mutatingwebhookconfigurations -o yaml"))
}

/// Whether the ServiceAccount of the pods exists. Without it, the server refuses every pod, so the default account is
/// used for the dry run.
async fn account(
    scope: &Scope<'_>,
    deployment: &Value,
    namespace: &str,
    looked: &[PlannedObject],
) -> Result<bool> {
    let Some(name) = deployment.pointer(ACCOUNT).and_then(Value::as_str) else {
        return Ok(true);
    };
    let account = ObjectId::new("ServiceAccount", namespace, name);
    match looked
        .iter()
        .find(|one| one.id == account)
        .map(|one| &one.live)
    {
        Some(Live::There(_)) => return Ok(true),
        Some(Live::Absent) => return Ok(false),
        Some(Live::Unknown) | None => {}
    }
    let api = Api::<ServiceAccount>::namespaced(scope.cluster.client.clone(), namespace);
    let found = send_opt(scope, &account, || api.get(name)).await?;
    Ok(found.is_some())
}

fn pod_of(deployment: &Value, name: &str, account: bool) -> Value {
    let template = &deployment["spec"]["template"];
    let mut metadata = template["metadata"].clone();
    metadata["name"] = json!(name);
    metadata["namespace"] = deployment["metadata"]["namespace"].clone();
    let mut spec = template["spec"].clone();
    if let (false, Some(spec)) = (account, spec.as_object_mut()) {
        spec.remove("serviceAccountName");
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

async fn judged(scope: &Scope<'_>, id: ObjectId, refusal: RequestError) -> Result<Option<Finding>> {
    let text = refusal.text();
    let finding = |code, cause| Finding::new(code, scope.cluster, id.clone(), cause);
    let refused =
        |fix: String| finding(Code::Refused, format!("its pod is refused: {text}")).fix(fix);
    if let Some((whose, look)) = advice::unanswered(scope, &refusal).await {
        let cause = format!("its pod is refused: {text}; {whose}");
        return Ok(Some(finding(Code::Refused, cause).fix(look)));
    }
    let unasked = refusal.is_missing() || refusal.is_terminating() || refusal.is_without_dry_run();
    match refusal.status().map(|status| status.code) {
        _ if unasked => Ok(None),
        // The default account is created shortly after the namespace.
        Some(403) if text.contains("error looking up service account") => Ok(None),
        Some(403) if refusal.is_for_rights() => {
            let pods = ObjectId::cluster_wide("Pods", "as dry runs");
            let finding = Finding::new(Code::NotLookedAt, scope.cluster, pods, text);
            Ok(Some(finding.kubectl(scope.cluster, "auth can-i --list")))
        }
        // Another pod with that name, or a concurrent update of a quota.
        Some(409) => Ok(None),
        Some(400 | 403 | 422) => Ok(Some(refused(look(scope, &id, &refusal)))),
        _ => Err(refusal.into()),
    }
}

fn look(scope: &Scope<'_>, id: &ObjectId, refusal: &RequestError) -> String {
    let kubectl = &scope.cluster.kubectl;
    let namespace = id.namespace.as_deref().unwrap_or_default();
    let text = refusal.text();
    match refusal.problem().fix {
        _ if text.contains(" quota: ") => format!("{kubectl} -n {namespace} describe quota"),
        _ if text.contains(" usage per ") || text.contains(" per Container ") => {
            format!("{kubectl} -n {namespace} describe limitranges")
        }
        _ if text.contains("PodSecurity") => format!("{kubectl} get namespace {namespace} -o yaml"),
        Some(fix) => fix,
        None => format!("{kubectl} -n {namespace} get quota,limitranges,events"),
    }
}

async fn refused(scope: &Scope<'_>, refusal: &RequestError) -> Result<Option<Finding>> {
    if refusal.is_missing() || refusal.is_terminating() || refusal.is_without_dry_run() {
        return Ok(None);
    }
    let finding = |code, cause| Finding::new(code, scope.cluster, refusal.object().clone(), cause);
    if let Some((whose, look)) = advice::unanswered(scope, refusal).await {
        let cause = format!("{}; {whose}", refusal.text());
        return Ok(Some(finding(Code::Refused, cause).fix(look)));
    }
    let code = match refusal.status().map(|status| status.code) {
        Some(403) if refusal.is_for_rights() => Code::RightsMissing,
        Some(400 | 403 | 422) => Code::Refused,
        _ => return Err(refusal.problem().into()),
    };
    let found = finding(code, refusal.text());
    Ok(Some(match refusal.problem().fix {
        Some(fix) => found.fix(fix),
        None => found,
    }))
}
