//! The folder that rendered files are in. A list in it says which files are ours, so that a file that is
//! rendered no more goes, and nobody else's is written over.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::{Result, anyhow};

use super::Files;
use crate::folder::Folder;
use crate::problem::{self, Exit, Problem};
use crate::visible;

const LIST: &str = ".ambikiali-rendered";
/// A render of 16 clusters is 30 kB of names.
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

/// What was rendered into it.
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

/// Whoever may write into the folder may edit the list: only what a render can have made is taken.
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

/// `CLUSTER/FILE.yaml`, and nothing that leads elsewhere.
fn is_rendered(line: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.');
    let parts = line.split_once('/');
    parts.is_some_and(|(cluster, file)| plain(cluster) && plain(file) && !file.contains('/'))
        && line.ends_with(".yaml")
        && !line.contains(visible::is_hidden)
}

fn replace(folder: &Folder, before: &BTreeSet<String>, files: &Files) -> io::Result<()> {
    let now = files.keys().cloned().collect::<BTreeSet<_>>();
    // Who is interrupted in between finds all that may be there.
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
    fn what_is_rendered_no_more_goes_and_what_is_not_ours_stays() {
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
    fn a_list_that_somebody_edited_is_refused_before_anything_is_written() {
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
    fn a_link_is_refused_wherever_a_file_or_a_folder_of_ours_is_to_be() {
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
