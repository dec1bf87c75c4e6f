//! `render` needs no cluster and no kubeconfig.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Ended, ambikiali};

const CLUSTERS: [&str; 4] = ["--home", "east", "--remote", "west"];
const TARGETS: [&str; 4] = [
    "--target",
    "east=10.0.0.1:9090",
    "--target",
    "west=10.0.0.2:9090",
];

async fn render(folder: &Path, more: &[&str]) -> Ended {
    let out = folder.join("out").display().to_string();
    let arguments = [&["render"][..], &CLUSTERS, &["--out", &out], more].concat();
    let mut ended = ambikiali(&arguments, Path::new("/nowhere/config"), folder).await;
    let path = folder.display().to_string();
    ended.stderr = ended.stderr.replace(&path, "FOLDER");
    ended.stdout = ended.stdout.replace(&path, "FOLDER");
    ended
}

/// Returns every file with its text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push((
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            )),
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn the_same_wishes_give_the_same_files_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let first = render(folder.path(), &TARGETS).await.succeeded();
    let names = first.stdout.lines().collect::<Vec<_>>();
    assert_eq!(names.len(), 21 + 18);
    assert_eq!(names[0], "FOLDER/out/east/00-namespace-kiali.yaml");
    assert_eq!(names[20], "FOLDER/out/east/12-kiali-kiali-kiali.yaml");
    let written = files(&folder.path().join("out"));
    assert_eq!(written.len(), names.len() + 1, "with the list of them");
    let again = render(folder.path(), &TARGETS).await.succeeded();
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(files(&folder.path().join("out")), written);

    let kustomize = [&TARGETS[..], &["--kustomize", "-o", "json"]].concat();
    let document = render(folder.path(), &kustomize).await;
    let document = document.succeeded().stdout;
    let document: Value = serde_json::from_str(&document).expect("one JSON document");
    assert_eq!(document["kind"], "RenderResult");
    assert_eq!(
        document["files"].as_array().map(Vec::len),
        Some(21 + 18 + 2)
    );
}

#[tokio::test]
async fn what_is_missing_or_of_somebody_else_is_one_clear_error_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let ended = render(folder.path(), &TARGETS[..2]).await.exited(2);
    assert_eq!(
        ended.stderr,
        "\
error: --target is missing for west; render contacts no cluster, so it cannot look up the address of a Gateway
  fix: add --target west=HOST:9090; to find the address: kubectl -n istio-system get gateway prometheus-gateway
"
    );
    assert!(!out.exists());
    fs::create_dir(&out).unwrap();
    fs::write(out.join("own.yaml"), "mine\n").unwrap();
    let ended = render(folder.path(), &TARGETS).await.exited(3);
    assert_eq!(
        ended.stderr,
        "\
error: FOLDER/out is not empty and was not rendered by ambikiali; nothing was written
  fix: choose another folder with --out, or write among the existing files with --force
"
    );
    assert_eq!(files(&out).len(), 1);
    let forced = [&TARGETS[..], &["--force"]].concat();
    render(folder.path(), &forced).await.succeeded();
    assert_eq!(fs::read_to_string(out.join("own.yaml")).unwrap(), "mine\n");
    let store = [&TARGETS[..], &["--secrets", "external"]].concat();
    let ended = render(folder.path(), &store).await.exited(2);
    assert!(ended.stderr.contains("--secret-store <NAME>"), "{ended:#?}");
    let store = [&store[..], &["--secret-store", "vault", "--force"]].concat();
    let ended = render(folder.path(), &store).await.succeeded();
    assert_eq!(
        ended.stderr,
        "the Secrets with certificates come from no store: run ambikiali install, which fills them, or render with --exposure http\n"
    );
    let plain = [&store[..], &["--exposure", "http"]].concat();
    let ended = render(folder.path(), &plain).await.succeeded();
    assert_eq!(ended.stderr, "");
}
