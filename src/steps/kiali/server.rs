//! Kiali's own API, through a port-forward. `/healthz` and "accessible" in its configuration are always true; only
//! these three responses prove that Kiali sees a cluster. Behind a login, Kiali answers only the first one, under
//! another path.

use std::time::Duration;

use super::WEB_ROOT;
use crate::k8s::Scope;
use crate::k8s::forward::{Connection, Target};
use crate::mesh::ClusterName;
use crate::visible;
use anyhow::{Context, Result};
use http::StatusCode;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    external_services: Vec<ExternalService>,
}

impl Status {
    fn names(&self, cluster: &ClusterName) -> bool {
        let wanted = format!("Kubernetes-{cluster}");
        self.external_services.iter().any(|s| s.name == wanted)
    }
}

#[derive(Deserialize)]
struct ExternalService {
    name: String,
}

/// The status of a healthy component.
const HEALTHY: &str = "Healthy";
/// Components that are not a control plane, although some of them are called core too.
const BESIDE: [&str; 6] = [
    "prometheus",
    "grafana",
    "tracing",
    "custom dashboards",
    "perses",
    "ztunnel",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(default)]
    cluster: String,
    #[serde(deserialize_with = "visible::said")]
    name: String,
    #[serde(deserialize_with = "visible::said")]
    status: String,
    #[serde(default)]
    is_core: bool,
}

impl Component {
    fn is_istiod_of(&self, cluster: &ClusterName) -> bool {
        self.is_core && self.cluster == cluster.as_str() && !BESIDE.contains(&self.name.as_str())
    }
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(default)]
    cluster: String,
}

/// The first reason why Kiali does not see these clusters; None if it sees them all. Other reasons follow from the
/// first, and a remote that hangs makes Kiali hang.
pub async fn blind_spot(
    scope: &Scope<'_>,
    target: &Target,
    clusters: &[ClusterName],
    patience: Duration,
) -> Option<String> {
    match look(scope, target, clusters, patience).await {
        Ok(spot) => spot,
        Err(error) => Some(format!("{error:#}")),
    }
}

/// The same, with an error if Kiali did not answer.
pub async fn look(
    scope: &Scope<'_>,
    target: &Target,
    clusters: &[ClusterName],
    patience: Duration,
) -> Result<Option<String>> {
    let mut kiali = Connection::open(scope, target, patience).await?;
    let asked = status(scope);
    let status = kiali.get(&path(asked)).await;
    let spot = unreachable(&status.with_context(|| format!("its {asked}"))?, clusters);
    if spot.is_some() {
        return Ok(spot);
    }
    if scope.settings.login.is_some() {
        let answer = kiali.status(&path(NAMESPACES)).await;
        return Ok(without_login(answer.context("its /api/namespaces")?));
    }
    let namespaces = kiali.get::<Vec<_>>(&path(NAMESPACES)).await;
    let spot = without_namespaces(&namespaces.context("its /api/namespaces")?, clusters);
    if spot.is_some() {
        return Ok(spot);
    }
    let istio = kiali.get::<Vec<_>>(&path("/api/istio/status")).await;
    Ok(ailing(&istio.context("its /api/istio/status")?, clusters))
}

/// A message about those of these clusters that Kiali still names; None if it names none.
pub async fn still_named(
    scope: &Scope<'_>,
    target: &Target,
    clusters: &[ClusterName],
    patience: Duration,
) -> Option<String> {
    if clusters.is_empty() {
        return None;
    }
    let status = async {
        let mut kiali = Connection::once(scope, target, patience).await?;
        kiali.get::<Status>(&path(status(scope))).await
    };
    match status.await {
        Ok(status) => list(
            "it still names",
            clusters.iter().filter(|c| status.names(c)),
        ),
        Err(error) => Some(format!("{error:#}")),
    }
}

const NAMESPACES: &str = "/api/namespaces";

