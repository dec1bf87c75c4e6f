//! Reports of `verify` in files. The pages themselves are tested in a browser, in src/report/tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::WITHOUT_PROBES;
use crate::output::schema;
use crate::support::{Clusters, Ended, ambikiali, dead_kubeconfig, masked, on_an_install};

/// A folder for reports, and a kubeconfig with an address where nothing listens.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::write(folder.path("kubeconfig"), dead_kubeconfig("cluster1")).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The paths of the flags are in the folder.
    fn flags(&self, flags: &[&str]) -> Vec<String> {
        let place = |flag: &&str| match flag.starts_with("--") {
            true => (*flag).to_string(),
            false => self.path(flag).display().to_string(),
        };
        flags.iter().map(place).collect()
    }

    fn masked(&self, text: &str) -> String {
        let folder = self.0.path().display().to_string();
        masked(&text.replace(&folder, "FOLDER"))
    }

    /// Verifies clusters that nobody can reach.
    async fn without_clusters(&self, flags: &[&str]) -> Ended {
        let flags = self.flags(flags);
        let flags = flags.iter().map(String::as_str);
        let clusters = ["verify", "--ctx1", "cluster1", "--ctx2", "cluster1"];
        let arguments = clusters.into_iter().chain(flags).collect::<Vec<_>>();
        let mut ended = ambikiali(&arguments, &self.path("kubeconfig"), self.0.path()).await;
        ended.stderr = self.masked(&ended.stderr);
        ended
    }
}

#[tokio::test]
async fn a_place_that_cannot_take_a_report_is_refused_before_anything_is_contacted() {
    let folder = Folder::new();
    symlink("elsewhere", folder.path("link.html")).unwrap();
    fs::create_dir(folder.path("folder.md")).unwrap();
    let before = fs::read_dir(folder.path("")).unwrap().count();
    for (flags, code, said) in [
        (
            &["--report", "a.pdf"][..],
            2,
            "error: invalid value 'FOLDER/a.pdf' for '--report <FILE>': the file must end with .html, .svg, .json or .md\n\nFor more information, try '--help'.\n",
        ),
        (
            &["--report", "gone/a.html"],
            3,
            "error: cannot write FOLDER/gone/a.html: folder FOLDER/gone: No such file or directory; nothing was contacted\n  fix: create folder FOLDER/gone, or name another file\n",
        ),
        (
            &["--report", "a.html", "--junit", "kubeconfig/a.xml"],
            3,
            "error: cannot write FOLDER/kubeconfig/a.xml: folder FOLDER/kubeconfig: Not a directory; nothing was contacted\n  fix: create folder FOLDER/kubeconfig, or name another file\n",
        ),
        (
            &["--report", "link.html"],
            3,
            "error: FOLDER/link.html is a symbolic link; nothing was written\n  fix: remove it, or choose another folder\n",
        ),
        (
            &["--report", "folder.md"],
            3,
            "error: FOLDER/folder.md is not a file; nothing was written\n  fix: remove it, or choose another folder\n",
        ),
        (
            &["--report", "a.json", "--junit", "a.json"],
            2,
            "error: two reports in FOLDER/a.json\n",
        ),
    ] {
        let ended = folder.without_clusters(flags).await.exited(code);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", said));
    }
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), before);
}

#[tokio::test]
async fn a_run_without_a_result_replaces_the_report_of_an_earlier_one() {
    let folder = Folder::new();
    fs::write(folder.path("a.html"), "Verified").unwrap();
    let flags = [
        "--report", "a.html", "--report", "a.json", "--junit", "a.xml",
    ];
    let ended = folder.without_clusters(&flags).await.exited(8);
    let reports = "Report: FOLDER/a.html\nReport: FOLDER/a.json\nReport: FOLDER/a.xml\n";
    let told = format!("{}{}", folder.masked(&ended.stdout), ended.stderr);
    assert!(told.contains(reports), "{ended:#?}");
    let page = folder.text("a.html");
    assert!(page.contains("<h1>Verification failed</h1>"), "{page}");
    assert!(page.contains("Connection refused"), "{page}");
    let document: Value = serde_json::from_str(&folder.text("a.json")).unwrap();
    schema::assert_valid(&document);
    assert_eq!(document["exitCode"], 8);
    let junit = folder.text("a.xml");
    assert!(junit.contains(" errors=\"1\" "), "{junit}");
}

#[test]
fn a_result_is_written_whole_in_each_format_and_stays_the_result() {
    on_an_install(async |clusters| {
        let folder = Folder::new();
        each_format(clusters, &folder).await;
        the_document_is_that_of_the_output(clusters, &folder).await;
        a_file_that_cannot_be_written_fails_the_command(clusters, &folder).await;
        a_broken_hop_is_reported(clusters, &folder).await;
    });
}

