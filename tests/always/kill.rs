//! Row 44, as a sweep: install and cleanup are killed before and after each of their requests.
//! `AMBIKIALI_SWEEP=all` tries every request, otherwise only writes.

use ambikiali_sandbox::audit::Mark;
use ambikiali_sandbox::fault::Proxy;
use ambikiali_sandbox::snapshot::Snapshot;
use ambikiali_sandbox::standin::storage::PROVISIONER;
use ambikiali_sandbox::victoria_metrics::{Start, VictoriaMetrics};

use super::named::{Kinds, lost_among, written_kinds};
use super::point::{CHAIN, Point, Points};
use super::writes::{duplicated, written};
use crate::answers::behind::Behind;
use crate::support::{CLEANUP, Clusters, Foreign, INSTALL, get, on_two_clusters};

#[test]
fn fault_44_sweep_killed_at_any_request_to_home_nothing_is_lost_or_made_twice_and_all_can_go() {
    on_two_clusters(async |clusters| Sweep::of("home", clusters, &PLAIN).await.run().await);
}

#[test]
fn fault_44_sweep_killed_at_any_request_to_the_remote_nothing_is_lost_or_made_twice_and_all_can_go()
{
    on_two_clusters(async |clusters| Sweep::of("remote", clusters, &PLAIN).await.run().await);
}

#[test]
fn fault_44_sweep_killed_at_any_write_for_a_store_nothing_is_lost_or_made_twice_and_all_can_go() {
    on_two_clusters(async |clusters| {
        let start = Start {
            https: true,
            ..Start::default()
        };
        let store = VictoriaMetrics::start_with(&clusters.sandbox, start).await;
        let store = store.expect("a store");
        let engine = format!("victoriametrics={}", store.url());
        let ca = store.ca_file().expect("a CA").display().to_string();
        let options = Options {
            install: &["--store", &engine, "--store-ca", &ca],
            paths: &[
                "/configmaps/prometheus",
                "/deployments/prometheus",
                "/kialis/kiali",
                "/kiali-cabundle",
            ],
            ..PLAIN
        };
        for name in ["home", "remote"] {
            Sweep::of(name, clusters, &options).await.run().await;
        }
    });
}

#[test]
fn fault_44_sweep_killed_at_any_write_for_a_claim_nothing_is_lost_and_the_claim_goes_on_demand() {
    on_two_clusters(async |clusters| {
        let class = serde_json::json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "folder"},
            "provisioner": PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer",
        });
        let class = Foreign::apply(clusters.home(), &class.to_string()).await;
        let options = Options {
            install: &["--storage", "1Gi", "--storage-class", "folder"],
            cleanup: &["--delete-data"],
            paths: &[
                "/persistentvolumeclaims",
                "/namespaces/kiali/deployments/prometheus",
            ],
            keeps: Some(("PersistentVolumeClaim", "kiali/prometheus-data")),
        };
        Sweep::of("home", clusters, &options).await.run().await;
        class.removed().await;
    });
}

/// The flags beside those of every install and cleanup, and what is swept.
struct Options<'a> {
    install: &'a [&'a str],
    /// Without these, a cleanup keeps data.
    cleanup: &'a [&'a str],
    /// Parts of the paths of the requests at which to kill; none for all of them.
    paths: &'a [&'a str],
    /// The object with data.
    keeps: Option<(&'a str, &'a str)>,
}

const PLAIN: Options = Options {
    install: &[],
    cleanup: &[],
    paths: &[],
    keeps: None,
};

/// One in this many killed installs is cleaned up at once; the others are resumed.
const CLEANED_AT_ONCE: usize = 5;

/// The kills tried on one cluster, and their results.
struct Sweep<'a> {
    name: &'static str,
    install: Vec<&'a str>,
    cleanup: Vec<&'a str>,
    keeps: Option<(&'a str, &'a str)>,
    behind: Behind<'a>,
    clean: [Snapshot; 2],
    began: [Mark; 2],
    /// The kinds that an undisturbed install and cleanup write.
    kinds: [Kinds; 2],
    installs: Points,
    cleanups: Points,
    at_once: usize,
    harm: Harm,
}

#[derive(Debug, Default)]
struct Harm {
    lost: Vec<String>,
    duplicated: Vec<String>,
    left: Vec<String>,
}

impl Harm {
    fn is_none(&self) -> bool {
        [&self.lost, &self.duplicated, &self.left]
            .iter()
            .all(|harm| harm.is_empty())
    }
}

/// Whether to try every request, not only writes.
pub fn all() -> bool {
    std::env::var("AMBIKIALI_SWEEP").is_ok_and(|value| value == "all")
}

