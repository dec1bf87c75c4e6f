//! Rendering never writes outside of its folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};

use crate::support::{Ended, ambikiali};

const LIST: &str = ".ambikiali-rendered";
/// A file that every render writes.
const FILE: &str = "home/05-configmap-kiali-prometheus-config.yaml";

/// A folder next to the output folder, which must stay unchanged.
struct Place {
    root: tempfile::TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Place {
    async fn new() -> Place {
        let root = tempfile::tempdir().expect("a folder");
        let outside = root.path().join("outside");
        fs::create_dir_all(outside.join("home")).expect("a folder");
        for file in ["secret", FILE, LIST, "ambikiali.1"] {
            fs::write(outside.join(file), format!("precious {file}")).expect("a file");
        }
        let before = all(&outside);
        let place = Place { root, before };
        place.render(&[]).await.succeeded();
        place
    }

    fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    async fn render(&self, more: &[&str]) -> Ended {
        let out = self.out().display().to_string();
        let render = [
            "render",
            "--home=home",
            "--remote=remote",
            "--target=home=10.0.0.1:9090",
            "--target=remote=10.0.0.2:9090",
            "--out",
            &out,
        ];
        let arguments = [&render[..], more].concat();
        ambikiali(&arguments, Path::new("/nonexistent"), self.root.path()).await
    }

    /// Checks that render fails with this cause and changes nothing inside or outside of the folder.
    async fn refuses(&self, cause: &str) {
        let inside = all(&self.out());
        for more in [&[][..], &["--force"]] {
            let ended = self.render(more).await.exited(3);
            let error = format!("error: {cause}; nothing was written\n");
            assert!(ended.stderr.starts_with(&error), "{ended:#?}");
            assert!(ended.stderr.contains("\n  fix: "), "{ended:#?}");
            assert_eq!(ended.stdout, "");
            self.is_untouched();
            assert_eq!(all(&self.out()), inside);
        }
    }

    #[track_caller]
    fn is_untouched(&self) {
        assert_eq!(all(&self.root.path().join("outside")), self.before);
    }
}

/// Returns all entries below a folder, with their text or type.
fn all(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let kind = path.symlink_metadata().expect("its kind").file_type();
        if kind.is_dir() {
            found.extend(all(&path));
            found.insert(path, "a folder".into());
        } else if kind.is_symlink() {
            let to = fs::read_link(&path).expect("a link");
            found.insert(path, format!("a link to {}", to.display()));
        } else if kind.is_fifo() {
            found.insert(path, "a pipe".into());
        } else {
            let text = fs::read_to_string(&path).expect("text");
            found.insert(path, text);
        }
    }
    found
}

fn linked(at: &Path, to: &str) {
    let _ = fs::remove_file(at).or_else(|_| fs::remove_dir_all(at));
    symlink(to, at).expect("a link");
}

#[tokio::test]
async fn attack_11_a_link_in_the_folder_leads_nowhere() {
    for (at, to) in [
        // A rendered file, a stale file, a folder and the list; existing and missing targets; relative and absolute.
        (FILE, "../../outside/secret"),
        (FILE, "../../outside/new"),
        (FILE, "/dev/null"),
        (FILE, FILE),
        ("home", "../outside/home"),
        ("home", "../outside/missing"),
        ("remote", "home"),
        ("remote", "/"),
        (LIST, "../outside/secret"),
        (LIST, "../outside/.ambikiali-rendered"),
        (LIST, "/etc/hostname"),
    ] {
        let place = Place::new().await;
        let at = place.out().join(at);
        linked(&at, to);
        let cause = format!("{} is a symbolic link", at.display());
        place.refuses(&cause).await;
    }
}