async fn verify(clusters: &Clusters, folder: &Folder, flags: &[&str]) -> Ended {
    let flags = folder.flags(flags);
    let flags = flags.iter().map(String::as_str);
    let arguments = WITHOUT_PROBES.into_iter().chain(flags).collect::<Vec<_>>();
    clusters.run(&arguments).await
}

async fn each_format(clusters: &Clusters, folder: &Folder) {
    let flags = [
        "--report", "a.html", "--report", "a.svg", "--report", "a.json", "--report", "a.md",
        "--junit", "a.xml",
    ];
    let ended = verify(clusters, folder, &flags).await.succeeded();
    let stdout = folder.masked(&ended.stdout);
    let end = "\
Verified in TIME: 1 skipped, 10 ok
Report: FOLDER/a.html
Report: FOLDER/a.svg
Report: FOLDER/a.json
Report: FOLDER/a.md
Report: FOLDER/a.xml
";
    assert!(stdout.ends_with(end), "{stdout}");
    let page = folder.text("a.html");
    let shown = [
        "<h1>Verified</h1>",
        "<h3>cluster1 (home)</h3>",
        "<h3>cluster2 (remote)</h3>",
        "<dt>Deployment istio-system&#x2f;istiod</dt>",
        "<dt>DaemonSet istio-system&#x2f;ztunnel</dt>",
        "<dt>Deployment kiali&#x2f;kiali</dt>",
        "Kiali&#x27;s token works",
    ];
    for shown in shown {
        assert!(page.contains(shown), "{shown}\n{page}");
    }
    let junit = folder.text("a.xml");
    let counts = "tests=\"11\" failures=\"0\" errors=\"0\" skipped=\"1\"";
    assert!(junit.contains(counts), "{junit}");
    for name in ["a.html", "a.svg", "a.xml"] {
        let text = folder.text(name);
        let options = roxmltree::ParsingOptions {
            allow_dtd: true,
            ..Default::default()
        };
        roxmltree::Document::parse_with_options(&text, options).unwrap();
    }
    let markdown = folder.text("a.md");
    assert!(
        markdown.contains("| ok | kiali | `cluster1` | `sees cluster1, cluster2` |"),
        "{markdown}"
    );
    let document: Value = serde_json::from_str(&folder.text("a.json")).unwrap();
    schema::assert_valid(&document);
    let installed = document["installed"].as_array().unwrap();
    assert!(
        installed.iter().all(|one| one["image"] != ""),
        "{installed:#?}"
    );
    let left = fs::read_dir(folder.path("")).unwrap().count();
    assert_eq!(left, 6, "a kubeconfig and five reports");
}

async fn the_document_is_that_of_the_output(clusters: &Clusters, folder: &Folder) {
    let flags = ["--report", "b.json", "--output=json"];
    let ended = verify(clusters, folder, &flags).await.succeeded();
    assert_eq!(folder.text("b.json"), ended.stdout);
    let report = folder.masked(ended.stderr.lines().last().unwrap());
    assert_eq!(report, "Report: FOLDER/b.json\n");
}

/// The name is as long as a name may be, so the file beside it has none.
async fn a_file_that_cannot_be_written_fails_the_command(clusters: &Clusters, folder: &Folder) {
    let long = format!("{}.html", "x".repeat(250));
    let flags = ["--report", long.as_str(), "--report", "c.md"];
    let ended = verify(clusters, folder, &flags).await.exited(1);
    let stdout = folder.masked(&ended.stdout);
    let end = "\nVerified in TIME: 1 skipped, 10 ok\nReport: FOLDER/c.md\n";
    assert!(stdout.ends_with(end), "{stdout}");
    let said = folder.masked(ended.stderr.lines().last().unwrap());
    assert_eq!(
        said,
        format!("error: cannot write FOLDER/{long}: File name too long\n")
    );
    assert!(!Path::new(&folder.path(&long)).exists());
}

async fn a_broken_hop_is_reported(clusters: &Clusters, folder: &Folder) {
    clusters.remote().pause_api_server().expect("paused");
    let flags = ["--report", "a.html", "--junit", "a.xml"];
    let ended = verify(clusters, folder, &flags).await;
    clusters.remote().resume_api_server().expect("resumed");
    let ended = ended.exited(5);
    let stdout = folder.masked(&ended.stdout);
    let end = "\nReport: FOLDER/a.html\nReport: FOLDER/a.xml\n";
    assert!(stdout.ends_with(end), "{stdout}");
    let page = folder.text("a.html");
    assert!(page.contains("<h1>Not verified</h1>"), "{page}");
    assert!(page.contains("no answer in 10 s"), "{page}");
    let junit = folder.text("a.xml");
    let failure = "<failure type=\"broken\" message=\"context cluster2 at https:";
    assert!(junit.contains(failure), "{junit}");
}