impl<'a> Sweep<'a> {
    /// Collects the points of one undisturbed install and cleanup.
    async fn of(name: &'static str, clusters: &'a Clusters, options: &Options<'a>) -> Sweep<'a> {
        let clean = clusters.snapshots().await;
        let behind = Behind::proxies(clusters).await;
        let mut sweep = Sweep {
            name,
            install: [&INSTALL, options.install].concat(),
            cleanup: [&CLEANUP, options.cleanup].concat(),
            keeps: options.keeps,
            behind,
            clean,
            began: clusters.marks(),
            kinds: Default::default(),
            installs: Points::default(),
            cleanups: Points::default(),
            at_once: 0,
            harm: Harm::default(),
        };
        sweep.behind.run(&sweep.install).await.succeeded();
        let journal = sweep.proxy().journal();
        sweep.installs = Points::of(&journal, all(), options.paths);
        sweep.behind.run(&sweep.cleanup).await.succeeded();
        let journal = sweep.proxy().journal().split_off(journal.len());
        sweep.cleanups = Points::of(&journal, all(), options.paths);
        sweep.kinds = written_kinds(&sweep.began);
        sweep
    }

    fn proxy(&self) -> &Proxy {
        match self.name {
            "home" => &self.behind.home,
            _ => &self.behind.remote,
        }
    }

    /// Runs the sweep. Stops at the first failure, because later ones would only follow from it.
    async fn run(mut self) {
        for point in self.installs.every(CLEANED_AT_ONCE) {
            if self.harm.is_none() {
                self.cleaned_at_once(&point).await;
            }
        }
        while self.harm.is_none() && !(self.installs.is_done() && self.cleanups.is_done()) {
            self.gone_on_with().await;
        }
        let Harm {
            lost,
            duplicated,
            left,
        } = &self.harm;
        println!(
            "sweep of {}: install killed at {} and gone on with, at {} and cleaned up at once, \
             cleanup killed at {}: {} lost, {} duplicated, {} left",
            self.name,
            self.installs,
            self.at_once,
            self.cleanups,
            lost.len(),
            duplicated.len(),
            left.len()
        );
        assert!(self.harm.is_none(), "{:#?}", self.harm);
        assert_eq!(written_kinds(&self.began), self.kinds, "searched too few");
    }

    async fn cleaned_at_once(&mut self, point: &Point) {
        match self.killed(&self.install.clone(), point).await {
            true => self.at_once += 1,
            false => assert!(all(), "no install came to {point}"),
        }
        self.cleaned().await;
    }

    /// Kills installs until one completes, then does the same with cleanups.
    async fn gone_on_with(&mut self) {
        let marks = self.behind.clusters.marks();
        let (install, cleanup) = (self.install.clone(), self.cleanup.clone());
        self.installs = self.chain(&install, self.installs.clone(), CHAIN).await;
        self.behind.run(&install).await.succeeded();
        self.harm.duplicated.extend(duplicated(&marks));
        let marks = self.behind.clusters.marks();
        self.behind.run(&install).await.succeeded();
        self.harm.duplicated.extend(written(&marks));
        self.keeps().await;
        self.cleanups = self.chain(&cleanup, self.cleanups.clone(), CHAIN).await;
        self.cleaned().await;
    }

    async fn chain(&mut self, command: &[&str], mut points: Points, length: usize) -> Points {
        for nth in 0..length {
            let Some(point) = points.next() else { break };
            match self.killed(command, &point).await {
                true => points.tried(),
                // Earlier runs had already passed this point, so this run completed.
                false if nth > 0 => {
                    points.again(point);
                    break;
                }
                false => {
                    assert!(all(), "{command:?} never came to {point}");
                    points.missed();
                }
            }
        }
        points
    }

    /// A cleanup that is not asked to delete data keeps it, and the next install has it again.
    async fn keeps(&mut self) {
        let Some((kind, name)) = self.keeps else {
            return;
        };
        let uid = async || {
            let live = get(self.behind.clusters.home(), "v1", kind, name).await;
            live.map(|live| live["metadata"]["uid"].clone())
        };
        let before = uid().await;
        assert!(before.is_some(), "no {name}");
        self.behind.run(&CLEANUP).await.succeeded();
        self.behind.run(&self.install).await.succeeded();
        assert_eq!(uid().await, before, "not the same {name}");
    }

    async fn cleaned(&mut self) {
        self.behind.run(&self.cleanup).await.succeeded();
        let left = self.behind.clusters.left(&self.clean).await;
        self.harm.left.extend(left);
    }

    /// Returns whether the command was killed. If so, the record must name every object of ours.
    async fn killed(&mut self, arguments: &[&str], point: &Point) -> bool {
        println!("{} killed {point}", arguments[0]);
        let killed = point.kill(&self.behind, self.proxy(), arguments).await;
        let lost = lost_among(self.behind.clusters, &self.kinds).await;
        let lost = lost
            .into_iter()
            .map(|object| format!("{} {point}: {object}", arguments[0]));
        self.harm.lost.extend(lost);
        killed
    }
}
