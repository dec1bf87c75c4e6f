//! An install that was killed halfway can be cleaned up or resumed.

use std::time::{Duration, Instant};

use ambikiali_sandbox::audit::Mark;

use super::CLEAN;
use crate::support::{Clusters, INSTALL, masked, on_two_clusters, to_an_install, unwritten};

/// The number of writes of a first install in both clusters.
const ALL: usize = 36;

/// Kills an install after this many writes since the marks. A few more may happen, because the server completes
/// requests in flight.
async fn killed_after(clusters: &Clusters, marks: &[Mark; 2], writes: usize) {
    let count = |mark: &Mark| {
        let ours = mark.requests().unwrap().by_agent("ambikiali");
        ours.writes().len()
    };
    let mut install = clusters.start(&INSTALL);
    let end = Instant::now() + Duration::from_secs(60);
    while marks.iter().map(count).sum::<usize>() < writes {
        assert!(Instant::now() < end, "{writes} writes never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    install.kill().await.expect("still running");
}

#[test]
fn an_install_killed_at_any_point_is_cleaned_up_without_naming_the_clusters() {
    on_two_clusters(async |clusters| {
        let clean = clusters.snapshots().await;
        for writes in [1, ALL / 4, ALL / 2, ALL * 3 / 4, ALL - 1] {
            killed_after(clusters, &clusters.marks(), writes).await;
            let cleaned = clusters.run(&["cleanup"]).await.succeeded();
            assert_eq!(masked(&cleaned.stdout), CLEAN, "after {writes} writes");
            clusters.assert_unchanged(&clean).await;
        }
    });
}

#[test]
fn an_install_killed_at_any_point_is_gone_on_with() {
    to_an_install(async |clusters| {
        let marks = clusters.marks();
        for writes in [2, ALL / 2, ALL - 4] {
            killed_after(clusters, &marks, writes).await;
        }
        clusters.installed().await;
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
    });
}
