//! The home folder is not writable, so later commands need the contexts.

use std::fs;
use std::path::Path;

use crate::support::{INSTALL, ambikiali, masked, on_two_clusters};

const NAMED: [&str; 4] = ["--ctx1", "cluster1", "--ctx2", "cluster2"];
/// A path where not even root can create a folder.
const NOWHERE: &str = "/proc";

#[test]
fn fault_49_a_home_that_cannot_be_written_costs_the_memory_and_nothing_else() {
    on_two_clusters(async |clusters| {
        let run = async |state: &Path, arguments: &[&str]| {
            ambikiali(arguments, clusters.sandbox.kubeconfig(), state).await
        };
        let nowhere = Path::new(NOWHERE);
        let ended = run(nowhere, &INSTALL).await.succeeded();
        assert_eq!(
            ended.stderr.lines().nth(2),
            Some(
                "cannot remember the clusters, so pass them to the other commands too: /proc/ambikiali/last.json: No such file or directory"
            )
        );
        assert_eq!(
            masked(&ended.stdout),
            "\
Ready in TIME: Kiali in cluster1 sees cluster1, cluster2
Kiali asks for no login: anyone who can reach it sees every cluster and can change nothing.
Next:  ambikiali verify --ctx1 cluster1 --ctx2 cluster2
       ambikiali dashboard --ctx1 cluster1 --ctx2 cluster2
"
        );
        let verify = ["verify", "--probes", "none"];
        run(nowhere, &[&verify, &NAMED[..]].concat())
            .await
            .succeeded();
        run(nowhere, &[&["status"], &NAMED[..]].concat())
            .await
            .succeeded();
        let unnamed = run(nowhere, &["status"]).await.exited(3);
        assert_eq!(
            unnamed.error(),
            "\
no contexts given, and no install is remembered in /proc/ambikiali/last.json
  fix: give the clusters: --ctx1 HOME --ctx2 REMOTE
"
        );

        // A file where a folder should be.
        let file = clusters.state().join("file");
        fs::write(&file, "").expect("a file");
        let ended = run(&file, &INSTALL).await.succeeded();
        let note = ended.stderr.lines().nth(2).expect("a note");
        assert!(
            note.ends_with("/file/ambikiali/last.json: Not a directory"),
            "{note}"
        );

        // A truncated file, as after a full disk.
        let half = clusters.state().join("half");
        fs::create_dir_all(half.join("ambikiali")).expect("a folder");
        fs::write(half.join("ambikiali/last.json"), "{\"kubecon").expect("a file");
        let error = run(&half, &["cleanup"]).await.exited(3).error();
        assert_eq!(
            error,
            format!(
                "\
no contexts given, and {}/ambikiali/last.json is not readable
  fix: give the clusters: --ctx1 HOME --ctx2 REMOTE
",
                half.display()
            )
        );
        run(nowhere, &[&["cleanup"], &NAMED[..]].concat())
            .await
            .succeeded();
    });
}
