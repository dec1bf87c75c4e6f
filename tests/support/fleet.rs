//! Three real clusters for a test of more than two.

use ambikiali_sandbox::snapshot::Snapshot;
use ambikiali_sandbox::{Delays, Sandbox};
use futures::future::join_all;
use tempfile::TempDir;
use tokio::process::Child;

use super::{Ended, PAIRS, RUNTIME, START, ambikiali, command, different};

pub struct Fleet {
    pub sandbox: Sandbox,
    state: TempDir,
}

/// Runs a test on `cluster1`, `cluster2` and `cluster3`, and proves that it left them as they were.
pub fn on_three_clusters(test: impl AsyncFnOnce(&Fleet)) {
    RUNTIME.block_on(async {
        // They take the place of two pairs.
        let _room = PAIRS.acquire_many(2).await.expect("never closed");
        let alone = START.acquire().await.expect("never closed");
        let names = ["cluster1", "cluster2", "cluster3"];
        let say = |line: &str| eprintln!("{line}");
        let sandbox = Sandbox::start(&names, Delays::NONE, say).await;
        let sandbox = sandbox.expect("three clusters");
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
    /// The binary with these clusters' kubeconfig and a state folder of its own.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        ambikiali(arguments, self.sandbox.kubeconfig(), self.state.path()).await
    }

    /// One that goes on beside the test.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = command(arguments, self.sandbox.kubeconfig(), self.state.path());
        command.spawn().expect("the binary starts")
    }
}
