//! What the store itself has of each cluster, asked from home. The counters of a Prometheus tell nothing of what became of
//! a sample after the store has answered, and those of a Prometheus that is not ours cannot be read at all.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::join_all;

use super::{Finding, Hop, Verdict};
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::Scope;
use crate::k8s::forward::Connection;
use crate::k8s::health::Health;
use crate::k8s::wait;
use crate::mesh::{Cluster, ClusterName};
use crate::progress::ObjectId;
use crate::prometheus::{Sample, query};
use crate::run::Run;
use crate::steps::cluster_prometheus::{self, ask};
use crate::store::Store;
use crate::visible;

const ANSWER: Duration = Duration::from_secs(10);
/// A batch, an answer, and clocks that differ a little.
const MARGIN: Duration = Duration::from_secs(30);
/// A metric that every cluster has, whether or not there is traffic.
const BUILD: &str = "istio_build{component=\"ztunnel\"}";
const NO_ONE_ASKS: &str = "home's Prometheus, which would ask, is not managed by ambikiali";
const TRAFFIC: &str = "count by (cluster) (istio_tcp_received_bytes_total)";

/// What the store has of a cluster.
#[derive(Debug, Default, PartialEq)]
struct Held {
    /// Seconds since the newest sample.
    age: Option<f64>,
    /// An instance of which it has several series at a time.
    twice: Option<String>,
    has_traffic: bool,
}

type All = BTreeMap<String, Held>;

/// A finding for each cluster.
pub async fn asked(run: &Run<'_>, store: &Store, expected: &[ClusterName]) -> Vec<Finding> {
    let home = run.on(Step::RemoteWrite, &run.mesh.home);
    let late = late(&home, store);
    let skipped = |why: &str| {
        let why = format!("what the store has was not asked: {why}");
        let of = |name| Finding::with_verdict(Hop::Store, Some(name), Verdict::Skipped, &why);
        expected.iter().map(of).collect()
    };
    if !asks(&home).await {
        return skipped(NO_ONE_ASKS);
    }
    let reports = reports(run, expected).await;
    let object = ObjectId::cluster_wide("Store", &store.url);
    let mut last = None;
    let waited = wait::poll(&home, &object, late + MARGIN, async || {
        let held = held(&home, store, late).await;
        let health = match &held {
            // What cannot be asked now cannot be asked in a minute.
            Err(error) => Health::Failed(format!("{error:#}")),
            Ok(held) => lacking(held, expected, &reports, late),
        };
        last = Some(held);
        health
    });
    // The reason to wait is judged below, by cluster.
    let _ = waited.await;
    match last {
        Some(Ok(held)) => judged(store, held, expected, &reports, late),
        Some(Err(error)) => skipped(&format!("{error:#}")),
        None => skipped("there was no time left"),
    }
}

/// For `doctor`: what the store has now, without waiting for what may still come.
pub async fn once(run: &Run<'_>, store: &Store, expected: &[ClusterName]) -> Result<Vec<Finding>> {
    let home = run.on(Step::RemoteWrite, &run.mesh.home);
    let late = late(&home, store);
    ensure!(asks(&home).await, NO_ONE_ASKS);
    let (held, reports) = tokio::join!(held(&home, store, late), reports(run, expected));
    Ok(judged(store, held?, expected, &reports, late))
}

async fn asks(home: &Scope<'_>) -> bool {
    home.cluster.prometheus.is_none() && cluster_prometheus::is_own(home).await
}

async fn reports(run: &Run<'_>, expected: &[ClusterName]) -> Vec<bool> {
    let reports = expected.iter().map(async |name| {
        let cluster = run.mesh.all().find(|cluster| cluster.name == *name);
        match cluster {
            Some(cluster) => reports_traffic(run, cluster).await,
            None => false,
        }
    });
    join_all(reports).await
}

/// A finding for each cluster.
fn judged(
    store: &Store,
    mut held: All,
    expected: &[ClusterName],
    reports: &[bool],
    late: Duration,
) -> Vec<Finding> {
    let each = expected.iter().zip(reports);
    each.map(|(name, reports)| {
        let held = held.remove(name.as_str()).unwrap_or_default();
        judge(name, store, &held, *reports, late)
    })
    .collect()
}

/// How old the newest sample may be: two scrapes, a batch, and what the store hides.
fn late(home: &Scope<'_>, store: &Store) -> Duration {
    let scrapes = home.settings.metrics.interval.times(2);
    scrapes + Duration::from_secs(store.engine.offset()) + MARGIN
}

/// Whether the cluster's own Prometheus has traffic to write.
async fn reports_traffic(run: &Run<'_>, cluster: &Cluster) -> bool {
    let scope = run.on(Step::RemoteWrite, cluster);
    if cluster.prometheus.is_some() || !cluster_prometheus::is_own(&scope).await {
        return false;
    }
    let count = async {
        let target = cluster_prometheus::target(&scope).await.ok()??;
        let mut server = Connection::once(&scope, &target, ANSWER).await.ok()?;
        let traffic = "count(istio_tcp_received_bytes_total)";
        query(&mut server, traffic).await.ok()
    };
    count.await.is_some_and(|found| !found.is_empty())
}

async fn held(home: &Scope<'_>, store: &Store, late: Duration) -> Result<All> {
    let age = format!("time() - max by (cluster) (timestamp({BUILD}))");
    // A series that ended is no second writer: labels change, and pods go.
    let twice = format!(
        "count by (cluster, instance) (time() - timestamp({BUILD}) < {}) > 1",
        late.as_secs()
    );
    let (age, twice, traffic) = tokio::try_join!(
        ask::store(home, store, &age),
        ask::store(home, store, &twice),
        ask::store(home, store, TRAFFIC),
    )?;
    Ok(gathered(&age, &twice, &traffic))
}

