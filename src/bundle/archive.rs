//! The files of a bundle and the archive that holds them: the same names, order, times and modes in every run, so that
//! two bundles can be compared. Every file passes through the scrubber here, and none is made in another way.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::scrub;
use crate::problem::{self, Exit, Problem};
use crate::{manifests, visible};

/// Limit for a file.
pub const LARGEST_FILE: usize = 2 << 20;
/// Limit for all files together.
pub const LARGEST: usize = 50 << 20;
/// The folder in the archive.
const FOLDER: &str = "ambikiali-bundle";
const MODE: u32 = 0o600;

/// A file without secrets.
#[derive(Clone, Debug)]
pub struct File {
    name: String,
    text: String,
    /// What did not fit.
    pub cut: usize,
}

/// Which part of a text that does not fit is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Start,
    End,
}

impl File {
    /// Free text, such as a log.
    pub fn text(name: Name, text: &str, keep: Keep) -> File {
        let lines = scrub::text(text);
        let lines = lines.lines().map(|line| visible::in_line(line) + "\n");
        File::bounded(name, lines.collect(), keep)
    }

    /// A JSON document.
    pub fn json(name: Name, mut document: Value) -> File {
        scrub::value(&mut document);
        let text = visible::in_json(&format!("{document:#}\n"), false);
        File::bounded(name, text, Keep::Start)
    }

    /// A YAML document for each object.
    pub fn yaml(name: Name, objects: Vec<Value>) -> File {
        let documents = objects.into_iter().map(|mut object| {
            scrub::value(&mut object);
            manifests::to_yaml(&object).unwrap_or_default()
        });
        let text = documents.collect::<Vec<_>>().join("---\n");
        File::bounded(name, text, Keep::Start)
    }

    fn bounded(name: Name, mut text: String, keep: Keep) -> File {
        let whole = text.len();
        if whole > LARGEST_FILE {
            // Whole lines are kept, so that no line loses its beginning.
            text = match keep {
                Keep::Start => {
                    let start = &text[..text.floor_char_boundary(LARGEST_FILE)];
                    start[..start.rfind('\n').map_or(0, |at| at + 1)].into()
                }
                Keep::End => {
                    let end = &text[text.ceil_char_boundary(whole - LARGEST_FILE)..];
                    end[end.find('\n').map_or(end.len(), |at| at + 1)..].into()
                }
            };
        }
        File {
            name: name.0,
            cut: whole - text.len(),
            text,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn size(&self) -> usize {
        self.text.len()
    }
}

/// The path of a file in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// None if a part is no name of an object, such as one with a slash.
    pub fn of(parts: &[&str], ending: &str) -> Option<Name> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let is_name = |part: &&str| {
            let ends = [part.chars().next(), part.chars().last()];
            let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            part.len() <= 253 && part.chars().all(inner) && ends.into_iter().all(outer)
        };
        let all = parts
            .iter()
            .all(|part| is_name(part) && !part.contains(".."));
        (all && !parts.is_empty()).then(|| Name(format!("{}{ending}", parts.join("/"))))
    }

    /// A name of this program.
    pub fn own(name: &'static str) -> Name {
        Name(name.into())
    }
}

/// The archive with these files, in their order.
pub fn pack(files: &[File]) -> io::Result<Vec<u8>> {
    let compressed = GzBuilder::new().write(Vec::new(), Compression::default());
    let mut archive = tar::Builder::new(compressed);
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(file.text.len() as u64);
        header.set_mode(MODE);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let path = format!("{FOLDER}/{}", file.name);
        archive.append_data(&mut header, path, file.text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}

/// Where the archive goes: the given path, or a new file in the current folder.
pub fn place(given: Option<PathBuf>) -> Result<PathBuf, Problem> {
    let name = || {
        let now = Timestamp::now().strftime("%Y%m%d-%H%M%S");
        PathBuf::from(format!("ambikiali-bundle-{now}.tar.gz"))
    };
    let path = given.unwrap_or_else(name);
    // Known before anything is read, which takes a while.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let cause = format!("there is no folder {}", folder.display());
        return Err(Problem::new(Exit::Preflight, cause).fix("name another file with --out"));
    }
    match fs::symlink_metadata(&path) {
        Ok(_) => Err(taken(&path)),
        Err(_) => Ok(path),
    }
}

