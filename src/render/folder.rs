//! The folder of rendered files. A list in it names the files that render wrote, so that stale ones are removed
//! and no other file is overwritten.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::{Result, anyhow};

use super::Files;
use crate::folder::Folder;
use crate::problem::{self, Exit, Problem};
use crate::visible;

const LIST: &str = ".ambikiali-rendered";
/// For comparison: the names of 16 clusters take 30 kB.
const LONGEST: u64 = 1 << 20;

pub fn write(path: &Path, files: &Files, force: bool) -> Result<()> {
    let failed = |error: io::Error| anyhow!("{}: {}", path.display(), problem::root_cause(&error));
    let there = match Folder::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        folder => Some(folder.map_err(failed)?),
    };
    let before = match &there {
        Some(folder) => before(path, folder, force)?,
        None => BTreeSet::new(),
    };
    if let Some(folder) = &there {
        let mut all = before.iter().chain(files.keys());
        all.try_for_each(|file| folder.check(file))?;
    }
    let folder = there.map_or_else(|| Folder::make(path), Ok);
    replace(&folder.map_err(failed)?, &before, files).map_err(failed)
}

/// The files of the previous render.
fn before(path: &Path, folder: &Folder, force: bool) -> Result<BTreeSet<String>> {
    let failed = |error: io::Error| anyhow!("{}: {}", path.display(), problem::root_cause(&error));
    folder.check(LIST)?;
    if let Some(text) = folder.read(LIST, LONGEST).map_err(failed)? {
        return listed(path, &text);
    }
    if !force && !folder.is_empty().map_err(failed)? {
        let cause = format!(
            "{} is not empty and was not rendered by ambikiali; nothing was written",
            path.display()
        );
        let fix =
            "choose another folder with --out, or write among the existing files with --force";
        return Err(Problem::new(Exit::Preflight, cause).fix(fix).into());
    }
    Ok(BTreeSet::new())
}

/// Parses the list. Anyone who can write to the folder can edit it, so only names that render can write are
/// accepted.
fn listed(path: &Path, text: &str) -> Result<BTreeSet<String>> {
    let lines = (1..).zip(text.lines()).map(|(number, line)| {
        if is_rendered(line) {
            return Ok(line.to_string());
        }
        let list = path.join(LIST);
        let cause = format!(
            "{}, line {number}: \"{line}\" is not a file that render writes; nothing was written",
            list.display()
        );
        let fix = format!(
            "remove {}, then write among the existing files with --force",
            list.display()
        );
        Err(Problem::new(Exit::Preflight, cause).fix(fix).into())
    });
    lines.collect()
}

/// Whether a line has the form `CLUSTER/FILE.yaml`, which cannot point outside of the folder.
fn is_rendered(line: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.');
    let parts = line.split_once('/');
    parts.is_some_and(|(cluster, file)| plain(cluster) && plain(file) && !file.contains('/'))
        && line.ends_with(".yaml")
        && !line.contains(visible::is_hidden)
}

fn replace(folder: &Folder, before: &BTreeSet<String>, files: &Files) -> io::Result<()> {
    let now = files.keys().cloned().collect::<BTreeSet<_>>();
    // After an interrupt, the list must contain every file that may exist.
    list(folder, &(before | &now))?;
    for (path, text) in files {
        folder.write(path, text)?;
    }
    for path in before.difference(&now) {
        folder.remove(path)?;
    }
    list(folder, &now)
}

fn list(folder: &Folder, files: &BTreeSet<String>) -> io::Result<()> {
    let lines = files.iter().map(|path| format!("{path}\n"));
    folder.write(LIST, lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn files(names: &[&str]) -> Files {
        let text = |name: &&str| ((*name).to_string(), format!("of {name}\n"));
        names.iter().map(text).collect()
    }

    #[test]
    fn stale_files_are_removed_and_other_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        write(&out, &files(&["a/1.yaml", "b/1.yaml", "b/2.yaml"]), false).unwrap();
        fs::write(out.join("a/own.yaml"), "").unwrap();
        write(&out, &files(&["c/1.yaml"]), false).unwrap();
        assert!(out.join("a/own.yaml").exists());
        assert!(!out.join("a/1.yaml").exists() && !out.join("b").exists());
        let list = fs::read_to_string(out.join(LIST)).unwrap();
        assert_eq!(list, "c/1.yaml\n");
    }

    #[test]
    fn an_edited_list_is_rejected_before_anything_is_written() {
        for line in [
            "../outside.yaml",
            "/etc/passwd",
            "a/../../outside.yaml",
            "a/b/1.yaml",
            "a",
            "a/own.txt",
            "./1.yaml",
            "a/.yaml",
            "",
            "a/\u{1b}[2J1.yaml",
            ".ambikiali-rendered",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("out");
            write(&out, &files(&["a/1.yaml"]), false).unwrap();
            fs::write(folder.path().join("outside.yaml"), "").unwrap();
            let edited = format!("a/1.yaml\n{line}\n");
            fs::write(out.join(LIST), &edited).unwrap();
            let refused = write(&out, &files(&["b/1.yaml"]), false).unwrap_err();
            assert!(refused.to_string().contains("line 2: "), "{refused}");
            assert!(folder.path().join("outside.yaml").exists(), "{line}");
            assert!(!out.join("b").exists() && out.join("a/1.yaml").exists());
            assert_eq!(fs::read_to_string(out.join(LIST)).unwrap(), edited);
        }
    }

    #[test]
    fn a_symbolic_link_in_place_of_a_file_or_folder_is_rejected() {
        for (link, target) in [
            ("a", "../outside"),
            ("a/1.yaml", "../../outside/x"),
            ("old", "../outside"),
            (LIST, "../outside/x"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (out, outside) = (folder.path().join("out"), folder.path().join("outside"));
            fs::create_dir(&outside).unwrap();
            fs::write(outside.join("x"), "kept").unwrap();
            write(&out, &files(&["a/2.yaml", "old/x.yaml"]), false).unwrap();
            let link = out.join(link);
            let _ = fs::remove_file(&link).or_else(|_| fs::remove_dir_all(&link));
            symlink(target, &link).unwrap();
            let refused = write(&out, &files(&["a/1.yaml"]), true).unwrap_err();
            let cause = format!("{} is a symbolic link; nothing was written", link.display());
            assert_eq!(refused.to_string(), cause);
            assert_eq!(fs::read_to_string(outside.join("x")).unwrap(), "kept");
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        }
    }
}
