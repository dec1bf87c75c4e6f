//! What could not be asked is listed, and no failure.

use std::time::Duration;

use tokio::time::timeout;

use super::{doctor, healthy};
use crate::support::{masked, on_an_install};

#[test]
fn a_cluster_that_hangs_is_listed_and_hides_no_other() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        clusters.remote().pause_api_server().expect("paused");
        let ended = timeout(Duration::from_secs(60), doctor(clusters, &[])).await;
        clusters.remote().resume_api_server().expect("resumed");
        let ended = ended.expect("an end").exited(5);
        assert_eq!(
            masked(&ended.stdout),
            "\x20\
1. AK1517  cluster2      seen      Kiali does not see a cluster
    Kiali does not answer: its /api/status: no answer in 10 s
    fix: look at the API server of that cluster: Kiali waits for it, and is not to be restarted before it answers
Could not be asked:
    cluster2      context cluster2 at https://127.0.0.1:PORT: no answer in 10 s (AK1004, AK1208, AK1511, AK1516, AK1514, AK1515, AK1213, AK1214, AK1210, AK1302, AK1211, AK1212, AK1304, AK1209, AK1230, AK1522, AK1524, AK1217, AK1216, AK1502, AK1503, AK1437, AK1504, AK1523, AK1513)
1 likely cause in TIME; ruled out: 18 of 44
"
        );
        healthy(clusters).await;
    });
}

#[tokio::test]
async fn only_doctor_writes_a_report() {
    let refused = crate::cli::run(&["status", "-o", "markdown"])
        .await
        .exited(2);
    let said = "-o markdown is only for doctor; use text, json, yaml or jsonl";
    assert!(refused.stderr.contains(said), "{refused:#?}");
}