fn taken(path: &Path) -> Problem {
    Problem::new(Exit::Preflight, format!("{} exists", path.display()))
        .fix("name another file with --out, or remove this one")
}

/// Writes the whole archive or nothing, and replaces no file.
pub fn write(path: &Path, archive: &[u8]) -> Result<(), Problem> {
    let failed = |error: io::Error| {
        let why = problem::root_cause(&error);
        Problem::new(
            Exit::Unexpected,
            format!("cannot write {}: {why}", path.display()),
        )
        .fix("name a file in another folder with --out")
    };
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let placed = written(&part, archive).and_then(|()| place_new(&part, path));
    let _ = fs::remove_file(&part);
    placed.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => taken(path),
        _ => failed(error),
    })
}

fn written(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn new(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(MODE).open(path)
}

/// Gives a file its name, unless there is one of that name.
fn place_new(part: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(part, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            // A file system without hard links: take the name first, then put the file in its place.
            drop(new(path)?);
            fs::rename(part, path).inspect_err(|_| drop(fs::remove_file(path)))
        }
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(name: &'static str, text: &str) -> File {
        File::text(Name::own(name), text, Keep::End)
    }

    #[test]
    fn an_archive_has_each_file_and_is_the_same_each_time() {
        let long = "n".repeat(250);
        let name = Name::of(&["clusters", "a", "logs", &long], ".log").unwrap();
        let files = [
            file("index.md", "one\n"),
            File::text(name.clone(), "a token=hunter2 \x1b[0m\n", Keep::End),
        ];
        let packed = pack(&files).unwrap();
        assert_eq!(packed, pack(&files).unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&packed[..]));
        let read = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let header = entry.header();
            let fixed = [header.mode(), header.mtime().map(|time| time as u32)];
            assert_eq!(fixed.map(Result::unwrap), [0o600, 0]);
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        });
        let expected = [
            ("ambikiali-bundle/index.md".into(), "one\n".into()),
            (
                format!("ambikiali-bundle/{}", name.0),
                "a token=[removed: token] \\x1b[0m\n".into(),
            ),
        ];
        assert_eq!(read.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_file_that_is_too_large_loses_whole_lines() {
        let long = "a log line\n".repeat(300_000);
        for keep in [Keep::Start, Keep::End] {
            let file = File::bounded(Name::own("a"), long.clone(), keep);
            assert!(file.size() <= LARGEST_FILE && file.size() > LARGEST_FILE - 20);
            assert!(file.text.starts_with("a log line\n") && file.text.ends_with("\na log line\n"));
            assert_eq!(file.cut, long.len() - file.size());
        }
    }

    #[test]
    fn a_name_is_made_of_names() {
        let name = |part: &str| Name::of(&["clusters", part], ".yaml");
        assert_eq!(name("a.b-1").unwrap().0, "clusters/a.b-1.yaml");
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            "a/b",
            "-a",
            "A",
            "a\n",
            "a b",
            &"a".repeat(254),
        ] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_file_is_new_and_only_the_users() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        write(&path, b"archive").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for refused in [
            write(&path, b"other").unwrap_err(),
            place(Some(path.clone())).unwrap_err(),
        ] {
            assert_eq!(refused.to_string(), format!("{} exists", path.display()));
        }
        assert_eq!(fs::read(&path).unwrap(), b"archive");
        let missing = write(&folder.path().join("none/a"), b"x").unwrap_err();
        assert!(
            missing
                .to_string()
                .ends_with("none/a: No such file or directory")
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
