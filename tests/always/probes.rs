//! `verify --probes own` is killed before and after its writes. Until the next command that writes, the records name
//! every object; that command removes them all. `AMBIKIALI_SWEEP=all` tries every write, otherwise some.

use ambikiali_sandbox::fault::Proxy;

use super::kill::all;
use super::named::{lost_among, written_kinds};
use super::point::writes;
use crate::answers::behind::Behind;
use crate::support::{CLEANUP, INSTALL, on_two_clusters};

const OWN: [&str; 3] = ["verify", "--probes", "own"];

/// What comes after the kill.
const NEXT: [&[&str]; 3] = [&INSTALL, &OWN, &CLEANUP];
/// One in this many points is tried if not all are.
const SOME: usize = 5;

#[test]
fn fault_61_a_verify_killed_at_any_write_of_its_probes_leaves_them_to_the_next_command() {
    on_two_clusters(async |clusters| {
        let clean = clusters.snapshots().await;
        let behind = Behind::proxies(clusters).await;
        let marks = clusters.marks();
        behind.run(&INSTALL).await.succeeded();
        let mut installed = clusters.snapshots().await;
        let began = [&behind.home, &behind.remote].map(|proxy| proxy.journal().len());
        behind.run(&OWN).await.succeeded();
        let kinds = written_kinds(&marks);
        let points = [&behind.home, &behind.remote].map(Proxy::journal);
        let [home, remote] = [0, 1].map(|i| writes(&points[i][began[i]..]));
        assert!(
            home.len() >= 20 && remote.len() >= 20,
            "{home:?} {remote:?}"
        );
        let home = home.iter().map(|point| (&behind.home, point));
        let remote = remote.iter().map(|point| (&behind.remote, point));
        let step = if all() { 1 } else { SOME };
        let mut count = 0;
        for (nth, (proxy, point)) in home.chain(remote).step_by(step).enumerate() {
            let next = NEXT[nth % NEXT.len()];
            println!("verify killed {point}, then {}", next[0]);
            let killed = point.kill(&behind, proxy, &OWN).await;
            assert!(killed, "no run came to {point}");
            let lost = lost_among(clusters, &kinds).await;
            assert_eq!(lost, Vec::<String>::new(), "not named");
            behind.run(next).await.succeeded();
            let wanted = if next == CLEANUP { &clean } else { &installed };
            assert_eq!(clusters.left(wanted).await, Vec::<String>::new(), "left");
            if next == CLEANUP {
                behind.run(&INSTALL).await.succeeded();
                installed = clusters.snapshots().await;
            }
            count += 1;
        }
        println!("verify killed at {count} points: 0 lost, 0 left");
        behind.run(&CLEANUP).await.succeeded();
    });
}
