//! `status`: looks at every component of every cluster once, within a time limit, with the same health functions that
//! an install waits for.

use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use serde_json::Value;

use crate::code::Code;
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::k8s::look::Component;
use crate::k8s::record::{self, Key};
use crate::k8s::{Scope, drift, pods};
use crate::mesh::{Cluster, ClusterName};
use crate::planned::{self, Place};
use crate::progress::ObjectId;
use crate::run::Run;
use crate::session::HomeRecord;
use crate::settings::Settings;
use crate::steps::cluster_prometheus::remote_write;
use crate::steps::remote_secret::{InUse, Kubeconfig};
use crate::steps::{
    ScrapeTarget, aggregate_metrics, cluster_prometheus, expose_prometheus, kiali, kiali_operator,
    namespaces, remote_cluster, remote_secret,
};

/// Time limit for all requests.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// One line of the report.
#[derive(Clone, Debug)]
pub struct Row {
    pub cluster: ClusterName,
    pub step: Step,
    pub component: Component,
    /// The row reports a change of the object, not whether the component works.
    pub drifted: bool,
}

/// All components in the order of the guide, home first. Drifted objects follow their step.
pub async fn status(run: &Run<'_>, home_record: HomeRecord) -> Vec<Row> {
    let (mut rows, drifts) = tokio::join!(components(run), drifts(run, home_record));
    let (notes, other, slow) = tokio::join!(
        join_all(rows.iter().map(|row| of_pods(run, row))),
        other_image(run),
        slow_scrapes(run),
    );
    for (row, note) in rows.iter_mut().zip(notes) {
        let both = row.component.note.take().into_iter().chain(note);
        let both = both.collect::<Vec<_>>().join("; ");
        row.component.note = (!both.is_empty()).then_some(both);
    }
    let server = aggregate_metrics::server(run.namespace);
    let is_server =
        |row: &&mut Row| row.step == Step::AggregateMetrics && row.component.object == server;
    if let (Some(row), Some(slow)) = (rows.iter_mut().find(is_server), slow) {
        let before = row.component.note.take().map(|note| format!("; {note}"));
        row.component.note = Some(slow + before.as_deref().unwrap_or_default());
        row.component.code = Some(Code::SlowScrape);
    }
    for drift in drifts.into_iter().chain(other) {
        let place = |row: &Row| row.cluster == drift.cluster && row.step <= drift.step;
        let after = rows.iter().rposition(place).map_or(0, |last| last + 1);
        rows.insert(after, drift);
    }
    rows
}

/// What admission changed in the pods of a Deployment that works.
async fn of_pods(run: &Run<'_>, row: &Row) -> Option<String> {
    let Component { object, health, .. } = &row.component;
    if object.kind != "Deployment" || *health != Health::Ready {
        return None;
    }
    let cluster = run.mesh.all().find(|cluster| cluster.name == row.cluster)?;
    pods::admitted(&run.on(row.step, cluster), object).await
}

/// Which scrapes take more than half of their timeout. That a query fails tells nothing about them.
async fn slow_scrapes(run: &Run<'_>) -> Option<String> {
    let scope = run.on(Step::AggregateMetrics, &run.mesh.home);
    let clusters = run
        .mesh
        .all()
        .map(|cluster| &cluster.name)
        .collect::<Vec<_>>();
    let slow = aggregate_metrics::slow_scrapes(&scope, &clusters)
        .await
        .ok()?;
    (!slow.is_empty()).then(|| slow.join(", "))
}

/// Whether Kiali runs another image than that of the last install.
async fn other_image(run: &Run<'_>) -> Option<Row> {
    let scope = run.on(Step::Kiali, &run.mesh.home);
    let other = kiali::other_image(&scope).await?;
    let object = ObjectId::new("Deployment", run.namespace, "kiali");
    let component = Component::new(object, Health::Failed(other));
    Some(row(&run.mesh.home, Step::Kiali, component, true))
}

