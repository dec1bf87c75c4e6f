//! The objects of an install, by cluster and step: what a run may write, and what `render` writes down.

use anyhow::Result;
use serde_json::Value;

use crate::guide::Step;
use crate::images::Images;
use crate::install::Run;
use crate::mesh::{Cluster, ClusterName};
use crate::steps::{
    ScrapeTarget, aggregate_metrics, cluster_prometheus, expose_prometheus, kiali, kiali_operator,
    namespaces, remote_cluster, remote_secret,
};

/// All that the objects of one cluster are made from, but the tokens.
pub struct Place<'a> {
    pub cluster: &'a ClusterName,
    pub home: bool,
    pub namespace: &'a str,
    pub images: &'a Images,
    /// What home scrapes.
    pub targets: &'a [ScrapeTarget],
}

/// All that this cluster may be given. What is only found out on the way, addresses and tokens, is not
/// in it.
pub fn planned(run: &Run<'_>, cluster: &Cluster) -> Result<Vec<(Step, Value)>> {
    let mut planned = objects(&Place {
        cluster: &cluster.name,
        home: run.is_home(cluster),
        namespace: run.namespace,
        images: run.images,
        targets: &[],
    })?;
    let own = [Step::ClusterPrometheus, Step::ExposePrometheus];
    planned.retain(|(step, _)| cluster.prometheus.is_none() || !own.contains(step));
    Ok(planned)
}

pub fn objects(place: &Place<'_>) -> Result<Vec<(Step, Value)>> {
    let (namespace, images) = (place.namespace, place.images);
    let mut operator = kiali_operator::objects(namespace, images, place.home)?;
    operator.push(kiali_operator::crd()?);
    let exposed = expose_prometheus::objects(cluster_prometheus::PORT)?;
    let mut all = vec![
        (Step::Namespace, vec![namespaces::object(namespace)?]),
        (
            Step::ClusterPrometheus,
            cluster_prometheus::objects(images)?,
        ),
        (Step::ExposePrometheus, exposed),
        (Step::KialiOperator, operator),
    ];
    if place.home {
        let secret = remote_secret::object(namespace, &[])?;
        let prometheus = aggregate_metrics::url(namespace);
        let cr = kiali::object(namespace, place.cluster, &prometheus, images)?;
        let metrics = aggregate_metrics::objects(namespace, place.targets, images)?;
        all.push((Step::AggregateMetrics, metrics));
        all.push((Step::RemoteSecret, vec![secret]));
        all.push((Step::Kiali, vec![cr]));
    } else {
        all.push((Step::RemoteCluster, remote_cluster::objects(namespace)?));
    }
    let each = |(step, objects): (Step, Vec<Value>)| objects.into_iter().map(move |o| (step, o));
    Ok(all.into_iter().flat_map(each).collect())
}
