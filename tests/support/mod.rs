//! Two real clusters for a test and the built binary to run on them. Each test declares in which state it needs the
//! clusters and in which state it leaves them, and both are checked.

mod command;
mod fleet;
mod gateway;
mod kubeconfig;
mod masked;
mod objects;
mod pairs;
mod proxy;
mod record;
mod reviews;
mod terminal;
pub mod tls_client;
mod tls_server;
mod waiting;
pub mod web_server;

use std::path::Path;
use std::time::{Duration, Instant};

use ambikiali_sandbox::audit::Mark;
use ambikiali_sandbox::snapshot::Snapshot;
use ambikiali_sandbox::{Cluster, Sandbox};
use tempfile::TempDir;
use tokio::process::Child;

pub use command::{Ended, ambikiali, command, output, says, text};
pub use fleet::{Fleet, on_clusters, on_three_clusters};
pub use gateway::{exposed, until_exposed};
pub use kubeconfig::{entry, kubeconfig};
pub use masked::{masked, progress};
pub use objects::{
    Foreign, await_generated_objects, dead_kubeconfig, dead_remote, get, guides_secret, merge,
    patch, patch_status, put, remove, scale, until_changed, until_refused, widgets,
};
pub use pairs::{from_an_install, on_an_install, on_two_clusters, to_an_install};
pub use proxy::{Kind, Proxy};
pub use record::{entry as recorded_as, forged, install_labels, rewritten};
pub use reviews::{WRITES, may, may_as};
pub use terminal::Terminal;
pub use tls_server::{TlsServer, acceptor};
pub use waiting::{PATIENCE, until};

/// The flags of both clusters.
pub const BOTH: [&str; 5] = [
    "--ctx1",
    "cluster1",
    "--ctx2",
    "cluster2",
    "--allow-loopback",
];

/// `install` for clusters that run as local processes.
pub const INSTALL: [&str; 8] = [
    "install",
    "--ctx1",
    "cluster1",
    "--ctx2",
    "cluster2",
    "--allow-loopback",
    "--timeout",
    "180s",
];

/// `cleanup` of the install that the binary remembers.
pub const CLEANUP: [&str; 3] = ["cleanup", "--timeout", "180s"];

/// A mesh of `cluster1` as home and `cluster2` as remote, with the sample apps.
pub struct Clusters {
    pub sandbox: Sandbox,
    /// The binary's state folder of this test.
    state: TempDir,
}

impl Clusters {
    /// Snapshots of both clusters.
    pub async fn snapshots(&self) -> [Snapshot; 2] {
        snapshots(&self.sandbox).await
    }

    /// Checks that no object of any kind has changed, by UID and content.
    pub async fn assert_unchanged(&self, before: &[Snapshot; 2]) {
        let left = self.left(before).await;
        assert!(left.is_empty(), "not as it was:\n{}", left.join("\n"));
    }

    /// The differences from the snapshots that remain after garbage collection.
    pub async fn left(&self, before: &[Snapshot; 2]) -> Vec<String> {
        let (home, remote) = tokio::join!(
            different(self.home(), &before[0]),
            different(self.remote(), &before[1]),
        );
        [home, remote].concat()
    }

    pub fn home(&self) -> &Cluster {
        self.sandbox.cluster("cluster1")
    }

    pub fn remote(&self) -> &Cluster {
        self.sandbox.cluster("cluster2")
    }

    /// The current ends of both audit logs.
    pub fn marks(&self) -> [Mark; 2] {
        [self.home(), self.remote()].map(|cluster| Mark::now(cluster).expect("an audit log"))
    }

    /// The binary's state folder of this test.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Sets whether new Prometheus servers use the scrape interval of their configuration instead of a short one.
    pub fn scraped_as_configured(&self, wanted: bool) {
        let world = self.sandbox.world();
        world.change_delays(|delays| delays.scrapes = wanted);
    }

    /// Runs the binary with the kubeconfig of these clusters and the test's state folder.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        ambikiali(arguments, self.sandbox.kubeconfig(), self.state.path()).await
    }

    /// Runs `INSTALL` with more arguments.
    pub async fn install(&self, more: &[&str]) -> Ended {
        self.run(&[&INSTALL, more].concat()).await
    }

    /// Installs, for tests of other commands.
    pub async fn installed(&self) {
        self.install(&[]).await.succeeded();
    }

    pub async fn cleaned(&self) {
        self.run(&CLEANUP).await.succeeded();
    }

    /// Starts the binary without waiting for it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = command(arguments, self.sandbox.kubeconfig(), self.state.path());
        command.spawn().expect("the binary starts")
    }
}

/// Checks that no request since the marks could change an object.
#[track_caller]
pub fn unwritten(marks: &[Mark; 2]) {
    for mark in marks {
        let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
        assert_eq!(writes.len(), 0, "{writes:#?}");
    }
}

async fn snapshots(sandbox: &Sandbox) -> [Snapshot; 2] {
    let [home, remote] =
        ["cluster1", "cluster2"].map(|name| Snapshot::settled(sandbox.cluster(name)));
    let (home, remote) = tokio::join!(home, remote);
    [home.expect("a snapshot"), remote.expect("a snapshot")]
}

async fn different(cluster: &Cluster, before: &Snapshot) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let begin = Instant::now();
        let now = Snapshot::take(cluster).await.expect("a snapshot");
        let changes = before.diff(&now);
        if changes.is_empty() || Instant::now() > end {
            let name = cluster.name();
            return changes
                .iter()
                .map(|change| format!("{name}: {change}"))
                .collect();
        }
        // A look at everything is work for the server, which has garbage to collect.
        tokio::time::sleep((begin.elapsed() * 2).max(Duration::from_millis(400))).await;
    }
}
