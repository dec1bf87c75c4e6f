//! `cleanup --only` removes one remote. Here the third cluster leaves. The second one and the rest of home stay.

use ambikiali_sandbox::audit::Mark;
use serde_json::Value;

use super::{THREE, TWO, install};
use crate::support::{CLEANUP, Fleet, masked, progress, until};

const LEAVE: [&str; 6] = [
    "cleanup",
    "--ctx2",
    "cluster3",
    "--only",
    "--timeout",
    "120s",
];
const GONE: &str = "Clean in TIME: nothing from ambikiali is left in cluster3\n";

fn marks(fleet: &Fleet) -> Vec<Mark> {
    let clusters = fleet.sandbox.clusters().iter();
    clusters
        .map(|c| Mark::now(c).expect("an audit log"))
        .collect()
}

#[track_caller]
fn unwritten(marks: &[Mark]) {
    for mark in marks {
        let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
        assert_eq!(writes.len(), 0, "{writes:#?}");
    }
}

/// Arguments that are rejected because they would leave an install without a remote.
pub async fn refused(fleet: &Fleet) {
    let marks = marks(fleet);
    let fewer = fleet.run(&install(&TWO)).await.exited(3);
    let said = "\
error[AK1306]: cluster1: ConfigMap kiali/ambikiali-record: says that cluster3 is a remote of this install, \
but it is not named
  fix: name it too (--ctx2 cluster3), or remove it: ambikiali cleanup --ctx1 cluster1 --ctx2 cluster3 --only
";
    assert!(fewer.stderr.contains(said), "{fewer:#?}");

    let home = ["cleanup", "--ctx2", "cluster1", "--only"];
    assert_eq!(
        fleet.run(&home).await.exited(2).error(),
        "\
cluster1 is the home cluster, but --only takes remotes
  fix: to remove the whole install: ambikiali cleanup
"
    );
    let all = ["--ctx2", "cluster2", "--ctx3", "cluster3", "--only"];
    let all = [&["cleanup"], &all[..]].concat();
    assert_eq!(
        fleet.run(&all).await.exited(3).error(),
        "\
this would leave no remote: Kiali in cluster1 has none but cluster2, cluster3, and an install needs one
  fix: to remove the whole install: ambikiali cleanup
"
    );
    let fewer = ["cleanup", "--ctx1", "cluster1", "--ctx2", "cluster2"];
    assert_eq!(
        fleet.run(&fewer).await.exited(3).error(),
        "\
[AK1306] cluster1: ConfigMap kiali/ambikiali-record: says that cluster3 is a remote of this install, but it is \
not named; nothing was done
  fix: name it too: --ctx2 cluster3; if there is no such cluster, somebody changed the record, which is made again from the labels when it is gone: kubectl --context cluster1 -n kiali delete configmap ambikiali-record
"
    );
    unwritten(&marks);
}

fn parsed(stdout: &str) -> Value {
    serde_json::from_str(stdout).expect("one JSON document")
}

fn sorted(document: &Value, list: &str) -> Vec<String> {
    let list = document[list].as_array().expect("a list").iter();
    let mut all = list.map(ToString::to_string).collect::<Vec<_>>();
    all.sort();
    all
}

/// The run deletes and changes exactly what the dry run lists.
pub async fn removed(fleet: &Fleet) {
    let before = marks(fleet);
    let plan = fleet.run(&[&LEAVE[..], &["--dry-run"]].concat()).await;
    let plan = plan.succeeded().stdout;
    let changes = "\
would change  cluster1      Secret kiali/kiali-multi-cluster-secret
would change  cluster1      Secret kiali/prometheus-tls
would change  cluster1      ConfigMap kiali/prometheus-config
would change  cluster1      Deployment kiali/prometheus
would change  cluster1      ConfigMap kiali/ambikiali-record
would remove  cluster3      ";
    assert!(plan.starts_with(changes), "{plan}");
    assert!(!plan.contains("cluster2"), "{plan}");
    let plan = [&LEAVE[..], &["--dry-run", "-o", "json"]].concat();
    let plan = parsed(&fleet.run(&plan).await.succeeded().stdout);
    unwritten(&before);

    let json = [&LEAVE[..], &["-o", "json"]].concat();
    let ended = fleet.run(&json).await.succeeded();
    let done = parsed(&ended.stdout);
    for list in ["removed", "changed", "left"] {
        assert_eq!(sorted(&done, list), sorted(&plan, list), "{ended:#?}");
    }
    let home = before[0].requests().unwrap().by_agent("ambikiali");
    let home = home.writes().but_leases();
    let third = before[2].requests().unwrap().by_agent("ambikiali").writes();
    let mut written = home.iter().map(|r| (r.verb.as_str(), r.name.as_str()));
    let last = written.next_back();
    let mut written = written.collect::<Vec<_>>();
    written.sort_unstable();
    assert_eq!(
        written,
        [
            ("patch", "kiali-multi-cluster-secret"),
            ("patch", "prometheus"),
            ("patch", "prometheus-config"),
            ("patch", "prometheus-tls"),
        ]
    );
    assert_eq!(last, Some(("patch", "ambikiali-record")));
    // Kiali is detached from the remote before its rights are removed.
    assert!(home[2].at < third[0].at, "{home:#?} {third:#?}");
    unwritten(&before[1..2]);
    without_the_third(fleet).await;
}