#[tokio::test]
async fn attack_11_a_file_that_is_to_go_is_no_way_out_either() {
    let place = Place::new().await;
    // A rendered file, replaced by a link to a file that the attacker wants removed.
    let list = fs::read_to_string(place.out().join(LIST)).expect("a list");
    let old = place.out().join("old");
    fs::write(place.out().join(LIST), format!("{list}old/secret.yaml\n")).expect("a list");
    linked(&old, "../outside");
    let cause = format!("{} is a symbolic link", old.display());
    place.refuses(&cause).await;
    fs::remove_file(&old).expect("a link");
    fs::create_dir(&old).expect("a folder");
    let file = old.join("secret.yaml");
    linked(&file, "../../outside/secret");
    let cause = format!("{} is a symbolic link", file.display());
    place.refuses(&cause).await;
}

#[tokio::test]
async fn attack_11_the_list_of_files_names_nothing_outside() {
    for line in [
        "../outside/secret",
        "../outside/secret.yaml",
        "home/../../outside/secret.yaml",
        "home/../../outside/home/05-configmap-kiali-prometheus-config.yaml",
        "/etc/hostname",
        "home/",
        ".ambikiali-rendered",
        "home/x/y.yaml",
        "home//x.yaml",
        "\\..\\outside\\secret.yaml",
        "home/\u{1b}]52;c;AA==\u{7}.yaml",
        "home/a\rb.yaml",
    ] {
        let place = Place::new().await;
        let list = place.out().join(LIST);
        fs::write(&list, format!("{line}\n")).expect("a list");
        let ended = place.render(&[]).await.exited(3);
        let said = format!("error: {}, line 1: \"", list.display());
        assert!(ended.stderr.starts_with(&said), "{line:?}: {ended:#?}");
        assert!(!ended.stderr.contains(['\x1b', '\r', '\x07']), "{ended:#?}");
        place.is_untouched();
        assert!(place.out().join(FILE).exists());
    }
}

#[tokio::test]
async fn attack_11_what_is_no_file_is_not_waited_for() {
    for at in [FILE, LIST] {
        let place = Place::new().await;
        let at = place.out().join(at);
        fs::remove_file(&at).expect("a file");
        let made = tokio::process::Command::new("mkfifo")
            .arg(&at)
            .status()
            .await;
        assert!(made.expect("mkfifo").success());
        place
            .refuses(&format!("{} is not a file", at.display()))
            .await;
    }
    let place = Place::new().await;
    let folder = place.out().join("remote");
    fs::remove_dir_all(&folder).expect("a folder");
    fs::write(&folder, "").expect("a file");
    place
        .refuses(&format!("{} is not a folder", folder.display()))
        .await;
}

#[tokio::test]
async fn attack_11_a_hard_link_is_replaced_and_not_written_through() {
    let place = Place::new().await;
    let (file, outside) = (
        place.out().join(FILE),
        place.root.path().join("outside/secret"),
    );
    let text = fs::read_to_string(&file).expect("a file");
    fs::remove_file(&file).expect("a file");
    fs::hard_link(&outside, &file).expect("a link");
    place.render(&[]).await.succeeded();
    place.is_untouched();
    assert_eq!(fs::read_to_string(&file).expect("a file"), text);
}

#[tokio::test]
async fn attack_11_man_pages_are_written_through_no_link() {
    let place = Place::new().await;
    let out = place.out().display().to_string();
    for page in ["ambikiali.1", "ambikiali-install.1"] {
        let at = place.out().join(page);
        symlink("../outside/ambikiali.1", &at).expect("a link");
        let ended = ambikiali(&["man", &out], Path::new("/nonexistent"), place.root.path()).await;
        let cause = format!("error: {} is a symbolic link; nothing", at.display());
        assert!(ended.exited(3).stderr.starts_with(&cause));
        place.is_untouched();
        assert!(!place.out().join("ambikiali-check.1").exists());
        fs::remove_file(&at).expect("a link");
    }
    let ended = ambikiali(&["man", &out], Path::new("/nonexistent"), place.root.path()).await;
    ended.succeeded();
    assert!(place.out().join("ambikiali-check.1").exists());
}
