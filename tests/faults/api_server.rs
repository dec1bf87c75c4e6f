//! One of several clusters is unreachable: a wrong address, or a server that dies.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{
    Clusters, Ended, INSTALL, ambikiali, get, output, to_an_install, until, unwritten,
};

#[test]
fn a_remote_that_is_dead_before_the_first_write_is_named_and_nothing_is_written() {
    to_an_install(async |clusters| {
        let marks = clusters.marks();
        clusters.remote().kill_api_server().unwrap();
        let ended = clusters.install(&[]).await.exited(8);
        assert_eq!(
            ended.error(),
            "\
[AK1001] context cluster2 at https://127.0.0.1:PORT: Connection refused
  fix: kubectl --context cluster2 version
"
        );
        unwritten(&marks);
        clusters.remote().restart_api_server().await.unwrap();
        clusters.installed().await;
    });
}

#[test]
fn a_remote_that_dies_at_its_first_write_is_named_and_a_later_install_converges() {
    to_an_install(async |clusters| dies_after(clusters, 1).await);
}

#[test]
fn a_remote_that_dies_in_the_middle_is_named_and_a_later_install_converges() {
    to_an_install(async |clusters| dies_after(clusters, 12).await);
}

async fn dies_after(clusters: &Clusters, writes: usize) {
    let [_, remote] = clusters.marks();
    let install = clusters.start(&INSTALL);
    until("the remote was written to", async || {
        let ours = remote.requests().unwrap().by_agent("ambikiali");
        ours.writes().len() >= writes
    })
    .await;
    clusters.remote().kill_api_server().unwrap();
    let ended = output(install).await.exited(8);
    let error = ended.error();
    assert!(error.contains(": cluster2: "), "{error}");
    assert!(error.contains("https://127.0.0.1:PORT"), "{error}");
    assert!(error.contains("Connection refused"), "{error}");

    clusters.remote().restart_api_server().await.unwrap();
    clusters.installed().await;
}

/// A host that does not exist, and a port where nothing listens.
const NOWHERE: [&str; 2] = ["https://api.cluster.invalid:6443", "https://127.0.0.1:1"];

/// Whether the error is the expected one. Without a network, the resolver's text differs.
fn cause(server: &str, said: &str) -> bool {
    let unresolved = "failed to lookup address information: ";
    match server == NOWHERE[0] {
        true => said.starts_with(unresolved),
        false => said == "Connection refused",
    }
}

/// Returns the clusters' kubeconfig with another server for one of them.
fn kubeconfig(clusters: &Clusters, cluster: &str, server: &str) -> PathBuf {
    let text = std::fs::read_to_string(clusters.sandbox.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    let entries = config["clusters"].as_array_mut().expect("clusters");
    let entry = entries.iter_mut().find(|entry| entry["name"] == cluster);
    entry.expect("the cluster")["cluster"]["server"] = json!(server);
    let file = clusters.state().join("nowhere");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

#[test]
fn fault_12_one_cluster_at_a_wrong_address_stops_an_install_before_any_write_and_hides_no_other() {
    to_an_install(async |clusters| {
        let marks = clusters.marks();
        for server in NOWHERE {
            for cluster in ["cluster1", "cluster2"] {
                let file = kubeconfig(clusters, cluster, server);
                let ended = ambikiali(&INSTALL, &file, clusters.state()).await.exited(8);
                names_it(&ended, cluster, server);
            }
        }
        unwritten(&marks);
        clusters.installed().await;
        let given = ("v1", "Secret", "kiali/kiali-multi-cluster-secret");
        let given = get(clusters.home(), given.0, given.1, given.2).await;
        for server in NOWHERE {
            shows_the_rest(clusters, server).await;
        }
        let after = ("v1", "Secret", "kiali/kiali-multi-cluster-secret");
        assert_eq!(get(clusters.home(), after.0, after.1, after.2).await, given);
    });
}

fn names_it(ended: &Ended, cluster: &str, server: &str) {
    let error = ended.stderr.split_once("error[AK1001]: ");
    let error = error.expect("an error").1;
    let (error, fix) = error.split_once('\n').expect("a fix");
    let said = error.strip_prefix(&format!("context {cluster} at {server}: "));
    assert!(said.is_some_and(|said| cause(server, said)), "{error}");
    assert_eq!(fix, format!("  fix: kubectl --context {cluster} version\n"));
    assert_eq!(ended.stdout, "");
}

/// Checks that home is shown completely and the remote as unreachable if the remote has a wrong address.
async fn shows_the_rest(clusters: &Clusters, server: &str) {
    let file = kubeconfig(clusters, "cluster2", server);
    let run = async |arguments: &[&str]| ambikiali(arguments, &file, clusters.state()).await;
    let status = run(&["status"]).await.exited(1);
    let (home, remote) = status.stdout.split_once("cluster2 ").expect("the remote");
    assert_eq!(home.lines().count(), 12, "{home}");
    assert!(
        home.lines().all(|line| line.contains("  ready      ")),
        "{home}"
    );
    let said = remote
        .trim()
        .strip_prefix(&format!("no access: context cluster2 at {server}: "));
    assert!(said.is_some_and(|said| cause(server, said)), "{remote}");

    let verify = run(&["verify", "--probes", "none"]).await.exited(5);
    let lines = verify.stdout;
    let broken = lines.lines().filter(|line| line.starts_with("broken"));
    let broken = broken.collect::<Vec<_>>();
    assert_eq!(broken.len(), 1, "{lines}");
    let said = broken[0].split_once(&format!("context cluster2 at {server}: "));
    assert!(said.is_some_and(|(_, said)| cause(server, said)), "{lines}");
    assert!(
        lines.contains("ok        components     cluster1      11 ready"),
        "{lines}"
    );
    assert!(
        lines.contains("ok        kiali          cluster1      sees cluster1, cluster2"),
        "{lines}"
    );
}
