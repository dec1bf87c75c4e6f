//! The folder that rendered files are in. A list in it says which files are ours, so that a file that is
//! rendered no more goes, and nobody else's is written over.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

use anyhow::{Result, anyhow};

use super::Files;
use crate::problem::{self, Exit, Problem};

const LIST: &str = ".ambikiali-rendered";

pub fn write(folder: &Path, files: &Files, force: bool) -> Result<()> {
    let failed =
        |error: io::Error| anyhow!("{}: {}", folder.display(), problem::root_cause(&error));
    let before = listed(folder).map_err(failed)?;
    if before.is_none() && !force && !is_empty(folder).map_err(failed)? {
        let cause = format!(
            "{} is not empty, and what is in it was not rendered by ambikiali; nothing was written",
            folder.display()
        );
        let fix = "name another folder with --out, or have the files written among the others with --force";
        return Err(Problem::new(Exit::Preflight, cause).fix(fix).into());
    }
    replace(folder, &before.unwrap_or_default(), files).map_err(failed)
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        entries => Ok(entries?.next().is_none()),
    }
}

/// None where no list is.
fn listed(folder: &Path) -> io::Result<Option<BTreeSet<String>>> {
    match fs::read_to_string(folder.join(LIST)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        text => Ok(Some(text?.lines().map(Into::into).collect())),
    }
}

fn replace(folder: &Path, before: &BTreeSet<String>, files: &Files) -> io::Result<()> {
    let now = files.keys().cloned().collect::<BTreeSet<_>>();
    fs::create_dir_all(folder)?;
    // Who is interrupted in between finds all that may be there.
    list(folder, &(before | &now))?;
    for (path, text) in files {
        let path = folder.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)?;
    }
    for path in before.difference(&now).filter(|path| is_inside(path)) {
        let path = folder.join(path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            // A folder that holds something else stays.
            _ => drop(path.parent().map(fs::remove_dir)),
        }
    }
    list(folder, &now)
}

fn list(folder: &Path, files: &BTreeSet<String>) -> io::Result<()> {
    let lines = files.iter().map(|path| format!("{path}\n"));
    fs::write(folder.join(LIST), lines.collect::<String>())
}

/// Whoever edited the list: nothing outside of the folder is removed.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
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
        fs::write(folder.path().join("outside.yaml"), "").unwrap();
        let list = out.join(LIST);
        let edited = fs::read_to_string(&list).unwrap() + "../outside.yaml\n";
        fs::write(&list, edited).unwrap();
        write(&out, &files(&["c/1.yaml"]), false).unwrap();
        assert!(out.join("a/own.yaml").exists() && folder.path().join("outside.yaml").exists());
        assert!(!out.join("a/1.yaml").exists() && !out.join("b").exists());
        assert_eq!(fs::read_to_string(&list).unwrap(), "c/1.yaml\n");
    }
}
