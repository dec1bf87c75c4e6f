//! The remote's API server dies while an install is under way.

use crate::support::{Clusters, INSTALL, on_two_clusters, output, until};

#[test]
fn a_remote_that_is_dead_before_the_first_write_is_named_and_nothing_is_written() {
    on_two_clusters(async |clusters| {
        let marks = clusters.marks();
        clusters.remote().kill_api_server().unwrap();
        let ended = clusters.install(&[]).await.exited(8);
        assert_eq!(
            ended.error(),
            "\
context cluster2 at https://127.0.0.1:PORT: Connection refused
  fix: kubectl --context cluster2 version
"
        );
        for mark in marks {
            let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
            assert_eq!(writes.len(), 0, "{writes:#?}");
        }
        clusters.remote().restart_api_server().await.unwrap();
        clusters.installed().await;
        clusters.cleaned().await;
    });
}

#[test]
fn a_remote_that_dies_at_its_first_write_is_named_and_a_later_install_converges() {
    on_two_clusters(async |clusters| dies_after(clusters, 1).await);
}

#[test]
fn a_remote_that_dies_in_the_middle_is_named_and_a_later_install_converges() {
    on_two_clusters(async |clusters| dies_after(clusters, 12).await);
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
    clusters.cleaned().await;
}
