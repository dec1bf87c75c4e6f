//! The objects of an install, by cluster and step: what a run may write, and what `render` prints.

use anyhow::Result;
use serde_json::Value;

use crate::guide::Step;
use crate::k8s::delete;
use crate::k8s::inventory::Inventory;
use crate::k8s::kiali_cr;
use crate::k8s::record::Key;
use crate::mesh::{Cluster, ClusterName};
use crate::run::Run;
use crate::settings::Settings;
use crate::steps::{
    ScrapeTarget, aggregate_metrics, cluster_prometheus, expose_prometheus, kiali, kiali_operator,
    namespaces, probes, remote_cluster, remote_secret,
};

/// Everything that determines the objects of one cluster, except for tokens.
pub struct Place<'a> {
    pub cluster: &'a ClusterName,
    pub home: bool,
    pub namespace: &'a str,
    pub settings: &'a Settings,
    /// The revision label that the Gateway needs.
    pub revision: Option<&'a str>,
    /// Whether the platform assigns the user of each pod.
    pub assigns_users: bool,
    /// The scrape targets of home.
    pub targets: &'a [ScrapeTarget],
}

/// The objects that this run may write to a cluster, without addresses and tokens, which are not known yet.
pub fn planned(run: &Run<'_>, cluster: &Cluster) -> Result<Vec<(Step, Value)>> {
    on(run, cluster, run.settings)
}

/// The objects that an earlier install may have made in a cluster, and that this run removes.
pub fn unwanted(run: &Run<'_>, cluster: &Cluster) -> Result<Vec<Value>> {
    let objects = |planned: Vec<(Step, Value)>| planned.into_iter().map(|(_, object)| object);
    let wanted = objects(planned(run, cluster)?).collect::<Vec<_>>();
    let possible = on(run, cluster, &run.settings.with_all_objects())?;
    let mut possible = objects(possible).collect::<Vec<_>>();
    // With a foreign Prometheus, ours is not touched.
    if cluster.prometheus.is_none() {
        possible.extend(cluster_prometheus::objects_of_earlier_versions());
    }
    Ok(delete::unwanted(possible, &wanted))
}

fn on(run: &Run<'_>, cluster: &Cluster, settings: &Settings) -> Result<Vec<(Step, Value)>> {
    let mut planned = objects(&Place {
        cluster: &cluster.name,
        home: run.is_home(cluster),
        namespace: run.namespace,
        settings,
        revision: cluster.revision.label(),
        assigns_users: cluster.assigns_users,
        targets: &[],
    })?;
    let own = [Step::ClusterPrometheus, Step::ExposePrometheus];
    planned.retain(|(step, _)| cluster.prometheus.is_none() || !own.contains(step));
    Ok(planned)
}

pub fn objects(place: &Place<'_>) -> Result<Vec<(Step, Value)>> {
    let (namespace, settings) = (place.namespace, place.settings);
    let mut operator = kiali_operator::objects(namespace, settings, place.home)?;
    operator.push(kiali_operator::crd()?);
    let exposed =
        expose_prometheus::objects(cluster_prometheus::PORT, place.revision, settings, None)?;
    let mut all = vec![
        (Step::Namespace, vec![namespaces::object(namespace)?]),
        (
            Step::ClusterPrometheus,
            cluster_prometheus::objects(place.cluster, settings, place.assigns_users)?,
        ),
        (Step::ExposePrometheus, exposed),
        (Step::KialiOperator, operator),
    ];
    if place.home {
        let secret = remote_secret::object(namespace, &[])?;
        let prometheus = aggregate_metrics::url(namespace);
        let kiali = kiali::objects(namespace, place.cluster, &prometheus, settings)?;
        let metrics = aggregate_metrics::objects(
            namespace,
            place.targets,
            settings,
            place.assigns_users,
            None,
        )?;
        all.push((Step::AggregateMetrics, metrics));
        all.push((Step::RemoteSecret, vec![secret]));
        all.push((Step::Kiali, kiali));
    } else {
        let objects = remote_cluster::objects(namespace, settings)?;
        all.push((Step::RemoteCluster, objects));
    }
    if settings.store.is_some() {
        // Each cluster writes to the store itself.
        let federation = [Step::ExposePrometheus, Step::AggregateMetrics];
        all.retain(|(step, _)| !federation.contains(step));
    }
    let each = |(step, objects): (Step, Vec<Value>)| objects.into_iter().map(move |o| (step, o));
    Ok(all.into_iter().flat_map(each).collect())
}

