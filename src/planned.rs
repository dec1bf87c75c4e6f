//! What a run may write, by cluster and step.

use anyhow::Result;
use serde_json::Value;

use crate::guide::Step;
use crate::install::Run;
use crate::mesh::{Cluster, ClusterName};
use crate::steps::{
    aggregate_metrics, cluster_prometheus, expose_prometheus, kiali, kiali_operator, namespaces,
    remote_cluster, remote_secret,
};

/// All that this cluster may be given, by its step. What is only found out on the way, addresses and
/// tokens, is not in it.
pub fn planned(run: &Run<'_>, cluster: &Cluster) -> Result<Vec<(Step, Value)>> {
    let mut planned = of_any(run, run.is_home(cluster).then_some(&cluster.name))?;
    let own = [Step::ClusterPrometheus, Step::ExposePrometheus];
    planned.retain(|(step, _)| cluster.prometheus.is_none() || !own.contains(step));
    Ok(planned)
}

/// The same of a home of that name, or of any remote.
pub fn of_any(run: &Run<'_>, home: Option<&ClusterName>) -> Result<Vec<(Step, Value)>> {
    let (namespace, images) = (run.namespace, run.images);
    let mut operator = kiali_operator::objects(namespace, images, home.is_some())?;
    operator.push(kiali_operator::crd()?);
    let mut all = vec![
        (Step::Namespace, vec![namespaces::object(namespace)?]),
        (
            Step::ClusterPrometheus,
            cluster_prometheus::objects(images)?,
        ),
        (Step::ExposePrometheus, expose_prometheus::objects(0)?),
        (Step::KialiOperator, operator),
    ];
    if let Some(home) = home {
        let secret = remote_secret::object(namespace, &[])?;
        let cr = kiali::object(namespace, home, "", images)?;
        let metrics = aggregate_metrics::objects(namespace, &[], images)?;
        all.push((Step::AggregateMetrics, metrics));
        all.push((Step::RemoteSecret, vec![secret]));
        all.push((Step::Kiali, vec![cr]));
    } else {
        all.push((Step::RemoteCluster, remote_cluster::objects(namespace)?));
    }
    let each = |(step, objects): (Step, Vec<Value>)| objects.into_iter().map(move |o| (step, o));
    Ok(all.into_iter().flat_map(each).collect())
}