/// Both paths have the same answer. Kiali gives it with its own rights, and under the second path to anybody.
fn status(scope: &Scope<'_>) -> &'static str {
    match scope.settings.login {
        None => "/api/status",
        Some(_) => "/api",
    }
}

/// Whether Kiali answers a stranger.
fn without_login(answer: StatusCode) -> Option<String> {
    match answer {
        StatusCode::UNAUTHORIZED => None,
        StatusCode::OK => Some("it shows namespaces without a login".into()),
        other => Some(format!("it answers {other} to a request without a login")),
    }
}

fn path(path: &str) -> String {
    format!("{WEB_ROOT}{path}")
}

/// Kiali names a cluster only while the API server of that cluster answers.
fn unreachable(status: &Status, clusters: &[ClusterName]) -> Option<String> {
    list(
        "it cannot reach",
        clusters.iter().filter(|c| !status.names(c)),
    )
}

fn without_namespaces(namespaces: &[Namespace], clusters: &[ClusterName]) -> Option<String> {
    let seen = |c: &&ClusterName| namespaces.iter().any(|n| n.cluster == c.as_str());
    list(
        "it sees no namespace of",
        clusters.iter().filter(|c| !seen(c)),
    )
}

/// The first control plane that Kiali does not know or does not find healthy.
fn ailing(components: &[Component], clusters: &[ClusterName]) -> Option<String> {
    clusters.iter().find_map(|cluster| {
        let mut istiods = components.iter().filter(|c| c.is_istiod_of(cluster)).peekable();
        if istiods.peek().is_none() {
            return Some(format!("it finds no istiod in {cluster}"));
        }
        let ailing = istiods.find(|istiod| istiod.status != HEALTHY)?;
        let Component { name, status, .. } = ailing;
        let hint = match status.as_str() {
            "Unreachable" => {
                "; it asks istiod's port 8080 through that cluster's API server, as pods/portforward"
            }
            _ => "",
        };
        Some(format!("it says of {name} in {cluster}: {status}{hint}"))
    })
}

fn list<'a>(what: &str, clusters: impl Iterator<Item = &'a ClusterName>) -> Option<String> {
    let names = clusters.map(ToString::to_string).collect::<Vec<_>>();
    (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn clusters() -> Vec<ClusterName> {
        ["cluster1", "cluster2"]
            .map(|n| ClusterName::new(n).unwrap())
            .into()
    }

    #[test]
    fn a_cluster_is_seen_when_its_server_answered() {
        let status = |names: &[&str]| -> Status {
            let services = names
                .iter()
                .map(|n| json!({"name": n, "version": "v1"}))
                .collect::<Vec<_>>();
            serde_json::from_value(json!({"externalServices": services})).unwrap()
        };
        let both = status(&["Kubernetes-cluster2", "Prometheus", "Kubernetes-cluster1"]);
        assert_eq!(unreachable(&both, &clusters()), None);
        let one = status(&["Kubernetes-cluster1", "Kubernetes-cluster22"]);
        assert_eq!(
            unreachable(&one, &clusters()).as_deref(),
            Some("it cannot reach cluster2")
        );
        assert_eq!(
            unreachable(&status(&[]), &clusters()).as_deref(),
            Some("it cannot reach cluster1, cluster2")
        );
    }

    #[test]
    fn a_control_plane_that_is_not_healthy_or_not_there_is_named() {
        let said = |statuses: &[(&str, &str, &str, bool)]| {
            let each = statuses.iter().map(|(cluster, name, status, core)| {
                json!({"cluster": cluster, "name": name, "status": status, "isCore": core})
            });
            let all = each.collect::<Vec<_>>();
            ailing(
                &serde_json::from_value::<Vec<_>>(json!(all)).unwrap(),
                &clusters(),
            )
        };
        let one = ("cluster1", "istiod", "Healthy", true);
        let beside = [
            ("cluster1", "prometheus", "Unreachable", true),
            ("cluster2", "prometheus-gateway-istio", "NotReady", false),
        ];
        let with = |istiod| said(&[&[one, istiod][..], &beside].concat());
        assert_eq!(with(("cluster2", "istiod-1-28", "Healthy", true)), None);
        assert_eq!(
            with(("cluster2", "istiod", "NotReady", true)).unwrap(),
            "it says of istiod in cluster2: NotReady"
        );
        let unreachable = with(("cluster2", "istiod", "Unreachable", true)).unwrap();
        assert!(
            unreachable.contains("istiod in cluster2: Unreachable; it asks istiod's port 8080")
        );
        assert_eq!(said(&[one]).unwrap(), "it finds no istiod in cluster2");
    }

    #[test]
    fn a_kiali_behind_a_login_refuses_a_stranger() {
        assert_eq!(without_login(StatusCode::UNAUTHORIZED), None);
        assert_eq!(
            without_login(StatusCode::OK).unwrap(),
            "it shows namespaces without a login"
        );
        assert!(without_login(StatusCode::INTERNAL_SERVER_ERROR).is_some());
    }

    #[test]
    fn a_cluster_is_seen_when_it_has_namespaces() {
        let namespaces = [Namespace {
            cluster: "cluster1".into(),
        }];
        assert_eq!(
            without_namespaces(&namespaces, &clusters()).as_deref(),
            Some("it sees no namespace of cluster2")
        );
    }

    #[test]
    fn whatever_kiali_answers_is_read_or_refused() {
        let samples = [
            r#"{"status": {"Kiali version": "v2.29.0", "Kiali state": "running"}, "externalServices": [
                {"name": "Istio", "version": "1.28.0"}, {"name": "Prometheus", "version": "3.5.0"},
                {"name": "Kubernetes-cluster1", "version": "v1.34.0"},
                {"name": "Kubernetes-cluster2", "version": "v1.34.0"}], "warningMessages": [],
                "istioEnvironment": {"isMaistra": false, "istioAPIEnabled": true}}"#,
            r#"[{"name": "default", "cluster": "cluster1", "isAmbient": true, "labels": {"a": "b"},
                "annotations": null}, {"name": "sample", "cluster": "cluster2", "isAmbient": true}]"#,
            r#"[{"cluster": "cluster1", "name": "istiod", "isCore": true, "status": "Healthy"},
                {"cluster": "cluster2", "name": "prometheus", "isCore": false, "status": "Unreachable"}]"#,
        ];
        crate::fuzz::fuzz("Kiali's answers", &samples, |input| {
            if let Ok(status) = serde_json::from_slice(input) {
                unreachable(&status, &clusters());
            }
            if let Ok(namespaces) = serde_json::from_slice::<Vec<_>>(input) {
                without_namespaces(&namespaces, &clusters());
            }
            if let Ok(components) = serde_json::from_slice::<Vec<_>>(input) {
                ailing(&components, &clusters());
            }
        });
    }
}
