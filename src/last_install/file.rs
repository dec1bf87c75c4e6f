//! One small file of the user's own: nobody else reads it, and whatever stands in its place is neither
//! waited for nor followed.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A thousand clusters with long names are less.
const LARGEST: u64 = 2 << 20;

/// `InvalidData`: it is there, and no file that was written here.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe without a writer would be waited for, and a link leads anywhere.
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENXIO) => invalid("is not a regular file"),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(invalid("is not a regular file"));
    }
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(invalid("is too large"));
    }
    Ok(text)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// To one side and renamed, readable by the user alone whatever the umask.
pub fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        // One of an earlier version may be open to others.
        let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    }
    let side = path.with_extension(format!("{}.tmp", std::process::id()));
    // Of a process that had this number and was killed.
    let _ = fs::remove_file(&side);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&side)
        .and_then(|mut file| file.write_all(text))
        .and_then(|()| fs::rename(&side, path));
    // What a full disk took of it is of use to nobody.
    written.inspect_err(|_| drop(fs::remove_file(&side)))
}
