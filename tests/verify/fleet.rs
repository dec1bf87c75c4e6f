//! The matrix of four clusters.

use super::last_lines;
use crate::support::{CLEANUP, Fleet, on_clusters};

const FOUR: [&str; 4] = ["cluster1", "cluster2", "cluster3", "cluster4"];

#[test]
fn four_clusters_are_a_matrix_of_sixteen_flows() {
    on_clusters(&FOUR, async |fleet: &Fleet| {
        let remotes = FOUR[1..].iter().flat_map(|remote| ["--ctx2", remote]);
        let install = [
            "install",
            "--ctx1",
            FOUR[0],
            "--allow-loopback",
            "--timeout",
            "180s",
        ];
        let install = install.into_iter().chain(remotes).collect::<Vec<_>>();
        fleet.run(&install).await.succeeded();
        let all = fleet.run(&["verify", "--pairs", "all"]).await.succeeded();
        assert_eq!(
            last_lines(&all.stdout, 6),
            "\
from \\ to  cluster1  cluster2  cluster3  cluster4
cluster1   ok        ok        ok        ok
cluster2   ok        ok        ok        ok
cluster3   ok        ok        ok        ok
cluster4   ok        ok        ok        ok
Verified in TIME: 20 ok; flows: 16 ok
"
        );
        one_that_is_not_reached(fleet).await;
        fleet.run(&CLEANUP).await.succeeded();
    });
}

/// It stays in the matrix, and what the others tell of it is told.
async fn one_that_is_not_reached(fleet: &Fleet) {
    let verify = ["verify", "-o", "json"];
    let home = fleet.run_without("cluster4", &["verify"]).await.exited(5);
    let lines = last_lines(&home.stdout, 8);
    let (table, lines) = lines
        .split_once("unproven  requests")
        .expect("an unproven flow");
    assert_eq!(
        table,
        "\
from \\ to  cluster1  cluster2  cluster3  cluster4
cluster1   ok        ok        ok        unproven
cluster2   ok        -         -         -
cluster3   ok        -         -         -
cluster4   unproven  -         -         -
"
    );
    let to = "       cluster1 -> cluster4  ";
    assert!(lines.starts_with(to), "{home:#?}");
    let unknown = "requests answered; which ones by cluster4 is not known: this machine does not reach cluster4\n";
    assert!(lines.contains(unknown), "{home:#?}");
    let from =
        "unproven  requests       cluster4 -> cluster1  this machine does not reach cluster4\n";
    assert!(lines.contains(from), "{home:#?}");
    let document = fleet
        .run_without("cluster4", &verify)
        .await
        .exited(5)
        .stdout;
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let mut flows = document["flows"].as_array().expect("flows").iter();
    let flow = flows.find(|flow| flow["from"] == "cluster1" && flow["to"] == "cluster4");
    let hops = flow.expect("a flow")["hops"].as_array().expect("hops");
    let verdicts = hops.iter().map(|hop| hop["verdict"].as_str());
    let verdicts = verdicts.map(Option::unwrap_or_default).collect::<Vec<_>>();
    assert_eq!(
        verdicts,
        ["unproven", "ok", "unproven", "ok", "ok"],
        "{hops:#?}"
    );
}