/// The record of each cluster, and the objects that differ from it.
async fn drifts(run: &Run<'_>, home_record: HomeRecord) -> Vec<Row> {
    let clusters = run.mesh.all().collect::<Vec<_>>();
    let remotes = run.mesh.remotes.iter().map(async |cluster| {
        let found = record::look(&run.on(Step::Namespace, cluster)).await;
        record_row(run, cluster, found)
    });
    let mut looked = vec![record_row(run, &run.mesh.home, home_record)];
    looked.extend(join_all(remotes).await);
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    let place = |cluster: &Cluster, targets| Manifests {
        settings: run.settings,
        home: run.is_home(cluster),
        targets,
    };
    let drifted = clusters.iter().zip(&looked).map(async |(cluster, row)| {
        if row.component.health != Health::Ready {
            return Vec::new();
        }
        let targets = match run.is_home(cluster) {
            true => aggregate_metrics::configured(&home)
                .await
                .unwrap_or_default(),
            false => Vec::new(),
        };
        drifted(run, cluster, &place(cluster, targets)).await
    });
    let drifted = join_all(drifted).await;
    let all = looked.into_iter().zip(drifted);
    all.flat_map(|(row, drifted)| std::iter::once(row).chain(drifted))
        .collect()
}

fn record_row(run: &Run<'_>, cluster: &Cluster, found: Result<Health>) -> Row {
    let scope = run.on(Step::Namespace, cluster);
    let object = ObjectId::new("ConfigMap", run.namespace, record::NAME);
    let health = found.unwrap_or_else(|error| Health::Failed(format!("{error:#}")));
    let options = scope.record.stored_options().unwrap_or_default();
    let mut record = Component::new(object, health);
    record.note = (!options.is_default())
        .then(|| format!("options in the record of the install: {}", options.shown()));
    row(cluster, Step::Namespace, record, false)
}

/// What determines the manifests of an install.
struct Manifests<'a> {
    settings: &'a Settings,
    home: bool,
    targets: Vec<ScrapeTarget>,
}

async fn drifted(run: &Run<'_>, cluster: &Cluster, manifests: &Manifests<'_>) -> Vec<Row> {
    let scope = run.on(Step::Namespace, cluster);
    let planned = planned::objects(&Place {
        cluster: &cluster.name,
        home: manifests.home,
        namespace: run.namespace,
        settings: manifests.settings,
        revision: cluster.revision.label(),
        assigns_users: cluster.assigns_users,
        targets: &manifests.targets,
    });
    let mut planned = planned.unwrap_or_default();
    let secrets = planned.iter_mut().filter(|(_, o)| o["kind"] == "Secret");
    for (step, secret) in secrets {
        // If it cannot be read, its component tells why.
        let _ = with_values(&scope, *step, secret, &manifests.targets).await;
    }
    let step = |key: &Key| {
        let of = planned.iter().find(|(_, object)| Key::of(object) == *key);
        of.map_or(Step::Namespace, |(step, _)| *step)
    };
    let objects = planned.iter().map(|(_, object)| object).collect::<Vec<_>>();
    let drifts = drift::all(&scope, &objects).await.into_iter();
    drifts
        .map(|(key, what)| {
            let health = Health::Failed(what);
            row(cluster, step(&key), Component::new(key.id(), health), true)
        })
        .collect()
}

/// Gives the manifest of a Secret the values of the one that is there.
async fn with_values(
    scope: &Scope<'_>,
    step: Step,
    secret: &mut Value,
    targets: &[ScrapeTarget],
) -> Result<()> {
    match step {
        Step::RemoteSecret => {
            let remotes = scope.record.remotes().into_iter();
            let names = remotes.map(|(name, _)| name.to_string());
            *secret = remote_secret::manifest(scope, &names.collect::<Vec<_>>()).await?;
        }
        Step::ExposePrometheus => expose_prometheus::keep_certificates(scope, secret).await?,
        Step::AggregateMetrics => {
            aggregate_metrics::keep_certificates(scope, targets, secret).await?;
        }
        _ => {}
    }
    Ok(())
}

fn row(cluster: &Cluster, step: Step, component: Component, drifted: bool) -> Row {
    Row {
        cluster: cluster.name.clone(),
        step,
        component,
        drifted,
    }
}

