//! What one cluster tells: its objects as `check` and `status` judge them, its clock, its namespaces, and the address and
//! the certificates of its Gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1;
use k8s_openapi::jiff::SignedDuration;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::workloads::{self, LeftOut, Policy, Redirection, Service};
use super::{Known, in_time};
use crate::check::Finding;
use crate::guide::Step;
use crate::k8s::Scope;
use crate::k8s::request::send;
use crate::mesh::{Cluster, ClusterName, pages};
use crate::progress::ObjectId;
use crate::run::Run;
use crate::status::Row;
use crate::steps::{ScrapeTarget, aggregate_metrics, expose_prometheus, remote_secret};

/// For an API server with Kiali's kubeconfig.
const ANSWER: Duration = Duration::from_secs(10);
const MODE: &str = "istio.io/dataplane-mode";
/// Namespaces with one of these labels have sidecars.
const SIDECARS: [&str; 2] = ["istio-injection", "istio.io/rev"];

pub struct ClusterEvidence {
    pub name: ClusterName,
    /// kubectl with the flags that select it.
    pub kubectl: String,
    /// Whether its Prometheus is one of the user's.
    pub has_own_prometheus: bool,
    /// How far its clock is ahead of home's; None if its server tells no time.
    pub ahead: Option<SignedDuration>,
    /// What `check` says of its mesh.
    pub findings: Known<Vec<Finding>>,
    /// What `status` says of the install in it.
    pub rows: Known<Vec<Row>>,
    /// Where its Prometheus is exposed; None without an address.
    pub exposed: Known<Option<ScrapeTarget>>,
    /// Whether its Gateway and the federating Prometheus know each other's certificates; None without mutual TLS.
    pub trust: Known<Option<Trust>>,
    pub namespaces: Known<Vec<Namespace>>,
    /// The Services in namespaces of the mesh.
    pub services: Known<Vec<Service>>,
    /// The pods with a label that keeps them out of the mesh.
    pub left_out: Known<Vec<LeftOut>>,
    pub redirection: Known<Redirection>,
    /// The AuthorizationPolicies that may hold for a Service.
    pub policies: Known<Vec<Policy>>,
    /// The DaemonSet of a pod with ztunnel's label; None without such a pod.
    pub ztunnel: Known<Option<ObjectId>>,
    /// What its API server says to Kiali's token; None for home and for a remote that Kiali does not know.
    pub token: Option<Known<Token>>,
}

/// A namespace, as far as the mesh is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    pub name: String,
    pub is_ambient: bool,
    pub has_sidecars: bool,
    /// Of the Services in it that name none.
    pub waypoint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    pub gateway_lets_home_in: bool,
    pub home_trusts_gateway: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Accepted,
    /// 401, with what the server said.
    Refused(String),
    /// Anything else, which is not about the token.
    Other(String),
}

pub async fn gather(run: &Run<'_>, cluster: &Cluster) -> ClusterEvidence {
    let gateway = run.on(Step::ExposePrometheus, cluster);
    let (exposed, trust, namespaces, services, left_out, policies, ztunnel) = tokio::join!(
        in_time(async { said(expose_prometheus::target(&gateway, true).await) }),
        in_time(async { said(trust(run, &gateway).await) }),
        in_time(async { said(namespaces(&gateway).await) }),
        in_time(async { said(workloads::services(&gateway).await) }),
        in_time(async { said(workloads::left_out(&gateway).await) }),
        in_time(async { said(workloads::policies(&gateway).await) }),
        in_time(async { said(workloads::ztunnel(&gateway).await) }),
    );
    // Outside of the mesh, they are no business of Istio.
    let services = services.and_then(|services| {
        let namespaces = namespaces.as_ref().map_err(Clone::clone)?;
        let ambient = namespaces.iter().filter(|one| one.is_ambient);
        let inside = services.into_iter().filter_map(|one| {
            let mut ambient = ambient.clone();
            let namespace = ambient.find(|space| space.name == one.namespace)?;
            Some(one.within(namespace.waypoint.as_ref()))
        });
        Ok(inside.collect::<Vec<_>>())
    });
    let redirection = match &services {
        Ok(inside) => in_time(async { said(workloads::redirection(&gateway, inside).await) }).await,
        Err(why) => Err(why.clone()),
    };
    let clocks = cluster.server_time().zip(run.mesh.home.server_time());
    ClusterEvidence {
        name: cluster.name.clone(),
        kubectl: cluster.kubectl.clone(),
        has_own_prometheus: cluster.prometheus.is_some(),
        ahead: clocks.map(|(theirs, home)| theirs.duration_since(home)),
        findings: Ok(Vec::new()),
        rows: Ok(Vec::new()),
        exposed,
        trust,
        namespaces,
        services,
        left_out,
        redirection,
        policies,
        ztunnel,
        token: None,
    }
}

fn said<T>(answer: Result<T>) -> Known<T> {
    answer.map_err(|error| format!("{error:#}"))
}

async fn trust(run: &Run<'_>, gateway: &Scope<'_>) -> Result<Option<Trust>> {
    let has_gateway = gateway.cluster.prometheus.is_none() && run.settings.store.is_none();
    if !has_gateway || !run.settings.exposure.mutual_tls() {
        return Ok(None);
    }
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    let cluster = &gateway.cluster.name;
    let (client, server) = tokio::try_join!(
        aggregate_metrics::certificate(&home),
        expose_prometheus::certificate(gateway),
    )?;
    let (gateway_lets_home_in, home_trusts_gateway) = tokio::try_join!(
        expose_prometheus::trusts(gateway, &client),
        aggregate_metrics::trusts(&home, cluster, &server),
    )?;
    Ok(Some(Trust {
        gateway_lets_home_in,
        home_trusts_gateway,
    }))
}

async fn namespaces(scope: &Scope<'_>) -> Result<Vec<Namespace>> {
    let api = Api::<v1::Namespace>::all(scope.cluster.client.clone());
    let all = ObjectId::cluster_wide("Namespaces", "all");
    let params = ListParams::default();
    let found = send(scope, &all, || pages::list_metadata(&api, &params)).await?;
    let namespace = |one: &kube::core::PartialObjectMeta<v1::Namespace>| {
        let labels = one.labels();
        Namespace {
            name: one.name_any(),
            is_ambient: labels.get(MODE).is_some_and(|mode| mode == "ambient"),
            has_sidecars: SIDECARS.iter().any(|label| labels.contains_key(*label)),
            waypoint: labels.get(workloads::WAYPOINT).cloned(),
        }
    };
    Ok(found.iter().map(namespace).collect())
}

/// Uses each kubeconfig that Kiali has, as Kiali does.
pub async fn tokens(run: &Run<'_>) -> Known<BTreeMap<String, Known<Token>>> {
    let home = run.on(Step::RemoteSecret, &run.mesh.home);
    let remotes = run.mesh.remotes.iter().map(|remote| remote.name.clone());
    let remotes = remotes.collect::<Vec<_>>();
    let answers = remote_secret::accepted(&home, &remotes, ANSWER).await;
    let told = |answer: Result<(), remote_secret::Answer>| match answer {
        Ok(()) => Token::Accepted,
        Err(remote_secret::Answer::Unknown(why)) => Token::Refused(why),
        Err(other) => Token::Other(other.cause()),
    };
    let answers = said(answers)?.into_iter();
    Ok(answers.map(|(name, said)| (name, said.map(told))).collect())
}
