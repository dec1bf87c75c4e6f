//! Finds out which cluster a context points to. The cluster itself is asked; names in a kubeconfig do not count.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::kubeconfig::Source;
use super::revision::{LABEL, Revision, TAG, Tag, counting, revisions, within};
use super::{Cluster, ClusterName, Endpoint, Istiod, Known, Member, Prometheus, proxy};
use crate::code::Code;
use crate::deadline::Deadline;
use crate::mesh::pages;
use crate::mesh::retry::{Cause, persist};
use crate::problem::{Exit, Problem};
use crate::{files, limit, visible};

const PATIENCE: Duration = Duration::from_secs(10);
/// Namespace of Istio's control plane.
const ISTIO_NAMESPACE: &str = "istio-system";
/// How many istiods an error lists.
const NAMED: usize = 5;
/// Annotation of each namespace on a platform that assigns users to pods.
const USERS: &str = "openshift.io/sa.scc.uid-range";

pub async fn join(source: &Source, member: &Member, istiod: Istiod) -> Result<Cluster> {
    let entry = source.entry(member)?;
    let kubectl = source.kubectl(&member.context);
    let (own, cluster) = (member.clone(), entry.cluster.clone());
    let endpoint = files::run_blocking(move || Endpoint::new(&own, &cluster)).await;
    let endpoint = endpoint.map_err(|cause| {
        Problem::new(
            Exit::Preflight,
            format!("context {}: {}: {cause}", member.context, entry.cluster_is),
        )
        .code(Code::KubeconfigUnusable)
        .fix(format!("{kubectl} config view --minify"))
    })?;
    let (client, transport) = source.client(member).await?;
    let deadline = Deadline::after(PATIENCE.min(limit::left()));
    let asked = tokio::try_join!(
        persist(deadline, || system(&client)),
        persist(deadline, || istiods(&client))
    );
    let (system, istiods) =
        asked.map_err(|cause| unreachable(member, &transport.route(), &kubectl, &cause))?;
    let uid = system.metadata.uid.clone().unwrap_or_default();
    check_uid(member, &uid)?;
    let name = as_named(member, name(member, &kubectl, &istiods, istiod)?)?;
    let revision = revision(&client, deadline, &within(&istiods, ISTIO_NAMESPACE)).await;
    Ok(Cluster {
        name,
        number: member.number,
        revision,
        assigns_users: system.annotations().contains_key(USERS),
        context: member.context.clone(),
        kubectl,
        uid,
        server: transport.server().into(),
        client,
        transport,
        endpoint,
        prometheus: match &member.prometheus {
            Some(Prometheus::At(address)) => Some(address.clone()),
            Some(Prometheus::Ours) | None => None,
        },
        prometheus_is_set: member.prometheus.is_some(),
    })
}

async fn system(client: &Client) -> kube::Result<Namespace> {
    Api::<Namespace>::all(client.clone())
        .get("kube-system")
        .await
}

/// Reads revision tags, only if an istiod has a revision. Tags that may not be read count as missing: the
/// Gateway is then labelled with the revision, which works with tags too.
async fn revision(client: &Client, deadline: Deadline, istiods: &[Deployment]) -> Revision {
    if revisions(istiods)
        .iter()
        .all(|revision| *revision == "default")
    {
        return Revision::Default;
    }
    let namespaces = Api::<Namespace>::all(client.clone());
    let webhooks = Api::<MutatingWebhookConfiguration>::all(client.clone());
    let list = ListParams::default().labels(TAG);
    let (namespace, webhooks) = tokio::join!(
        persist(deadline, || namespaces.get(ISTIO_NAMESPACE)),
        persist(deadline, || pages::list(&webhooks, &list)),
    );
    let tag = |webhook: &MutatingWebhookConfiguration| {
        let label = |name: &str| webhook.labels().get(name).cloned();
        Some(Tag {
            name: label(TAG)?,
            revision: label(LABEL)?,
        })
    };
    let webhooks = webhooks.unwrap_or_default();
    let tags = webhooks.iter().filter_map(tag).collect::<Vec<_>>();
    let own = namespace.ok().and_then(|n| n.labels().get(LABEL).cloned());
    Revision::of(istiods, &tags, own.as_deref())
}

