//! Meshes with one defect each, on real API servers: an install reports its code, exits with 3 and writes nothing. A
//! defect that is only a warning fails a strict check.

mod meshes;
mod objects;

use meshes::{Broken, errors, warnings};

use super::changed::Undo;
use crate::support::{BOTH, Clusters, on_two_clusters, until, unwritten};

async fn broken_by(clusters: &Clusters, broken: &Broken, check: impl AsyncFnOnce()) {
    let remote = clusters.remote();
    // The running istiod would repair the defect.
    if broken.mended {
        remote.pause_istiod().expect("istiod");
    }
    let undo: Undo<'_> = broken.change.make(remote).await;
    check().await;
    undo.undo(remote).await;
    if broken.mended {
        remote.resume_istiod().expect("istiod");
        // Otherwise the next case would find this defect.
        until("the mesh is whole again", async || {
            let ended = clusters.run(&[&["check"], &BOTH[..]].concat()).await;
            ended.stdout == "Ready to install\n"
        })
        .await;
    }
}

#[test]
fn an_install_into_a_broken_mesh_names_what_is_wrong_and_writes_nothing() {
    on_two_clusters(async |clusters| {
        for broken in errors() {
            let Broken { code, said, .. } = &broken;
            broken_by(clusters, &broken, async || {
                let marks = clusters.marks();
                let ended = clusters.install(&[]).await.exited(3);
                assert!(
                    ended.stderr.contains(&format!("error[{code}]: ")),
                    "{code}: {ended:#?}"
                );
                assert!(ended.stderr.contains(said), "{code}: {ended:#?}");
                assert!(ended.stderr.contains("\n  fix: "), "{code}: {ended:#?}");
                assert_eq!(ended.stdout, "", "{code}");
                unwritten(&marks);
            })
            .await;
        }
    });
}

#[test]
fn what_is_not_whole_is_warned_of_and_fails_a_strict_check() {
    on_two_clusters(async |clusters| {
        for broken in warnings() {
            let Broken { code, said, .. } = &broken;
            broken_by(clusters, &broken, async || {
                let line = format!("warning[{code}]: cluster2: {said}");
                let check = [&["check"], &BOTH[..]].concat();
                let ended = clusters.run(&check).await.succeeded();
                assert!(ended.stdout.contains(&line), "{code}: {ended:#?}");
                let strict = [&check[..], &["--strict"]].concat();
                let ended = clusters.run(&strict).await.exited(3);
                assert!(ended.stdout.contains(&line), "{code}: {ended:#?}");
                // A paused istiod does not report its sync status.
                let (warnings, silent) = match broken.mended {
                    true => ("2 warnings", ",AK1215"),
                    false => ("1 warning", ""),
                };
                let end = format!("Not ready: {warnings}\n");
                assert!(ended.stdout.ends_with(&end), "{code}: {ended:#?}");
                let skip = format!("{code}{silent}");
                let ended = clusters
                    .run(&[&strict[..], &["--skip-check", &skip]].concat())
                    .await
                    .succeeded();
                assert!(
                    ended.stdout.contains(&line.replace("warning", "skipped")),
                    "{code}: {ended:#?}"
                );
                let counted = 1 + usize::from(broken.mended);
                let end = format!("Ready to install: {counted} skipped\n");
                assert!(ended.stdout.ends_with(&end), "{code}: {ended:#?}");
            })
            .await;
        }
    });
}
