//! Installs that tests hand to each other, and the tests that wait for one.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ambikiali_sandbox::snapshot::Snapshot;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;

use super::pair::{PAIRS, Pair, Permit, Witness, permit};
use crate::support::{await_generated_objects, snapshots};

/// Limit for installs that are made for tests that leave them unchanged: many tests can share one.
static SHARED: Semaphore = Semaphore::const_new(2);
/// The tests that wait for an install, in order of their arrival.
static WAITING: Mutex<Vec<Waiting>> = Mutex::new(Vec::new());
/// The number of tests, waiting or running, that make an install and will hand it on.
pub static MAKING: AtomicUsize = AtomicUsize::new(0);
/// The same of tests that leave an install unchanged.
pub static KEEPING: AtomicUsize = AtomicUsize::new(0);
/// What an install adds to each cluster, as `Snapshot::diff` tells it.
static ADDED: OnceLock<[Vec<String>; 2]> = OnceLock::new();

struct Waiting {
    /// Whether the test leaves the install unchanged.
    keeps: bool,
    hand: oneshot::Sender<Installed>,
}

/// A pair with a default install.
pub struct Installed {
    pub pair: Pair,
    /// The clusters with the install.
    as_installed: [Snapshot; 2],
    /// What the binary remembers of the install.
    remembered: Vec<u8>,
    /// The tests that had the install, to name them if something is left.
    pub by: Vec<String>,
    _shared: Option<Permit>,
}

/// Waits for an install from another test. Returns the permits for an install of its own if none will come soon.
pub async fn handed(keeps: bool) -> Result<Installed, (Permit, Option<Permit>)> {
    let (hand, mut handed) = oneshot::channel();
    waiting().push(Waiting { keeps, hand });
    let own = async {
        while PAIRS.available_permits() == 0 && is_expected(keeps) {
            sleep(Duration::from_millis(100)).await;
        }
        let shared = match keeps {
            true => Some(SHARED.acquire().await.expect("never closed")),
            false => None,
        };
        (permit().await, shared)
    };
    let permits = tokio::select! {
        biased;
        installed = &mut handed => return Ok(installed.expect("never closed").moved()),
        permits = own => permits,
    };
    // One may have come in the meantime.
    handed.close();
    handed.try_recv().map(Installed::moved).or(Err(permits))
}

fn is_expected(keeps: bool) -> bool {
    let making = MAKING.load(Ordering::Relaxed) > 0;
    making || !keeps && KEEPING.load(Ordering::Relaxed) > 0
}

/// Counts a test until it ends.
pub struct Counted(&'static AtomicUsize);

impl Counted {
    pub fn new(counter: &'static AtomicUsize) -> Counted {
        counter.fetch_add(1, Ordering::Relaxed);
        Counted(counter)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The test harness names the thread of a test after it.
fn this_test() -> String {
    let name = std::thread::current().name().map(String::from);
    name.unwrap_or_default()
}

fn waiting() -> MutexGuard<'static, Vec<Waiting>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn is_waited_for() -> bool {
    waiting().iter().any(|test| !test.hand.is_closed())
}

/// The next test that waits for an install. Tests that keep it come first, so that more tests can use it.
fn next_waiting() -> Option<oneshot::Sender<Installed>> {
    let mut waiting = waiting();
    waiting.retain(|test| !test.hand.is_closed());
    let first = waiting.iter().position(|test| test.keeps).unwrap_or(0);
    (first < waiting.len()).then(|| waiting.remove(first).hand)
}

impl Installed {
    /// Checks that the clusters have what every install adds, and nothing else.
    pub async fn new(pair: Pair, shared: Option<Permit>) -> Installed {
        for cluster in pair.clusters.sandbox.clusters() {
            await_generated_objects(cluster, "kiali").await;
        }
        let added = |now: &[Snapshot; 2]| [0, 1].map(|index| pair.clean[index].diff(&now[index]));
        let as_installed = snapshots(&pair.clusters.sandbox).await;
        let expected = ADDED.get_or_init(|| added(&as_installed));
        assert_eq!(
            added(&as_installed),
            *expected,
            "not what another install adds"
        );
        Installed {
            as_installed,
            remembered: fs::read(pair.memory()).expect("a file"),
            pair,
            by: vec![this_test()],
            _shared: shared,
        }
    }

    /// Gives this test, the next one that has the install, a state folder of its own.
    fn moved(mut self) -> Installed {
        self.pair.clusters.state = tempfile::tempdir().expect("a folder");
        let memory = self.pair.memory();
        fs::create_dir(memory.parent().expect("a folder")).expect("a folder");
        fs::write(memory, &self.remembered).expect("a file");
        self.by.push(this_test());
        self
    }

    pub async fn assert_unchanged(&self) {
        let _witness = Witness(&self.pair.clusters.sandbox);
        let left = self.pair.clusters.left(&self.as_installed).await.join("\n");
        assert!(left.is_empty(), "the install is not as it was:\n{left}");
        let remembered = fs::read(self.pair.memory()).expect("a file");
        assert!(remembered == self.remembered, "last.json was changed");
    }

    pub async fn hand_on(self) {
        let mut installed = self;
        while let Some(hand) = next_waiting() {
            match hand.send(installed) {
                Ok(()) => return,
                // That test has got a clean pair in the meantime.
                Err(back) => installed = back,
            }
        }
        let Installed { pair, by, .. } = installed;
        pair.clean_up(&by).await;
    }
}
