//! Rows 13 to 15: credentials that expire, cannot be loaded, or never worked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use ambikiali_sandbox::fault::{Action, Answer, Fault, Verb, When};
use serde_json::{Value, json};

use super::behind::Behind;
use crate::support::{
    Clusters, Ended, Foreign, INSTALL, ambikiali, entry, kubeconfig, on_two_clusters,
    to_an_install, until, unwritten,
};

const RUNNER: &str = r"
apiVersion: v1
kind: ServiceAccount
metadata: {name: runner, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: runner}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: runner, namespace: default}]
";

/// What the plugins print to stderr.
const SECRET: &str = "s3cret";

/// A credential plugin: a link to the shell under another name.
struct Plugin {
    program: PathBuf,
    script: String,
}

impl Plugin {
    fn new(clusters: &Clusters, script: &str) -> Plugin {
        let program = clusters.state().join("plugin");
        if !program.exists() {
            symlink("/bin/sh", &program).expect("a link");
        }
        let runs = clusters.state().join("runs");
        let _ = fs::remove_file(&runs);
        let runs = runs.display();
        Plugin {
            program,
            script: format!("echo $$ >> '{runs}'; echo {SECRET} >&2; {script}"),
        }
    }

    fn user(&self) -> Value {
        json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "interactiveMode": "IfAvailable",
            "command": self.program,
            "args": ["-c", self.script],
        }})
    }

    /// Returns the process ID of each run.
    fn runs(&self) -> Vec<String> {
        let runs = fs::read_to_string(self.program.with_file_name("runs")).expect("a run");
        runs.lines().map(String::from).collect()
    }
}

#[test]
fn fault_13_credentials_that_expire_are_fetched_once_and_fixed_ones_are_named() {
    to_an_install(async |clusters| {
        let remote = clusters.remote();
        let runner = Foreign::apply(remote, RUNNER).await;
        let behind = Behind::proxies(clusters).await;
        let refuse = |when| {
            let expired = Answer::status(401, "Unauthorized", "Unauthorized", None);
            behind.remote.add(Fault {
                verbs: Verb::WRITES,
                path: "/deployments/kiali-operator",
                when,
                action: Action::Answer(expired),
            });
        };
        refuse(When::Always);
        // A client certificate cannot be refreshed.
        stopped(&behind.install("90s").await.exited(8));
        assert_eq!(behind.remote.disturbed().len(), 1);

        let token = remote.token("default", "runner").await.expect("a token");
        let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}});
        let plugin = || Plugin::new(clusters, &format!("echo '{credential}'"));
        let used = plugin();
        behind.user("cluster2", used.user());
        let ended = behind.install("90s").await.exited(8);
        stopped(&ended);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
        assert_eq!(used.runs().len(), 2, "the new ones were refused too");
        assert_eq!(behind.remote.disturbed().len(), 3);

        behind.heal();
        refuse(When::First(1));
        let used = plugin();
        let ended = behind.install("180s").await.succeeded();
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
        assert_eq!(used.runs().len(), 2);
        assert_eq!(behind.remote.disturbed().len(), 4);
        behind.converged().await;
        runner.removed().await;
    });
}

#[track_caller]
fn stopped(ended: &Ended) {
    assert_eq!(ended.stdout, "");
    assert_eq!(
        ended.error(),
        "\
kiali operator: cluster2: Deployment kiali/kiali-operator: the credentials expired or are refused (401 Unauthorized)
  fix: kubectl --context cluster2 auth whoami
"
    );
}

/// Runs an install with another kubeconfig entry for cluster2, which must write nothing. Returns its error.
async fn refused(clusters: &Clusters, what: &str, value: &Value) -> String {
    let copy = clusters.state().join("kubeconfig");
    let original = clusters.sandbox.kubeconfig();
    let copy = kubeconfig(original, copy, |config| {
        *entry(config, what, "cluster2") = value.clone();
    });
    let marks = clusters.marks();
    let install = [&INSTALL[..7], &["20s"]].concat();
    let ended = ambikiali(&install, &copy, clusters.state()).await.exited(8);
    assert_eq!(ended.stdout, "");
    // The stderr of a slow plugin is passed on immediately, and appears nowhere else.
    let mut own = ended
        .stderr
        .lines()
        .filter(|line| !line.contains("/plugin: "));
    assert!(own.all(|line| !line.contains(SECRET)), "{}", ended.stderr);
    unwritten(&marks);
    ended.error()
}

#[test]
fn fault_14_a_plugin_that_hangs_or_fails_is_named_and_not_repeated() {
    on_two_clusters(async |clusters| {
        let half = format!("echo '{{\"status\": {{\"token\": [\"{SECRET}'");
        for (script, cause) in [
            ("exec sleep 600", "did not answer within 20 s"),
            (
                "exit 3",
                "failed (exit status: 3); its output is hidden because it may contain a token; kubectl shows it",
            ),
            (&half, "printed no ExecCredential"),
        ] {
            let plugin = Plugin::new(clusters, script);
            let program = plugin.program.display();
            assert_eq!(
                refused(clusters, "user", &plugin.user()).await,
                format!(
                    "[AK1013] context cluster2: credential plugin {program} {cause}\n  fix: kubectl --context cluster2 version\n"
                )
            );
            let runs = plugin.runs();
            assert_eq!(runs.len(), 1);
            until("the plugin has ended", async || {
                // An ended process that was not reaped has an empty command line.
                let command = fs::read(format!("/proc/{}/cmdline", runs[0]));
                command.unwrap_or_default().is_empty()
            })
            .await;
        }
    });
}

#[test]
fn fault_15_certificates_that_were_never_good_are_refused_before_the_first_write() {
    to_an_install(async |clusters| {
        let expired = clusters.remote().admin_until(2020).expect("a certificate");
        assert_eq!(
            refused(clusters, "user", &expired).await,
            "\
[AK1002] context cluster2 at https://127.0.0.1:PORT: the credentials expired or are refused (401 Unauthorized)
  fix: kubectl --context cluster2 version
"
        );
        let mut other = Value::Null;
        let copy = clusters.state().join("other");
        kubeconfig(clusters.sandbox.kubeconfig(), copy, |config| {
            let ca = entry(config, "cluster", "cluster1")["certificate-authority-data"].take();
            other = entry(config, "cluster", "cluster2").take();
            other["certificate-authority-data"] = ca;
        });
        assert_eq!(
            refused(clusters, "cluster", &other).await,
            "\
[AK1011] context cluster2 at https://127.0.0.1:PORT: its certificate is not signed by the CA in the kubeconfig, or has an RSA key shorter than 2048 bits
  fix: kubectl --context cluster2 version
"
        );
        let good = clusters.remote().admin_until(4000).expect("a certificate");
        let copy = clusters.state().join("good");
        let copy = kubeconfig(clusters.sandbox.kubeconfig(), copy, |config| {
            *entry(config, "user", "cluster2") = good;
        });
        let install = ambikiali(&INSTALL, &copy, clusters.state());
        install.await.succeeded();
    });
}