async fn istiods(client: &Client) -> kube::Result<Vec<Deployment>> {
    let list = ListParams::default().labels("app=istiod");
    pages::list(&Api::<Deployment>::all(client.clone()), &list).await
}

fn unreachable(member: &Member, route: &str, kubectl: &str, cause: &Cause) -> Problem {
    let code = match cause.status().map(|status| status.code) {
        Some(401) => Code::CredentialsRefused,
        Some(403) => Code::RightsMissing,
        _ if matches!(cause, Cause::Tls(_)) => Code::TlsRefused,
        _ => Code::Unreachable,
    };
    let fix = match cause {
        Cause::Proxy(_) => proxy::fix(kubectl),
        _ => format!("{kubectl} version"),
    };
    let text = format!("context {} at {route}: {cause}", member.context);
    Problem::new(Exit::Unreachable, text).code(code).fix(fix)
}

fn check_uid(member: &Member, uid: &str) -> Result<(), Problem> {
    match &member.known {
        Some(Known { uid: expected, .. }) if expected != uid => Err(Problem::new(
            Exit::Preflight,
            format!(
                "context {} points to a different cluster than at the last install (UID of kube-system: now {uid}, then {expected})",
                member.context
            ),
        )
        .fix("name the clusters with --ctx1 and --ctx2")),
        _ => Ok(()),
    }
}

/// Reads the cluster id from the istiod Deployment. Kiali reads the same variable, so both get the same name.
fn name(
    member: &Member,
    kubectl: &str,
    istiods: &[Deployment],
    required: Istiod,
) -> Result<ClusterName> {
    let counting = counting(istiods, ISTIO_NAMESPACE);
    let is_elsewhere = within(&counting, ISTIO_NAMESPACE).is_empty();
    // An istiod in another namespace must not block the cleanup of a cluster that lost its own.
    if is_elsewhere && required == Istiod::Optional && member.known.is_some() {
        return Ok(remembered(member));
    }
    let named = counting.iter().filter_map(|d| Some((cluster_id(d)?, d)));
    let named = named.collect::<Vec<_>>();
    let mut ids = named.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>();
    ids.sort_unstable();
    ids.dedup();
    let refuse = |cause: String| {
        Problem::new(
            Exit::Preflight,
            format!("context {}: {cause}", member.context),
        )
    };
    match (ids.as_slice(), required) {
        ([id], _) => Ok(ClusterName::new(id).map_err(|cause| {
            refuse(cause).code(Code::ClusterIdUnusable).fix("set values.global.multiCluster.clusterName to a name of letters, digits, - and _ and reinstall istiod")
        })?),
        ([], Istiod::Required) => Err(refuse(nameless_istiods(is_elsewhere))
            .code(Code::NoIstiod)
            .fix(format!("install Istio ambient multi-network first: {kubectl} get deployments -A -l app=istiod"))
            .into()),
        ([], Istiod::Optional) => Ok(remembered(member)),
        (_, Istiod::Optional) if is_elsewhere => Ok(remembered(member)),
        _ => Err(refuse(disagreeing(&named))
            .code(Code::ClusterIdsDisagree)
            .fix("give all revisions the same values.global.multiCluster.clusterName, and remove any Deployment that is not an istiod")
            .into()),
    }
}

/// Those elsewhere are not asked where Istio's own namespace has one.
fn nameless_istiods(is_elsewhere: bool) -> String {
    let of = match is_elsewhere {
        true => String::new(),
        false => format!(" in namespace {ISTIO_NAMESPACE}"),
    };
    format!("no Deployment with label app=istiod{of} has an environment variable CLUSTER_ID")
}

fn disagreeing(named: &[(String, &Deployment)]) -> String {
    let shown = named.iter().take(NAMED).map(|(id, istiod)| {
        let namespace = istiod.namespace().unwrap_or_default();
        format!("{namespace}/{} says {id}", istiod.name_any())
    });
    let more = named.len().saturating_sub(NAMED);
    let shown = visible::listed(&shown.collect::<Vec<_>>(), more);
    format!("its istiods disagree about the cluster id: Deployment {shown}")
}

