//! New certificates for the Gateways and the federating Prometheus, without a scrape that fails. First each side also
//! trusts the new certificate of the other one, then each proves itself with its new one, and then the old ones are no
//! longer trusted. Between these turns, each Gateway is asked over a new connection, and the files of the federating
//! Prometheus are looked at: a connection that is kept would go on with any certificate.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::age;
use crate::guide::Step;
use crate::k8s::Scope;
use crate::mesh::{Cluster, ClusterName};
use crate::mutual_tls::{self, Pair, Side};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::run::{Run, step};
use crate::steps::ScrapeTarget;
use crate::steps::aggregate_metrics::{self, HomeTls};
use crate::steps::expose_prometheus::{self, GatewayTls};

/// What became of one certificate, or would.
#[derive(Debug)]
pub struct RotatedCertificate {
    pub cluster: ClusterName,
    pub secret: ObjectId,
    pub is_new: bool,
    /// Why it was replaced, or kept.
    pub reason: String,
    pub ends: Timestamp,
}

/// The certificate of one side before and after: the same if it is kept.
struct Turn {
    old: Pair,
    new: Pair,
    is_due: bool,
    reason: String,
}

impl Turn {
    fn of(side: Side, scope: &Scope<'_>, old: Pair, keep: Keep<'_>) -> Result<Turn> {
        let now = mutual_tls::now(scope);
        let (is_due, reason) = keep.judge(now.duration_since(old.made));
        let new = match is_due {
            true => Pair::new(side, now)?,
            false => old.clone(),
        };
        Ok(Turn {
            old,
            new,
            is_due,
            reason,
        })
    }

    /// Both certificates, for the side that trusts them.
    fn both(&self) -> String {
        match self.is_due {
            true => self.old.certificate.clone() + &self.new.certificate,
            false => self.old.certificate.clone(),
        }
    }

    fn result(&self, scope: &Scope<'_>, secret: ObjectId) -> RotatedCertificate {
        RotatedCertificate {
            cluster: scope.cluster.name.clone(),
            secret,
            is_new: self.is_due,
            reason: self.reason.clone(),
            ends: self.new.expires,
        }
    }
}

/// Which certificates are kept.
#[derive(Clone, Copy)]
enum Keep<'a> {
    Younger(Option<Duration>),
    Because(&'a str),
}

impl Keep<'_> {
    fn judge(self, age: SignedDuration) -> (bool, String) {
        let said = age::said(Duration::try_from(age).unwrap_or_default());
        match self {
            Keep::Because(why) => (false, why.into()),
            Keep::Younger(Some(limit))
                if SignedDuration::try_from(limit).is_ok_and(|l| age < l) =>
            {
                let limit = age::flag(limit);
                (false, format!("it is {said} old, younger than {limit}"))
            }
            Keep::Younger(_) => (true, format!("it was {said} old")),
        }
    }
}

fn unusable(scope: &Scope<'_>) -> Problem {
    let cause = format!(
        "{}: a certificate between Prometheus and the Gateways is missing or cannot be used",
        scope.cluster.name
    );
    Problem::new(Exit::Preflight, cause).fix("run ambikiali install, which replaces it")
}

fn unscraped(scope: &Scope<'_>) -> Problem {
    let cause = format!(
        "{}: home does not scrape its Gateway with mutual TLS",
        scope.cluster.name
    );
    Problem::new(Exit::Preflight, cause).fix("run ambikiali install")
}

/// A Gateway and its certificate.
struct Gateway<'a> {
    cluster: &'a Cluster,
    turn: Turn,
}

/// All that takes part.
pub struct Rotation<'a> {
    run: &'a Run<'a>,
    targets: Vec<ScrapeTarget>,
    client: Turn,
    gateways: Vec<Gateway<'a>>,
    /// Whether each side trusts only the certificate that the other one has.
    is_settled: bool,
}

/// What each side has in its Secret for a while: which certificate is its own, and whether it also trusts the old or the
/// new one of the other side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    AsIs,
    TrustBoth,
    ProveNew,
    TrustNew,
}

/// Looks at the certificates of all clusters of this run, and whether they are in use. Those that are younger than
/// `if_older` are kept.
pub async fn look<'a>(run: &'a Run<'a>, if_older: Option<Duration>) -> Result<Rotation<'a>> {
    if run.settings.store.is_some() {
        let cause = "the metrics go to a store, so there are no Gateways and no certificates";
        return Err(Problem::new(Exit::Usage, cause).into());
    }
    if !run.settings.exposure.mutual_tls() {
        let cause = "the Gateways serve plain HTTP, so there are no certificates";
        let problem = Problem::new(Exit::Usage, cause);
        return Err(problem.fix("ambikiali install --exposure mtls").into());
    }
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    let named = |name: &ClusterName| run.mesh.all().any(|cluster| cluster.name == *name);
    let all = home
        .record
        .remotes()
        .into_iter()
        .all(|(name, _)| named(&name));
    let keep = |of_all: bool| match all || !of_all {
        true => Keep::Younger(if_older),
        false => Keep::Because("not every remote of the install is named"),
    };
    let targets = aggregate_metrics::configured(&home).await?;
    let own = aggregate_metrics::held(&home).await?;
    let own = own.ok_or_else(|| unusable(&home))?;
    let is_target = |cluster: &Cluster| {
        let mut pinned = targets.iter().filter(|target| target.mutual_tls);
        pinned.any(|target| target.cluster == cluster.name)
    };
    let exposed = run
        .mesh
        .all()
        .filter(|cluster| cluster.prometheus.is_none());
    let gateways = exposed.map(async |cluster| {
        let scope = run.on(Step::ExposePrometheus, cluster);
        if !is_target(cluster) {
            return Err(unscraped(&scope).into());
        }
        let held = expose_prometheus::held(&scope).await?;
        let held = held.ok_or_else(|| unusable(&scope))?;
        // Nothing is left that an interrupted rotation trusted.
        let is_settled = expose_prometheus::trusted(&held) == own.pair.certificate
            && aggregate_metrics::trusted(&own, &cluster.name) == held.pair.certificate;
        let turn = Turn::of(Side::Server, &scope, held.pair, keep(run.is_home(cluster)))?;
        anyhow::Ok((Gateway { cluster, turn }, is_settled))
    });
    let gateways = try_join_all(gateways).await?;
    let (gateways, settled): (Vec<_>, Vec<_>) = gateways.into_iter().unzip();
    let rotation = Rotation {
        run,
        targets,
        client: Turn::of(Side::Client, &home, own.pair, keep(true))?,
        gateways,
        is_settled: settled.into_iter().all(|one| one),
    };
    if rotation.has_work() {
        rotation.go(Phase::AsIs).await?;
    }
    Ok(rotation)
}