/// Whether the components work, even if their objects were changed.
pub async fn components(run: &Run<'_>) -> Vec<Row> {
    let remote_names = run
        .mesh
        .remotes
        .iter()
        .map(|r| r.name.clone())
        .collect::<Vec<_>>();
    let home = on_home(run, &run.mesh.home, &remote_names);
    let remotes = async {
        // Without the tokens that Kiali uses, the remotes are still looked at.
        let scope = run.on(Step::RemoteSecret, &run.mesh.home);
        let in_use = remote_secret::in_use(&scope, &remote_names).await.ok();
        let remotes = run.mesh.remotes.iter();
        join_all(remotes.map(|remote| on_remote(run, remote, in_use.as_ref()))).await
    };
    let (mut rows, remotes) = tokio::join!(home, remotes);
    rows.extend(remotes.into_iter().flatten());
    rows
}

async fn everywhere(run: &Run<'_>, cluster: &Cluster) -> [(Step, Vec<Component>); 4] {
    let on = |step| run.on(step, cluster);
    let (ns, prometheus, expose, operator) = (
        on(Step::Namespace),
        on(Step::ClusterPrometheus),
        on(Step::ExposePrometheus),
        on(Step::KialiOperator),
    );
    let metrics = async {
        match cluster.prometheus {
            // The scrape target shows whether a foreign Prometheus works.
            Some(_) => (Vec::new(), Vec::new()),
            None => tokio::join!(cluster_prometheus::status(&prometheus), async {
                match run.settings.store {
                    Some(_) => writes(run, cluster).await,
                    None => expose_prometheus::status(&expose).await,
                }
            },),
        }
    };
    let looked = tokio::join!(
        namespaces::status(&ns),
        metrics,
        kiali_operator::status(&operator),
    );
    [
        (Step::Namespace, looked.0),
        (Step::ClusterPrometheus, looked.1.0),
        (
            match run.settings.store {
                Some(_) => Step::RemoteWrite,
                None => Step::ExposePrometheus,
            },
            looked.1.1,
        ),
        (Step::KialiOperator, looked.2),
    ]
}

/// Whether our own Prometheus writes to the store.
async fn writes(run: &Run<'_>, cluster: &Cluster) -> Vec<Component> {
    let scope = run.on(Step::RemoteWrite, cluster);
    match cluster_prometheus::is_own(&scope).await {
        true => remote_write::status(&scope).await,
        false => Vec::new(),
    }
}

async fn on_home(run: &Run<'_>, home: &Cluster, remotes: &[ClusterName]) -> Vec<Row> {
    let (metrics, secret, server) = (
        run.on(Step::AggregateMetrics, home),
        run.on(Step::RemoteSecret, home),
        run.on(Step::Kiali, home),
    );
    let (shared, metrics, secret, server) = tokio::join!(
        everywhere(run, home),
        async {
            match run.settings.store {
                Some(_) => kiali::status_of_store(&server).await,
                None => aggregate_metrics::status(&metrics, exposed(run)).await,
            }
        },
        remote_secret::status(&secret, remotes),
        kiali::status(&server),
    );
    let own = [
        (Step::AggregateMetrics, metrics),
        (Step::RemoteSecret, secret),
        (Step::Kiali, server),
    ];
    rows(home, shared.into_iter().chain(own))
}

/// The current scrape targets, as far as they are known.
async fn exposed(run: &Run<'_>) -> Vec<ScrapeTarget> {
    let asked = run.mesh.all().map(async |cluster| {
        let scope = run.on(Step::ExposePrometheus, cluster);
        expose_prometheus::target(&scope, true).await
    });
    let known = join_all(asked).await.into_iter().filter_map(Result::ok);
    known.flatten().collect()
}

async fn on_remote(run: &Run<'_>, remote: &Cluster, in_use: Option<&InUse>) -> Vec<Row> {
    let scope = run.on(Step::RemoteCluster, remote);
    let token = in_use.and_then(|in_use| in_use.get(&remote.name));
    let token = token.map(Kubeconfig::token);
    let own = remote_cluster::status(&scope, token);
    let (shared, own) = tokio::join!(everywhere(run, remote), own);
    rows(
        remote,
        shared.into_iter().chain([(Step::RemoteCluster, own)]),
    )
}

fn rows(cluster: &Cluster, steps: impl Iterator<Item = (Step, Vec<Component>)>) -> Vec<Row> {
    let mut steps = steps.collect::<Vec<_>>();
    steps.sort_by_key(|(step, _)| *step);
    let all = steps.into_iter();
    all.flat_map(|(step, all)| all.into_iter().map(move |c| row(cluster, step, c, false)))
        .collect()
}
