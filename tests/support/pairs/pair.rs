//! A pair of clusters with the snapshots of its clean state.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use ambikiali_sandbox::snapshot::Snapshot;
use ambikiali_sandbox::{Delays, Sandbox};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::support::{BOTH, CLEANUP, Clusters, snapshots};

/// The runtime outlives each test, because stand-ins run in it.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a tokio runtime"));
/// Start one pair at a time, because twenty programs at once slow each other down.
pub static START: Semaphore = Semaphore::const_new(1);
/// Limit for pairs: one takes ten processes and up to three gigabytes.
pub static PAIRS: Semaphore = Semaphore::const_new(5);
/// Idle clean pairs. The sandbox stops them when the process ends.
static IDLE: Mutex<Vec<(Sandbox, [Snapshot; 2])>> = Mutex::new(Vec::new());

/// Permission to use a pair.
pub type Permit = SemaphorePermit<'static>;

/// A pair in use.
pub struct Pair {
    pub clusters: Clusters,
    /// The clean clusters.
    pub clean: [Snapshot; 2],
    permit: Permit,
}

pub async fn permit() -> Permit {
    PAIRS.acquire().await.expect("never closed")
}

impl Pair {
    pub async fn take(permit: Permit) -> Pair {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (sandbox, clean) = match idle {
            Some(pair) => pair,
            None => start().await,
        };
        let state = tempfile::tempdir().expect("a folder");
        Pair {
            clusters: Clusters { sandbox, state },
            clean,
            permit,
        }
    }

    pub async fn run(&self, test: impl AsyncFnOnce(&Clusters)) {
        let _witness = Witness(&self.clusters.sandbox);
        test(&self.clusters).await;
    }

    /// Names the tests that had the same install before.
    pub async fn assert_clean(&self, by: &[String]) {
        let _witness = Witness(&self.clusters.sandbox);
        let left = self.clusters.left(&self.clean).await.join("\n");
        let by = by.join("\n");
        assert!(
            left.is_empty(),
            "not as it was:\n{left}\nthese tests had the install before:\n{by}"
        );
    }

    pub async fn clean_up(self, by: &[String]) {
        // Names the clusters, because the test may have installed with a kubeconfig of its own.
        let cleanup = [&CLEANUP[..], &BOTH[..4]].concat();
        self.run(async |clusters: &Clusters| {
            clusters.run(&cleanup).await.succeeded();
        })
        .await;
        self.assert_clean(by).await;
        self.give_back();
    }

    pub fn give_back(self) {
        IDLE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((self.clusters.sandbox, self.clean));
        drop(self.permit);
    }

    /// The file in which the binary remembers an install.
    pub fn memory(&self) -> PathBuf {
        self.clusters.state().join("ambikiali/last.json")
    }
}

/// Prints istiod's errors if a test fails, because its logs are lost with the clusters.
pub struct Witness<'a>(pub &'a Sandbox);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["cluster1", "cluster2"] {
                let complaints = self.0.cluster(name).istiod_complaints().join("\n  ");
                eprintln!("istiod of {name} complained of:\n  {complaints}");
            }
        }
    }
}

async fn start() -> (Sandbox, [Snapshot; 2]) {
    let _alone = START.acquire().await.expect("never closed");
    let say = |line: &str| eprintln!("{line}");
    let started = Sandbox::start(&["cluster1", "cluster2"], Delays::NONE, say).await;
    let sandbox = started.expect("two clusters");
    let before = snapshots(&sandbox).await;
    (sandbox, before)
}
