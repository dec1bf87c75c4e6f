//! A rotation is killed before and after its requests, and then gone on with by another one, by an install or by a
//! cleanup: each ends with one token that Kiali uses, or none. `AMBIKIALI_SWEEP=all` tries every request, otherwise only
//! those to the Secrets.

use ambikiali_sandbox::fault::Proxy;
use ambikiali_sandbox::snapshot::Snapshot;

use super::kill::all;
use super::named::lost;
use super::point::{Point, at};
use super::writes::written;
use crate::answers::behind::Behind;
use crate::rotate::{answer, secrets, used};
use crate::support::{CLEANUP, INSTALL, on_two_clusters};

const ROTATE: [&str; 3] = ["rotate", "--timeout", "180s"];

/// What comes after the kill.
const NEXT: [&[&str]; 3] = [&ROTATE, &INSTALL, &CLEANUP];

#[test]
fn fault_59_a_rotation_killed_at_any_request_goes_on_or_back() {
    on_two_clusters(async |clusters| {
        let clean = clusters.snapshots().await;
        let behind = Behind::proxies(clusters).await;
        behind.run(&INSTALL).await.succeeded();
        let began = [&behind.home, &behind.remote].map(|proxy| proxy.journal().len());
        behind.run(&ROTATE).await.succeeded();
        let points = [&behind.home, &behind.remote].map(Proxy::journal);
        let [home, remote] = [0, 1].map(|i| {
            let paths = if all() { None } else { Some("/secrets/") };
            at(&points[i][began[i]..], paths)
        });
        let count = home.len() + remote.len();
        assert!(count >= 6, "{home:?} {remote:?}");
        let home = home.iter().map(|point| (&behind.home, point));
        let remote = remote.iter().map(|point| (&behind.remote, point));
        let mut missed = 0;
        for (nth, (proxy, point)) in home.chain(remote).enumerate() {
            let next = NEXT[nth % NEXT.len()];
            println!("rotate killed {point}, then {}", next[0]);
            // Points have the names of a rotation from the first name to the second.
            if secrets(clusters).await != ["kiali"] {
                behind.run(&ROTATE).await.succeeded();
            }
            missed += usize::from(!killed(&behind, &ROTATE, proxy, point).await);
            assert_eq!(lost(clusters).await, Vec::<String>::new(), "not named");
            gone_on_with(&behind, next, &clean).await;
        }
        println!("rotate killed at {count} points ({missed} never came): 0 lost, 0 left");
        behind.run(&CLEANUP).await.succeeded();
    });
}

const CERTIFICATES: [&str; 4] = ["rotate", "--certificates", "--timeout", "180s"];
const VERIFY: [&str; 3] = ["verify", "--probes", "none"];

#[test]
fn fault_60_a_rotation_of_certificates_killed_at_any_request_stops_no_scrape() {
    on_two_clusters(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        behind.run(&INSTALL).await.succeeded();
        let began = [&behind.home, &behind.remote].map(|proxy| proxy.journal().len());
        behind.run(&CERTIFICATES).await.succeeded();
        let points = [&behind.home, &behind.remote].map(Proxy::journal);
        let [home, remote] =
            [(0, "/secrets/prometheus-tls"), (1, "/no/secret")].map(|(i, path)| {
                let path = if all() { None } else { Some(path) };
                let mut points = at(&points[i][began[i]..], path);
                // What is there before a write is what is there after the write before it.
                points.retain(|point| all() || point.is_before());
                points
            });
        let home = home.iter().map(|point| (&behind.home, point));
        let remote = remote.iter().map(|point| (&behind.remote, point));
        let mut count = 0;
        for (nth, (proxy, point)) in home.chain(remote).enumerate() {
            let next: &[&str] = if nth % 2 == 0 {
                &INSTALL
            } else {
                &CERTIFICATES
            };
            println!("rotate --certificates killed {point}, then {}", next[0]);
            killed(&behind, &CERTIFICATES, proxy, point).await;
            behind.run(&VERIFY).await.succeeded();
            behind.run(next).await.succeeded();
            behind.run(&VERIFY).await.succeeded();
            let marks = clusters.marks();
            behind.run(&INSTALL).await.succeeded();
            assert_eq!(written(&marks), Vec::<String>::new(), "not converged");
            count += 1;
        }
        assert!(count >= 3, "{count} points");
        println!("rotate --certificates killed at {count} points: both targets up after each");
        behind.run(&CLEANUP).await.succeeded();
    });
}

/// Returns whether the rotation came to the point and was killed there.
async fn killed(behind: &Behind<'_>, rotate: &[&str], proxy: &Proxy, point: &Point) -> bool {
    let killed = point.kill(behind, proxy, rotate).await;
    assert!(killed || all(), "no rotation came to {point}");
    killed
}

async fn gone_on_with(behind: &Behind<'_>, next: &[&str], clean: &[Snapshot; 2]) {
    let clusters = behind.clusters;
    behind.run(next).await.succeeded();
    if next == CLEANUP {
        let left = clusters.left(clean).await;
        assert_eq!(left, Vec::<String>::new(), "left");
        behind.run(&INSTALL).await.succeeded();
    }
    assert_eq!(secrets(clusters).await.len(), 1, "one token");
    let token = used(clusters).await;
    assert_eq!(answer(clusters.remote(), &token).await, 200);
    let marks = clusters.marks();
    behind.run(&INSTALL).await.succeeded();
    assert_eq!(written(&marks), Vec::<String>::new(), "not converged");
}
