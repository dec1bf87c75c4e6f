//! Reads and writes a small private file of the user. Anything else in its place, such as a pipe or a link, is
//! rejected.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// More than a thousand clusters with long names take.
const LARGEST: u64 = 2 << 20;

/// Reads the file. Returns `InvalidData` if the path is not such a file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Do not block on a pipe without a writer, and do not follow a link.
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

/// Writes a temporary file and renames it, so that readers never see half of it. Only the user can read it,
/// whatever the umask.
pub fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        // An earlier version may have created it readable for others.
        let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    }
    let side = path.with_extension(format!("{}.tmp", std::process::id()));
    // Left by a killed process with the same id.
    let _ = fs::remove_file(&side);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&side)
        .and_then(|mut file| file.write_all(text))
        .and_then(|()| fs::rename(&side, path));
    // Remove an incomplete file, for example of a full disk.
    written.inspect_err(|_| drop(fs::remove_file(&side)))
}
