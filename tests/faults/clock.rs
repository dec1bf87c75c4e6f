//! Row 48: this machine's clock is a day off.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::process::Command;

use crate::support::{
    CLEANUP, Clusters, Ended, INSTALL, command, on_two_clusters, output, unwritten,
};

const DAY: i64 = 86_400;

#[test]
fn fault_48_a_clock_that_is_a_day_off_does_not_matter() {
    on_two_clusters(async |clusters| {
        let clean = clusters.snapshots().await;
        for days in [1, -1] {
            let clock = shifted(clusters.state(), days * DAY).await;
            let run = async |arguments: &[&str]| run(clusters, &clock, arguments).await;
            run(&INSTALL).await.succeeded();
            let looked = run(&["status"]).await.succeeded();
            assert!(!looked.stdout.contains("not ready"), "{}", looked.stdout);
            run(&["verify", "--probes", "none"]).await.succeeded();
            let marks = clusters.marks();
            run(&INSTALL).await.succeeded();
            unwritten(&marks);
            run(&CLEANUP).await.succeeded();
            clusters.assert_unchanged(&clean).await;
        }
    });
}

async fn run(clusters: &Clusters, clock: &Path, arguments: &[&str]) -> Ended {
    let mut command = command(arguments, clusters.sandbox.kubeconfig(), clusters.state());
    let child = command.env("LD_PRELOAD", clock).spawn();
    output(child.expect("the binary starts")).await
}

/// Builds a library that shifts the clock of a program that loads it.
async fn shifted(folder: &Path, seconds: i64) -> PathBuf {
    let source = folder.join("shift.c");
    std::fs::write(&source, include_str!("clock/shift.c")).expect("a file");
    let library = folder.join(format!("shift{seconds}.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", &format!("-DSHIFT=({seconds})")]);
    let built = compiler.arg("-o").arg(&library).arg(&source).status().await;
    assert!(built.expect("cc").success());

    let mut date = Command::new("date");
    let told = date.arg("+%s").env("LD_PRELOAD", &library).output().await;
    let told = String::from_utf8(told.expect("date").stdout).expect("text");
    let told: i64 = told.trim().parse().expect("seconds");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let off = told - now.as_secs() as i64;
    assert!((off - seconds).abs() < DAY / 2, "{off} seconds off");
    library
}
