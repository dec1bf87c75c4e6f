//! The result of a bundle as text.

use super::estimate::bytes;
use super::report::{BAD, GOOD};
use crate::mesh::ClusterName;
use crate::out;
use crate::out::Text;
use crate::result::BundleResult;

/// What is missing, and the archive; without one, the files that it would have.
pub fn bundled(result: &BundleResult) {
    if result.archive.is_none() {
        for file in &result.files {
            say!("{:>9}  {}", file.bytes, file.name);
        }
    }
    for one in &result.missing {
        let cluster = one.cluster.as_ref().map_or("all", ClusterName::as_str);
        let text = Text::from(format!("{cluster:<12}  ")).styled(BAD, "missing");
        out::result(
            text.plain(": ")
                .lines(format!("{}: {}", one.what, one.reason)),
        );
    }
    let (count, size) = (result.files.len(), bytes(result.bytes as u64));
    let Some(archive) = &result.archive else {
        return say!("{count} files, {size} before compression; nothing was written");
    };
    let text = Text::new().styled(GOOD, "Wrote").plain(format!(
        " {}: {count} files, {size}, compressed {}",
        archive.path,
        bytes(archive.bytes as u64)
    ));
    out::result(text);
    say!(
        "It has no Secret, but names and addresses. Read it before you publish it: index.md says what is in it."
    );
}
