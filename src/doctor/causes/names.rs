//! Causes in the names by which Kiali tells clusters apart: the labels of the series in the federating Prometheus.

use std::collections::BTreeMap;

use super::{Judgement, Likelihood, Place};
use crate::doctor::Likely;
use crate::doctor::evidence::Evidence;
use crate::mesh::ClusterName;
use crate::visible;

/// How many characters of a label are shown, which anybody may have written.
const SHOWN: usize = 63;

/// What ztunnel writes for a cluster that it does not know, or for a gateway.
fn is_unknown(name: &str) -> bool {
    matches!(name, "" | "unknown" | "Kubernetes")
}

fn seen(evidence: &Evidence, cluster: Option<ClusterName>, seen: String) -> Likely {
    Likely {
        cluster,
        likelihood: Likelihood::Seen,
        place: Place::Federation,
        seen,
        fix: evidence.install.clone(),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", visible::short(name, SHOWN))
}

/// The cluster of the install with this name.
fn known(evidence: &Evidence, name: &str) -> Option<ClusterName> {
    evidence
        .names()
        .find(|known| known.as_str() == name)
        .cloned()
}

/// Series of no cluster.
pub fn unnamed(evidence: &Evidence) -> Judgement {
    let series = match evidence.metrics.as_ref().map(|metrics| &metrics.series) {
        Ok(Ok(series)) => series,
        Ok(Err(why)) | Err(why) => return Judgement::unknown(why),
    };
    let count = series.get(&None).copied().unwrap_or_default();
    Judgement::likely((count > 0.0).then(|| {
        // Of one cluster alone if all others have series.
        let missing = evidence.names().filter(|name| {
            let label = Some(name.to_string());
            !series.contains_key(&label)
        });
        let missing = missing.collect::<Vec<_>>();
        let cluster = match missing.as_slice() {
            [one] => Some((*one).clone()),
            _ => None,
        };
        let text =
            format!("{count} series of Istio in the federating Prometheus have no label cluster");
        seen(evidence, cluster, text)
    }))
}

/// Two sources under one name.
pub fn twice(evidence: &Evidence) -> Judgement {
    let (targets, renamed) = match &evidence.metrics {
        Err(why) => return Judgement::unknown(why),
        Ok(metrics) => match (&metrics.targets, &metrics.renamed) {
            (Err(why), _) | (_, Err(why)) => return Judgement::unknown(why),
            (Ok(targets), Ok(renamed)) => (targets, renamed),
        },
    };
    let mut pools = BTreeMap::<&str, Vec<&str>>::new();
    for target in targets {
        if let Some(cluster) = target.cluster() {
            pools.entry(cluster).or_default().push(&target.scrape_pool);
        }
    }
    let doubled = pools.iter().filter(|(_, pools)| pools.len() > 1);
    let doubled = doubled.map(|(cluster, pools)| {
        let names = pools.iter().map(|pool| visible::short(pool, SHOWN));
        let text = format!(
            "{} scrape targets of the federating Prometheus have label cluster={}: jobs {}",
            pools.len(),
            quoted(cluster),
            names.collect::<Vec<_>>().join(", ")
        );
        seen(evidence, known(evidence, cluster), text)
    });
    let renamed = renamed.iter().map(|(exported, cluster)| {
        let text = format!(
            "series of cluster {} come with a label cluster={} of their own, which is kept as exported_cluster",
            quoted(cluster),
            quoted(exported)
        );
        seen(evidence, known(evidence, cluster), text)
    });
    Judgement::likely(doubled.chain(renamed))
}

/// A name of the metrics that istiod does not use, or another one than the ztunnels of that cluster use.
pub fn different(evidence: &Evidence) -> Judgement {
    let (series, ends) = match &evidence.metrics {
        Err(why) => return Judgement::unknown(why),
        Ok(metrics) => match (&metrics.series, &metrics.ends) {
            (Err(why), _) | (_, Err(why)) => return Judgement::unknown(why),
            (Ok(series), Ok(ends)) => (series, ends),
        },
    };
    let names = series.keys().flatten();
    let foreign = names.filter(|name| known(evidence, name).is_none());
    let foreign = foreign.map(|name| {
        let mut own = ends.iter().filter(|end| end.cluster == *name);
        let own = own.find(|end| !is_unknown(end.own()));
        let own = own.map(|end| (end.own(), known(evidence, end.own())));
        let called = match &own {
            Some((own, _)) => format!(", and their ztunnels call it {}", quoted(own)),
            None => String::new(),
        };
        let text = format!(
            "the federating Prometheus has series with label cluster={}, which is no cluster of this install{called}",
            quoted(name)
        );
        seen(evidence, own.and_then(|(_, cluster)| cluster), text)
    });
    let mut pairs = ends
        .iter()
        .filter(|end| known(evidence, &end.cluster).is_some())
        .filter(|end| !is_unknown(end.own()) && end.own() != end.cluster)
        .map(|end| (end.cluster.as_str(), end.own()))
        .collect::<Vec<_>>();
    pairs.sort_unstable();
    pairs.dedup();
    let pairs = pairs.into_iter().map(|(label, own)| {
        let text = format!(
            "series with label cluster={} are of ztunnels that call their cluster {}",
            quoted(label),
            quoted(own)
        );
        seen(evidence, known(evidence, label), text)
    });
    Judgement::likely(foreign.chain(pairs))
}