impl Rotation<'_> {
    /// Replaces the certificates that are due.
    pub async fn turn(&self) -> Result<Vec<RotatedCertificate>> {
        if self.has_work() {
            for phase in [Phase::TrustBoth, Phase::ProveNew, Phase::TrustNew] {
                self.go(phase).await?;
            }
        }
        Ok(self.results())
    }

    fn has_work(&self) -> bool {
        let is_due = self.turns().any(|turn| turn.is_due);
        (is_due || !self.is_settled) && !self.run.choices.dry_run
    }

    fn turns(&self) -> impl Iterator<Item = &Turn> {
        let gateways = self.gateways.iter().map(|gateway| &gateway.turn);
        std::iter::once(&self.client).chain(gateways)
    }

    fn results(&self) -> Vec<RotatedCertificate> {
        let home = self.run.on(Step::AggregateMetrics, &self.run.mesh.home);
        let own = self
            .client
            .result(&home, aggregate_metrics::secret_id(&home));
        let gateways = self.gateways.iter().map(|gateway| {
            let scope = self.run.on(Step::ExposePrometheus, gateway.cluster);
            gateway.turn.result(&scope, expose_prometheus::secret_id())
        });
        std::iter::once(own).chain(gateways).collect()
    }

    /// Writes what both sides have in this phase, and waits until they use it.
    async fn go(&self, phase: Phase) -> Result<()> {
        let gateways = self
            .gateways
            .iter()
            .map(|gateway| self.gateway(gateway, phase));
        tokio::try_join!(self.home(phase), try_join_all(gateways))?;
        Ok(())
    }

    async fn home(&self, phase: Phase) -> Result<()> {
        let (own, done) = match phase {
            Phase::AsIs => (&self.client.old, "uses the certificates in its Secret"),
            Phase::TrustBoth => (&self.client.old, "also trusts the new certificates"),
            Phase::ProveNew => (&self.client.new, "uses its new certificate"),
            Phase::TrustNew => (&self.client.new, "no longer trusts the old certificates"),
        };
        let gateways = self.gateways.iter().filter(|_| phase != Phase::AsIs);
        let trusted = gateways.map(|Gateway { cluster, turn }| {
            let text = match phase {
                Phase::TrustNew => turn.new.certificate.clone(),
                _ => turn.both(),
            };
            (cluster.name.clone(), text)
        });
        let tls = HomeTls {
            own,
            gateways: trusted.collect::<BTreeMap<_, _>>(),
        };
        let home = &self.run.mesh.home;
        step(self.run, Step::AggregateMetrics, home, async |scope| {
            let written =
                aggregate_metrics::write_certificates(&scope, &self.targets, &tls).await?;
            aggregate_metrics::mounted(&scope, &self.targets, &written).await?;
            scope.progress.done(done);
            Ok(())
        })
        .await
    }

    async fn gateway(&self, Gateway { cluster, turn }: &Gateway<'_>, phase: Phase) -> Result<()> {
        let client = &self.client;
        let (own, trusted, asks, done) = match phase {
            Phase::AsIs => (
                &turn.old,
                None,
                &client.old,
                "uses the certificates in its Secret",
            ),
            Phase::TrustBoth => (
                &turn.old,
                Some(client.both()),
                &client.new,
                "also lets in the new certificate of home",
            ),
            Phase::ProveNew => (
                &turn.new,
                Some(client.both()),
                &client.new,
                "presents its certificate, and lets in the new one of home",
            ),
            Phase::TrustNew => (
                &turn.new,
                Some(client.new.certificate.clone()),
                &client.new,
                "lets in only the new certificate of home",
            ),
        };
        step(self.run, Step::ExposePrometheus, cluster, async |scope| {
            if let Some(trusted) = &trusted {
                let client = trusted.as_str();
                expose_prometheus::write_certificates(&scope, &GatewayTls { own, client }).await?;
            }
            expose_prometheus::serves(&scope, own, asks).await?;
            if phase == Phase::TrustNew && client.is_due {
                expose_prometheus::refuses(&scope, &client.old).await?;
            }
            scope.progress.done(done);
            Ok(())
        })
        .await
    }
}
