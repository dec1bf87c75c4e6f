//! A folder of the user that files are written to. Nothing outside of it is written or removed, whatever
//! links others put into it: paths are resolved below its handle, files are made anew beside the old ones
//! and put in their place, and a link where a file is to be is refused before the first write.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use crate::problem::{Exit, Problem};

pub struct Folder {
    dir: Dir,
    path: PathBuf,
}

impl Folder {
    /// Opens an existing folder. The user named it, so its path may contain links.
    pub fn open(path: &Path) -> io::Result<Folder> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        let path = path.to_owned();
        Ok(Folder { dir, path })
    }

    /// Opens the folder and creates it if it is missing.
    pub fn make(path: &Path) -> io::Result<Folder> {
        std::fs::create_dir_all(path)?;
        Folder::open(path)
    }

    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.dir.entries()?.next().is_none())
    }

    /// Checks before the first write that the path is a file or missing, and that its parents are folders.
    pub fn check(&self, path: &str) -> anyhow::Result<()> {
        let wrong = |part: &Path, what: &str| {
            let part = self.path.join(part);
            let cause = format!("{} is {what}; nothing was written", part.display());
            let fix = "remove it, or choose another folder";
            Err(Problem::new(Exit::Preflight, cause).fix(fix).into())
        };
        if !is_inside(path) {
            return wrong(Path::new(path), "not inside of the folder");
        }
        let mut part = PathBuf::new();
        let mut rest = Path::new(path).components().peekable();
        while let Some(next) = rest.next() {
            part.push(next);
            let kind = match self.dir.symlink_metadata(&part) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                found => found?.file_type(),
            };
            match rest.peek() {
                _ if kind.is_symlink() => return wrong(&part, "a symbolic link"),
                Some(_) if !kind.is_dir() => return wrong(&part, "not a folder"),
                None if !kind.is_file() => return wrong(&part, "not a file"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads a file up to a limit; None if it does not exist.
    pub fn read(&self, path: &str, most: u64) -> io::Result<Option<String>> {
        let file = match self.dir.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = String::new();
        file.take(most + 1).read_to_string(&mut text)?;
        match text.len() as u64 > most {
            true => Err(io::Error::other(format!(
                "{path} is longer than {most} bytes"
            ))),
            false => Ok(Some(text)),
        }
    }

    /// Replaces the file without following links.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> io::Result<()> {
        if let Some(parent) = Path::new(path).parent() {
            self.dir.create_dir_all(parent)?;
        }
        // The name is unique, so that concurrent writers do not collide.
        let part = format!("{path}.{}.part", std::process::id());
        let written = self.write_new(&part, text.as_ref());
        let placed = written.and_then(|()| self.dir.rename(&part, &self.dir, path));
        placed.inspect_err(|_| drop(self.dir.remove_file(&part)))
    }

    fn write_new(&self, path: &str, text: &[u8]) -> io::Result<()> {
        absent_is_fine(self.dir.remove_file(path))?;
        let mut new = OpenOptions::new();
        let mut file = self.dir.open_with(path, new.write(true).create_new(true))?;
        file.write_all(text)
    }

    /// Removes the file, and its folder if that is empty.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        absent_is_fine(self.dir.remove_file(path))?;
        if let Some(parent) = Path::new(path).parent() {
            // A folder with other files is kept.
            let _ = self.dir.remove_dir(parent);
        }
        Ok(())
    }
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_nowhere_even_those_that_come_after_the_check() {
        let place = tempfile::tempdir().unwrap();
        let (inside, outside) = (place.path().join("in"), place.path().join("out"));
        let folder = Folder::make(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("a"), "kept").unwrap();
        symlink("../out", inside.join("folder")).unwrap();
        symlink("../out/a", inside.join("file")).unwrap();
        let part = format!("file2.{}.part", std::process::id());
        symlink("../out/a", inside.join(part)).unwrap();
        fs::hard_link(outside.join("a"), inside.join("hard")).unwrap();
        for path in ["folder/a", "file", "../out/a", "/etc/passwd", "", "."] {
            assert!(folder.check(path).is_err(), "{path}");
        }
        for path in ["folder/a", "folder/new", "../out/a"] {
            assert!(folder.write(path, "x").is_err(), "{path}");
            assert!(folder.read(path, 9).is_err(), "{path}");
        }
        for path in ["folder/a", "../out/a"] {
            assert!(folder.remove(path).is_err(), "{path}");
        }
        for path in ["file", "file2", "hard"] {
            folder.write(path, "new").unwrap();
            assert_eq!(fs::read_to_string(inside.join(path)).unwrap(), "new");
        }
        assert_eq!(fs::read_to_string(outside.join("a")).unwrap(), "kept");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}
