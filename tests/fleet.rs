//! A home and two remotes on real control planes.

mod down;
mod leave;

use ambikiali_sandbox::audit::Mark;

use crate::doctor::causes;
use crate::output::schema;
use crate::support::{CLEANUP, Fleet, on_three_clusters};

const TWO: [&str; 2] = ["cluster1", "cluster2"];
const THREE: [&str; 3] = ["cluster1", "cluster2", "cluster3"];

/// Returns the arguments of an install in clusters that run as local processes.
fn install(clusters: &[&'static str]) -> Vec<&'static str> {
    let remotes = clusters[1..].iter().flat_map(|remote| ["--ctx2", remote]);
    let home = ["install", "--ctx1", clusters[0]];
    let rest = ["--allow-loopback", "--timeout", "120s"];
    home.into_iter().chain(remotes).chain(rest).collect()
}

/// Only that of the remote that is named. The home and the others are known from the last install.
async fn one_token_is_rotated(fleet: &Fleet) {
    let ended = fleet.run(&["rotate", "--ctx2", "cluster3"]).await;
    let ended = ended.succeeded();
    assert!(
        ended
            .stdout
            .starts_with("rotated       cluster3      Secret kiali/kiali-2: "),
        "{ended:#?}"
    );
    assert!(ended.stdout.contains(": 1 token replaced\n"), "{ended:#?}");
    let verified = fleet.run(&["verify"]).await.succeeded();
    assert!(verified.stdout.contains("cluster2"), "{verified:#?}");
}

/// Nobody sends requests all the time here.
async fn nothing_but_traffic_is_missed(fleet: &Fleet) {
    let diagnosed = fleet.run(&["doctor", "-o", "json"]).await;
    let document = schema::read("json", &diagnosed).document;
    for (code, cluster) in causes(&document.expect("a document")) {
        let of_traffic = ["AK1509", "AK1510", "AK1512"].contains(&code.as_str());
        assert!(of_traffic, "{code} {cluster:?}: {diagnosed:#?}");
    }
}

#[test]
fn a_third_cluster_is_added_later_and_removed_and_the_second_is_not_touched() {
    on_three_clusters(async |fleet: &Fleet| {
        fleet.run(&install(&TWO)).await.succeeded();
        let second = Mark::now(fleet.sandbox.cluster("cluster2")).expect("an audit log");
        down::left_out(fleet).await;
        down::without_istiod(fleet).await;
        down::refused_on_its_way(fleet).await;
        down::added(fleet).await;

        let verified = fleet.run(&["verify"]).await.succeeded();
        for cluster in THREE {
            let target = format!("ok        scrape target  {cluster:<12}  ");
            assert!(verified.stdout.contains(&target), "{verified:#?}");
        }
        fleet.run(&["status"]).await.succeeded();
        nothing_but_traffic_is_missed(fleet).await;

        down::gone_for_a_while(fleet).await;
        one_token_is_rotated(fleet).await;

        leave::refused(fleet).await;
        leave::removed(fleet).await;
        leave::cut_short(fleet).await;
        let writes = second.requests().unwrap().by_agent("ambikiali").writes();
        assert_eq!(writes.len(), 0, "{writes:#?}");
        leave::all_but_one(fleet).await;
        leave::given_up(fleet).await;
        fleet.run(&CLEANUP).await.succeeded();
    });
}
