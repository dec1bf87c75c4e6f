//! Runs the binary with a proxy in front of each cluster, and proves that a disturbed install has the same result as
//! an undisturbed one.

use std::path::PathBuf;

use ambikiali_sandbox::audit::Mark;
use ambikiali_sandbox::fault::{Action, Entry, Fault, Proxy, Verb, When};
use serde_json::Value;
use tokio::process::Child;

use crate::support::{
    CLEANUP, Clusters, Ended, ambikiali, command, entry, kubeconfig, output, unwritten,
};

pub struct Behind<'a> {
    pub clusters: &'a Clusters,
    pub home: Proxy,
    pub remote: Proxy,
    kubeconfig: PathBuf,
    marks: [Mark; 2],
}

impl Behind<'_> {
    pub async fn proxies(clusters: &Clusters) -> Behind<'_> {
        let start = |cluster| Proxy::start(cluster, "ambikiali/");
        let (home, remote) = tokio::join!(start(clusters.home()), start(clusters.remote()));
        let (home, remote) = (home.expect("a proxy"), remote.expect("a proxy"));
        let file = clusters.state().join("kubeconfig");
        let file = home.kubeconfig(clusters.sandbox.kubeconfig(), file);
        let file = file.expect("a kubeconfig");
        let kubeconfig = remote.kubeconfig(&file, file.clone());
        Behind {
            clusters,
            home,
            remote,
            kubeconfig: kubeconfig.expect("a kubeconfig"),
            marks: clusters.marks(),
        }
    }

    /// Adds a fault for both clusters.
    pub fn both(&self, verbs: &'static [Verb], when: When, action: Action) {
        for proxy in [&self.home, &self.remote] {
            let action = action.clone();
            proxy.add(Fault {
                verbs,
                path: "",
                when,
                action,
            });
        }
    }

    pub fn heal(&self) {
        self.home.heal();
        self.remote.heal();
    }

    pub async fn install(&self, timeout: &str) -> Ended {
        output(self.start(timeout)).await
    }

    /// Starts an install.
    pub fn start(&self, timeout: &str) -> Child {
        let [home, remote] = [["--ctx1", "cluster1"], ["--ctx2", "cluster2"]];
        let more = ["--allow-loopback", "--timeout", timeout];
        self.begin(&[&["install"][..], &home, &remote, &more].concat())
    }

    /// Starts any command.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = command(arguments, &self.kubeconfig, self.clusters.state());
        command.spawn().expect("the binary starts")
    }

    pub async fn cleanup(&self) -> Ended {
        self.run(&CLEANUP).await
    }

    pub async fn run(&self, arguments: &[&str]) -> Ended {
        ambikiali(arguments, &self.kubeconfig, self.clusters.state()).await
    }

    /// Sets other credentials for a context.
    pub fn user(&self, context: &str, user: Value) {
        kubeconfig(&self.kubeconfig, self.kubeconfig.clone(), |config| {
            *entry(config, "user", context) = user;
        });
    }

    /// Checks that nothing was created twice and that an undisturbed install writes nothing.
    pub async fn converged(&self) {
        self.heal();
        for mark in &self.marks {
            let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
            let created = writes.iter().filter(|request| request.code == 201);
            let mut uris = created.map(|request| &request.uri).collect::<Vec<_>>();
            let all = uris.len();
            uris.sort();
            uris.dedup();
            assert!(all >= 10, "{uris:#?}");
            assert_eq!(uris.len(), all, "created twice: {writes:#?}");
        }
        let marks = self.clusters.marks();
        self.install("180s").await.succeeded();
        unwritten(&marks);
    }

    /// Returns the disturbed requests on each cluster. Both must have at least one.
    pub fn disturbed(&self, verb: Verb) -> [Vec<Entry>; 2] {
        [&self.home, &self.remote].map(|proxy| {
            let mut entries = proxy.disturbed();
            entries.retain(|entry| entry.verb == verb);
            assert!(!entries.is_empty(), "no {verb:?} was disturbed");
            entries
        })
    }
}
