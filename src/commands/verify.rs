//! `verify`: only looks, unless it is asked for probes of its own.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::look::{RECALL, last_install_on, now};
use super::watch::{Watch, watch};
use super::{members, reports, shown, unseen};
use crate::cli::{self, Global};
use crate::guide::Step;
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Absent, ClusterName, Istiod, Members, Mesh};
use crate::problem::{Exit, Problem};
use crate::result::{Cluster, Ended, VERSION, VerifyResult};
use crate::run::Run;
use crate::steps::probes;
use crate::verify::{self, Finding, Hop, Pairs, Probing, Verified, own};
use crate::{limit, version};

/// After a signal, for the removal of the probes and the records.
const TAKE_BACK: Duration = own::REMOVAL.saturating_add(Duration::from_secs(10));

pub async fn verify(args: cli::Verify, global: &Global, work: &Work) -> Result<Ended> {
    let places = reports::places(args.reports())?;
    if places.is_empty() {
        return looked(args, global, work).await;
    }
    let started = now();
    let ended = looked(args, global, work).await;
    let ended = ended.unwrap_or_else(|error| Ended::failed(&[error]));
    reports::write(places, ended, &started)
}

async fn looked(args: cli::Verify, global: &Global, work: &Work) -> Result<Ended> {
    let members = members(args.clusters.ctx1, args.clusters.remotes, global)?;
    let pairs = match args.pairs {
        cli::Pairs::Home => Pairs::Home,
        cli::Pairs::All => Pairs::All,
    };
    let look = async |first| seen(&members, (args.probes, pairs), first, global, work).await;
    let Some(every) = args.watch else {
        return look(true).await;
    };
    if matches!(args.probes, cli::Probes::Own | cli::Probes::Auto) {
        let cause = "--watch goes with --probes sample or none: it would write and remove probes again and again";
        return Err(Problem::new(Exit::Usage, cause).into());
    }
    let watched = Watch {
        every,
        until_bad: false,
    };
    watch(&watched, look).await
}

async fn seen(
    members: &Members,
    (probes, pairs): (cli::Probes, Pairs),
    first: bool,
    global: &Global,
    work: &Work,
) -> Result<Ended> {
    let (started, start) = (now(), Instant::now());
    let (mesh, absent) = mesh::connect_reachable(members, Istiod::Optional).await?;
    let (session, _) = last_install_on(mesh, global, RECALL).await?;
    let mesh = &session.mesh;
    work.begins(mesh);
    let expected = expected(mesh, &absent);
    let findings = unreached(&absent);
    let how = How {
        expected: &expected,
        pairs,
    };
    let work_of = async |run: &Run<'_>| {
        findings
            .iter()
            .for_each(|finding| verify::report(run, finding));
        let proven = Box::pin(proven(run, &how, probes, work));
        tokio::join!(proven, version::running(run))
    };
    let none = Choices::default();
    let (proven, installed) = match first {
        true => shown(&session, global, none, work, work_of).await,
        false => unseen(&session, global, none, work, work_of).await,
    };
    let proven = proven?;
    let result = VerifyResult {
        client: VERSION,
        started,
        clusters: Cluster::all(mesh),
        installed,
        hops: [findings, proven.findings].concat(),
        flows: proven.flows,
        errors: Vec::new(),
        reports: Vec::new(),
        took: start.elapsed(),
    };
    Ok(result.into())
}

/// The clusters that Kiali must see, home first.
pub fn expected(mesh: &Mesh, absent: &[Absent]) -> Vec<ClusterName> {
    let reached = mesh.all().map(|cluster| cluster.name.clone());
    let absent = absent.iter().map(|absent| absent.name.clone());
    reached.chain(absent).collect()
}

/// A finding for each cluster that does not answer.
pub fn unreached(absent: &[Absent]) -> Vec<Finding> {
    let finding = |a: &Absent| Finding::on(Hop::ApiServer, &a.name, Err(format!("{:#}", a.error)));
    absent.iter().map(finding).collect()
}

/// What is verified.
struct How<'a> {
    expected: &'a [ClusterName],
    pairs: Pairs,
}

impl How<'_> {
    async fn by(&self, run: &Run<'_>, probing: Probing<'_>) -> Verified {
        verify::verify(run, self.expected, probing, self.pairs).await
    }
}

async fn proven(
    run: &Run<'_>,
    how: &How<'_>,
    probes: cli::Probes,
    work: &Work,
) -> Result<Verified> {
    let own = match probes {
        cli::Probes::Own => true,
        cli::Probes::Auto => !verify::is_sample_everywhere(&verify::sample(run).await),
        cli::Probes::Sample | cli::Probes::None => false,
    };
    if own {
        return with_own(run, how, work).await;
    }
    tell_left(run)?;
    let probing = match probes {
        cli::Probes::None => Probing::None,
        _ => Probing::Sample,
    };
    Ok(how.by(run, probing).await)
}

/// Says that probes are left, without removing them: this run was not asked to write. Home's record tells, because
/// probes are put into all clusters at once.
fn tell_left(run: &Run<'_>) -> Result<()> {
    let scope = run.on(Step::Probes, &run.mesh.home);
    if probes::are_recorded(&scope)? {
        scope.progress.note(format!(
            "the record names probes in namespace {}: another verify runs, or one was killed; the next ambikiali cleanup, install or verify --probes own removes what is left",
            probes::NAMESPACE
        ));
    }
    Ok(())
}

/// Puts probes into all clusters, verifies with them, and removes them: also after a failure, a signal or at the time
/// limit.
async fn with_own(run: &Run<'_>, how: &How<'_>, work: &Work) -> Result<Verified> {
    own::look(run).await?;
    work.takes_back("the probes", TAKE_BACK);
    own::begin(run).await?;
    if work.is_asked_to_stop() {
        return stopped(Vec::new());
    }
    let written = own::write(run).await;
    let verified = async {
        let placed = own::place(run, &written).await;
        let verified = how.by(run, Probing::Own(&placed)).await;
        (placed, verified)
    };
    let verified = tokio::select! {
        verified = verified => Some(verified),
        () = work.asked_to_stop() => None,
    };
    // The removal has a time limit of its own.
    limit::lift();
    match verified {
        Some((placed, mut verified)) => {
            let removed = own::remove(run, &written, &placed).await;
            verified.findings.extend(removed);
            Ok(verified)
        }
        None => stopped(own::remove(run, &written, &[]).await),
    }
}

/// After a signal, there is no result: only probes that are left are told.
fn stopped(removed: Vec<Finding>) -> Result<Verified> {
    let left = removed.iter().filter(|finding| finding.verdict.fails());
    let left = left
        .map(|finding| finding.text.as_str())
        .collect::<Vec<_>>();
    match left.as_slice() {
        [] => Ok(Verified {
            findings: removed,
            flows: Vec::new(),
        }),
        left => Err(Problem::new(Exit::Partial, left.join("\n")).into()),
    }
}