fn gathered(age: &[Sample], twice: &[Sample], traffic: &[Sample]) -> All {
    let mut all = All::new();
    let cluster = |sample: &Sample| sample.metric.get("cluster").cloned().unwrap_or_default();
    for sample in age {
        all.entry(cluster(sample)).or_default().age = sample.value();
    }
    for sample in twice {
        let instance = sample.metric.get("instance").cloned();
        all.entry(cluster(sample)).or_default().twice = Some(instance.unwrap_or_default());
    }
    for sample in traffic {
        all.entry(cluster(sample)).or_default().has_traffic = true;
    }
    all
}

/// What is not there yet and may still come.
fn lacking(held: &All, expected: &[ClusterName], reports: &[bool], late: Duration) -> Health {
    let missing = expected.iter().zip(reports).filter(|(name, reports)| {
        let held = held.get(name.as_str());
        let is_new = held.is_some_and(|held| held.age.is_some_and(|age| age <= late.as_secs_f64()));
        !is_new || (**reports && !held.is_some_and(|held| held.has_traffic))
    });
    let names = missing.map(|(name, _)| name.to_string());
    let names = names.collect::<Vec<_>>();
    match names.is_empty() {
        true => Health::Ready,
        false => Health::InProgress(format!(
            "the store has no new metrics of {} yet",
            names.join(", ")
        )),
    }
}

fn judge(name: &ClusterName, store: &Store, held: &Held, reports: bool, late: Duration) -> Finding {
    let broken = |code, why: String| Finding {
        code: Some(code),
        ..Finding::on(Hop::Store, name, Err(why))
    };
    let Some(age) = held.age else {
        let why = "the store has no metrics of its ztunnels";
        return broken(Code::NotWritten, why.into());
    };
    if age < -MARGIN.as_secs_f64() {
        let why = format!("its newest samples are {:.0} s ahead of home's clock", -age);
        return broken(Code::ClockSkew, why);
    }
    if age > late.as_secs_f64() {
        let why = format!("the newest samples that the store has of it are {age:.0} s old");
        return broken(Code::NotWritten, why);
    }
    if let Some(instance) = &held.twice {
        let instance = visible::short(instance, 80);
        let why = format!(
            "several servers write its metrics: the store has more than one series at a time for ztunnel {instance}"
        );
        return broken(Code::WrittenTwice, why);
    }
    if reports && !held.has_traffic {
        let beyond = match store.engine.most_labels() {
            Some(most) => format!("of more than {most} labels by default"),
            None => "of too many labels, or by their names".into(),
        };
        let why = format!(
            "the store lacks its traffic, which its Prometheus has: it drops series {beyond}"
        );
        return broken(Code::TooManyLabels, why);
    }
    let text = format!("has its samples, {:.0} s old", age.max(0.0));
    Finding::on(Hop::Store, name, Ok(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn samples(all: serde_json::Value) -> Vec<Sample> {
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn what_the_store_has_of_a_cluster_is_judged_with_its_cause() {
        let age = samples(json!([
            {"metric": {"cluster": "cluster1"}, "value": [1.0, "8.4"]},
            {"metric": {"cluster": "cluster2"}, "value": [1.0, "-1200"]},
            {"metric": {"cluster": "cluster3"}, "value": [1.0, "600"]},
            {"metric": {"cluster": "cluster4"}, "value": [1.0, "1"]},
            {"metric": {"cluster": "cluster5"}, "value": [1.0, "1"]},
            {"metric": {"cluster": "cluster6"}, "value": [1.0, "NaN"]},
            {"metric": {}, "value": [1.0, "1"]},
        ]));
        let twice = samples(json!([
            {"metric": {"cluster": "cluster4", "instance": "10.0.0.1:15020"}, "value": [1.0, "2"]},
        ]));
        let traffic = samples(json!([{"metric": {"cluster": "cluster1"}, "value": [1.0, "4"]}]));
        let all = gathered(&age, &twice, &traffic);
        let options = BTreeMap::from([("store".into(), "prometheus=http://a.example.com".into())]);
        let store = Store::of(&options).unwrap();
        let late = Duration::from_secs(60);
        for (name, reports, code, said) in [
            ("cluster1", true, None, "has its samples, 8 s old"),
            ("cluster2", true, Some(Code::ClockSkew), "1200 s ahead"),
            ("cluster3", true, Some(Code::NotWritten), "600 s old"),
            (
                "cluster4",
                false,
                Some(Code::WrittenTwice),
                "10.0.0.1:15020",
            ),
            (
                "cluster5",
                true,
                Some(Code::TooManyLabels),
                "lacks its traffic",
            ),
            ("cluster5", false, None, "has its samples, 1 s old"),
            ("cluster6", true, Some(Code::NotWritten), "has no metrics"),
            ("cluster7", true, Some(Code::NotWritten), "has no metrics"),
        ] {
            let name = ClusterName::new(name).unwrap();
            let none = Held::default();
            let held = all.get(name.as_str()).unwrap_or(&none);
            let found = judge(&name, &store, held, reports, late);
            assert_eq!(found.code, code, "{name}");
            assert!(found.text.contains(said), "{}", found.text);
            assert_eq!(found.verdict.fails(), code.is_some());
        }
        let names = ["cluster1", "cluster5"].map(|name| ClusterName::new(name).unwrap());
        assert_eq!(lacking(&all, &names, &[true, false], late), Health::Ready);
        assert_eq!(
            lacking(&all, &names, &[true, true], late),
            Health::InProgress("the store has no new metrics of cluster5 yet".into())
        );
    }
}