/// The rest of the install is complete, and later commands do not include the third cluster.
async fn without_the_third(fleet: &Fleet) {
    let status = fleet.run(&["status"]).await.succeeded();
    assert!(!status.stdout.contains("cluster3"), "{status:#?}");
    let verified = fleet.run(&["verify", "--probes", "none"]).await;
    let seen = "ok        kiali          cluster1      sees cluster1, cluster2\n";
    let verified = verified.succeeded();
    assert!(verified.stdout.contains(seen), "{verified:#?}");
    let marks = marks(fleet);
    let again = fleet.run(&LEAVE).await.succeeded();
    assert_eq!(masked(&again.stdout), GONE, "{again:#?}");
    fleet.run(&install(&TWO)).await.succeeded();
    unwritten(&marks);
}

/// The command is killed after its first write, which is on home, and then repeated.
pub async fn cut_short(fleet: &Fleet) {
    fleet.run(&install(&THREE)).await.succeeded();
    let home = &marks(fleet)[0];
    let mut child = fleet.start(&LEAVE);
    until("home was written to", async || {
        let ours = home.requests().unwrap().by_agent("ambikiali");
        !ours.writes().but_leases().is_empty()
    })
    .await;
    child.kill().await.expect("still running");
    let again = fleet.run(&LEAVE).await.succeeded();
    assert_eq!(masked(&again.stdout), GONE);
    let said = progress(&again.stderr);
    for line in [
        "cluster1      kiali               done     sees cluster1, cluster2\n",
        "cluster3      namespace           done     removed kiali\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    without_the_third(fleet).await;
}

/// Removes everything except in an unreachable cluster (--forget). Removes that too once it is reachable again.
pub async fn all_but_one(fleet: &Fleet) {
    let cleanup = CLEANUP;
    fleet.run(&install(&THREE)).await.succeeded();
    let before = marks(fleet);
    let refused = fleet.run_without("cluster3", &cleanup).await.exited(8);
    assert_eq!(
        refused.error(),
        "\
[AK1001] context cluster3 at https://127.0.0.1:PORT: Connection refused; nothing was done
  fix: make the cluster reachable, or run the same command with --forget, which leaves its objects in place
"
    );
    unwritten(&before);
    let forget = [&cleanup[..], &["--forget"]].concat();
    let given_up = fleet.run_without("cluster3", &forget).await.exited(6);
    let lines = given_up.stdout.lines();
    let left = lines.filter(|line| line.starts_with("left  "));
    let (third, others): (Vec<_>, Vec<_>) = left.partition(|line| line.contains("  cluster3 "));
    assert_eq!(others, [""; 0], "{given_up:#?}");
    assert!(
        third
            .iter()
            .any(|line| line.ends_with("  Secret kiali/kiali")),
        "{given_up:#?}"
    );
    unwritten(&before[2..]);
    let again = fleet.run(&cleanup).await.succeeded();
    let clean = "Clean in TIME: nothing from ambikiali is left in cluster1, cluster2, cluster3\n";
    assert_eq!(masked(&again.stdout), clean, "{again:#?}");
}

/// Without --forget, an unreachable remote is kept. Its objects are removed once it is reachable again.
pub async fn given_up(fleet: &Fleet) {
    // The command that removes a remote does not know the options of the install.
    let plain = [&install(&THREE)[..], &["--exposure", "http"]].concat();
    fleet.run(&plain).await.succeeded();
    let third = fleet.sandbox.cluster("cluster3");
    third.kill_api_server().unwrap();
    let before = marks(fleet);
    let refused = fleet.run(&LEAVE).await.exited(8);
    assert_eq!(
        refused.error(),
        "\
[AK1001] context cluster3 at https://127.0.0.1:PORT: Connection refused; nothing was done
  fix: make the cluster reachable, or detach it and leave its objects in place: ambikiali cleanup --ctx1 \
cluster1 --ctx2 cluster3 --only --forget
"
    );
    unwritten(&before);
    let given_up = fleet.run(&[&LEAVE[..], &["--forget"]].concat()).await;
    let given_up = given_up.exited(6);
    for object in ["Secret kiali/kiali", "Kiali kiali/kiali", "Namespace kiali"] {
        let line = format!("left  cluster3      {object}\n");
        assert!(given_up.stdout.contains(&line), "{given_up:#?}");
    }
    let status = fleet.run(&["status"]).await.succeeded();
    assert!(!status.stdout.contains("cluster3"), "{status:#?}");
    third.restart_api_server().await.unwrap();
    let later = fleet.run(&LEAVE).await.succeeded();
    assert_eq!(masked(&later.stdout), GONE, "{later:#?}");
    without_the_third(fleet).await;
    unwritten(&before[1..2]);
}
