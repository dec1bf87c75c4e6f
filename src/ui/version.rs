//! Versions and images.

use super::out;
use super::report::BAD;
use super::text::Text;
use crate::document::VERSION;
use crate::images::Images;
use crate::mesh::{Absent, Mesh};
use crate::options::Options;
use crate::version::Installed;

/// The program's own.
pub fn version() {
    say!("ambikiali {}", VERSION);
}

/// Why nothing is said of those of the last install.
pub fn not_asked(error: &anyhow::Error) {
    out::result(Text::from("clusters not contacted: ").lines(format!("{error:#}")));
}

/// Of each cluster; whether all of them answered.
pub fn installed_versions(
    mesh: &Mesh,
    installed: &[Installed],
    options: &Options,
    absent: &[Absent],
) -> bool {
    for cluster in mesh.all() {
        let of_it = installed.iter().filter(|one| one.cluster == cluster.name);
        let mut lines = of_it.map(|one| format!("{:<40}  {}", one.object.to_string(), one.image));
        let name = &cluster.name;
        match lines.next() {
            None => say!("{name:<12}  nothing is installed"),
            Some(first) => say!("{name:<12}  {first}"),
        }
        lines.for_each(|line| say!("{:<12}  {line}", ""));
    }
    if !options.is_default() {
        say!("options in the record of the install: {}", options.flags());
    }
    for Absent { name, error, .. } in absent {
        let text = Text::from(format!("{name:<12}  ")).styled(BAD, "no access");
        out::result(text.plain(": ").lines(format!("{error:#}")));
    }
    absent.is_empty()
}

/// A line each: name, reference, and whether it is pinned.
pub fn images(images: &Images) {
    for (component, image) in images.all() {
        let (reference, digest) = image
            .split_once('@')
            .unwrap_or((image, "no digest is pinned"));
        say!("{component:<14}  {reference:<42}  {digest}");
    }
}

/// Of the program's own making, as it is.
pub fn script(script: &str) {
    out::script(script.trim_end());
}
