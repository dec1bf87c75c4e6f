//! Three or more real clusters, for tests with more than one remote.

use ambikiali_sandbox::snapshot::Snapshot;
use ambikiali_sandbox::{Delays, Sandbox};
use futures::future::join_all;
use tempfile::TempDir;
use tokio::process::Child;

use super::pairs::{PAIRS, RUNTIME, START};
use super::{Ended, ambikiali, command, different, entry, kubeconfig};

pub struct Fleet {
    pub sandbox: Sandbox,
    state: TempDir,
}

/// Runs a test on `cluster1`, `cluster2` and `cluster3`, and checks that it left them unchanged.
pub fn on_three_clusters(test: impl AsyncFnOnce(&Fleet)) {
    on_clusters(&["cluster1", "cluster2", "cluster3"], test);
}

/// The same on three or four clusters with these names.
pub fn on_clusters(names: &[&str], test: impl AsyncFnOnce(&Fleet)) {
    RUNTIME.block_on(async {
        // Three or four clusters use as many resources as two pairs.
        let _room = PAIRS.acquire_many(2).await.expect("never closed");
        let alone = START.acquire().await.expect("never closed");
        let say = |line: &str| eprintln!("{line}");
        let sandbox = Sandbox::start(names, Delays::NONE, say).await;
        let sandbox = sandbox.expect("clusters");
        drop(alone);
        let before = join_all(sandbox.clusters().iter().map(Snapshot::settled)).await;
        let state = tempfile::tempdir().expect("a folder");
        let fleet = Fleet { sandbox, state };
        test(&fleet).await;
        for (cluster, before) in fleet.sandbox.clusters().iter().zip(before) {
            let left = different(cluster, &before.expect("a snapshot")).await;
            assert!(left.is_empty(), "not as it was:\n{}", left.join("\n"));
        }
        fleet.sandbox.stop().await.expect("the clusters end");
    });
}

impl Fleet {
    /// Runs the binary with the kubeconfig of these clusters and its own state folder.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        ambikiali(arguments, self.sandbox.kubeconfig(), self.state.path()).await
    }

    /// Runs the binary with one API server at an address where nothing listens.
    pub async fn run_without(&self, down: &str, arguments: &[&str]) -> Ended {
        let to = self.state.path().join("without");
        let without = kubeconfig(self.sandbox.kubeconfig(), to, |config| {
            entry(config, "cluster", down)["server"] = "https://127.0.0.1:1".into();
        });
        ambikiali(arguments, &without, self.state.path()).await
    }

    /// Starts the binary without waiting for it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = command(arguments, self.sandbox.kubeconfig(), self.state.path());
        command.spawn().expect("the binary starts")
    }
}
