//! What `check` finds, and that an install which finds it writes nothing.

mod broken;
mod changed;
mod sync;
mod texts;

use crate::support::{BOTH, on_two_clusters, unwritten};

#[test]
fn a_mesh_that_is_as_it_should_be_is_ready_to_install_and_nothing_is_written() {
    on_two_clusters(async |clusters| {
        let marks = clusters.marks();
        let check = [&["check"], &BOTH[..]].concat();
        let ended = clusters.run(&check).await.succeeded();
        assert_eq!(ended.stdout, "Ready to install\n");
        unwritten(&marks);
        clusters.installed().await;
        let marks = clusters.marks();
        let swapped = [
            &["install", "--ctx1", "cluster2", "--ctx2", "cluster1"],
            &BOTH[4..],
        ];
        let ended = clusters.run(&swapped.concat()).await.exited(3);
        let said =
            "error[AK1007]: cluster2: ConfigMap kiali/ambikiali-record: says that cluster1 is home";
        assert!(ended.stderr.contains(said), "{ended:#?}");
        unwritten(&marks);
        let ended = clusters.run(&check).await.succeeded();
        assert_eq!(ended.stdout, "Ready to install\n");
        clusters.cleaned().await;
    });
}