/// Rejects a name from the user that differs from the Istio cluster id.
fn as_named(member: &Member, name: ClusterName) -> Result<ClusterName, Problem> {
    match &member.name {
        Some(wanted) if *wanted != name => Err(Problem::new(
            Exit::Preflight,
            format!(
                "context {} should be cluster {wanted}, but its Istio cluster id is {name}",
                member.context
            ),
        )
        .fix(format!(
            "name it {name}, or set values.global.multiCluster.clusterName={wanted} and reinstall its istiod"
        ))),
        _ => Ok(name),
    }
}

fn cluster_id(istiod: &Deployment) -> Option<String> {
    let pod = istiod.spec.template.spec.as_ref()?;
    let env = pod.containers.first()?.env.as_ref()?;
    env.iter()
        .find(|e| e.name == "CLUSTER_ID")?
        .value
        .clone()
        .filter(|v| !v.is_empty())
}

/// The recorded name of a cluster, for when it cannot be read from istiod.
pub fn remembered(member: &Member) -> ClusterName {
    let known = member.known.as_ref().map(|known| known.name.clone());
    let said = known.or_else(|| member.name.clone());
    said.unwrap_or_else(|| nameless(&member.context))
}

/// A name made from the context, so that a cluster without istiod can still be cleaned up.
fn nameless(context: &str) -> ClusterName {
    let label: String = context
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    ClusterName::new(label.trim_matches('-')).unwrap_or(ClusterName("unnamed".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn istiod(id: &str) -> Deployment {
        istiod_in("istio-system", id)
    }

    fn istiod_in(namespace: &str, id: &str) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": format!("istiod-{id}"), "namespace": namespace},
            "spec": {"selector": {}, "template": {"spec": {"containers": [
                {"name": "discovery", "env": [{"name": "CLUSTER_ID", "value": id}]}
            ]}}}
        }))
        .unwrap()
    }

    fn member() -> Member {
        Member {
            number: 1,
            context: "kind-east".into(),
            kubeconfig: None,
            name: None,
            prometheus: None,
            api_server: None,
            ca: None,
            tls_server_name: None,
            known: None,
        }
    }

    #[test]
    fn the_name_is_read_from_istiod() {
        let named = |list: &[Deployment], required| {
            name(&member(), "kubectl", list, required).map(|n| n.to_string())
        };
        assert_eq!(
            named(&[istiod("east"), istiod("east")], Istiod::Required).unwrap(),
            "east"
        );
        let refused = |list: &[Deployment]| named(list, Istiod::Required).unwrap_err().to_string();
        assert!(refused(&[]).contains("no Deployment with label app=istiod"));
        assert!(refused(&[istiod("")]).contains("no Deployment with label app=istiod"));
        assert!(refused(&[istiod("Kubernetes")]).contains("\"Kubernetes\" is Istio's default"));
        let said = "disagree about the cluster id: Deployment istio-system/istiod-a says a, istio-system/istiod-b says b";
        assert!(refused(&[istiod("a"), istiod("b")]).contains(said));
    }

    #[test]
    fn istiods_in_other_namespaces_count_only_without_one_in_istio_system() {
        let named = |list: &[Deployment], required| {
            name(&member(), "kubectl", list, required).map(|n| n.to_string())
        };
        let theirs = istiod_in("victim", "other");
        let both = [theirs.clone(), istiod("east")];
        assert_eq!(named(&both, Istiod::Required).unwrap(), "east");
        let two = [theirs, istiod_in("team", "east")];
        assert!(named(&two, Istiod::Required).is_err());
        assert_eq!(named(&two, Istiod::Optional).unwrap(), "kind-east");
    }

    #[test]
    fn a_cluster_without_istiod_is_named_by_its_context() {
        assert_eq!(
            name(&member(), "kubectl", &[], Istiod::Optional)
                .unwrap()
                .to_string(),
            "kind-east"
        );
        assert_eq!(
            nameless("arn:aws:eks/Prod_1").to_string(),
            "arn-aws-eks-prod-1"
        );
        assert_eq!(nameless("@@").to_string(), "unnamed");
    }
}