/// The objects that may ever be deleted in a cluster, whether it is home or a remote.
pub fn inventory(namespace: &str) -> Result<Inventory> {
    let name = ClusterName::new("any").map_err(anyhow::Error::msg)?;
    let mut inventory = Inventory::default();
    for home in [true, false] {
        let all = objects(&Place {
            cluster: &name,
            home,
            namespace,
            settings: &Settings::default().with_all_objects(),
            revision: None,
            assigns_users: false,
            targets: &[],
        })?;
        let keys = all.iter().map(|(_, object)| Key::of(object));
        inventory.made.extend(keys);
    }
    let before = cluster_prometheus::objects_of_earlier_versions();
    inventory.made_before.extend(before.iter().map(Key::of));
    let probes = probes::objects(&name, &Settings::default(), false)?;
    inventory.probes.extend(probes.iter().map(Key::of));
    let by_operator = kiali_cr::objects_of_operator(namespace);
    inventory
        .by_operator
        .extend(by_operator.iter().map(Key::of));
    Ok(inventory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_spelt_exactly_as_it_is_made_may_be_deleted() {
        let inventory = inventory("view").unwrap();
        let key = |api: &str, kind: &str, namespace: Option<&str>, name: &str| {
            let metadata = json!({"name": name, "namespace": namespace});
            Key::of(&json!({"apiVersion": api, "kind": kind, "metadata": metadata}))
        };
        let rbac = "rbac.authorization.k8s.io/v1";
        for (api, kind, namespace, name) in [
            ("v1", "Namespace", None, "view"),
            ("v1", "Secret", Some("view"), "kiali-multi-cluster-secret"),
            ("v1", "Secret", Some("view"), "kiali"),
            ("apps/v1", "Deployment", Some("view"), "kiali-operator"),
            ("apps/v1", "Deployment", Some("istio-system"), "prometheus"),
            (rbac, "ClusterRole", None, "ambikiali-prometheus"),
            (rbac, "ClusterRole", None, "prometheus"),
            ("kiali.io/v1alpha1", "Kiali", Some("view"), "kiali"),
        ] {
            let key = key(api, kind, namespace, name);
            assert!(inventory.has(&key), "{key:?}");
        }
        for (api, kind, namespace, name) in [
            ("v1", "namespace", None, "view"),
            ("v1", "Namespace", None, "kiali"),
            ("v1", "Namespace", Some("view"), "view"),
            ("v1", "Secret", Some("other"), "kiali"),
            ("v1", "Secret", None, "kiali"),
            ("apps/v1beta1", "Deployment", Some("view"), "kiali-operator"),
            ("v1", "Deployment", Some("view"), "kiali-operator"),
            (rbac, "ClusterRole", None, "cluster-admin"),
            ("v1", "ConfigMap", Some("view"), "../secrets/kiali"),
            ("kiali.io/v1alpha1", "Kiali", Some("team"), "kiali"),
            ("v1", "ConfigMap", Some("team"), "prometheus-config"),
            ("", "", None, ""),
        ] {
            let key = key(api, kind, namespace, name);
            assert!(!inventory.has(&key), "{key:?}");
        }
        let old = key(rbac, "ClusterRole", None, "prometheus");
        assert!(!inventory.can_be_adopted(&old));
    }
}
