//! Versions and images.

use super::report::BAD;
use crate::out;
use crate::out::Text;
use crate::result::{ImagesResult, Unreachable, VERSION, VersionResult};

/// The version of the program.
pub fn version() {
    say!("ambikiali {}", VERSION);
}

/// The versions in each cluster, or why none was contacted. That of the program is already printed.
pub fn versions(result: &VersionResult) {
    if let Some(why) = &result.not_asked {
        out::result(Text::from("clusters not contacted: ").lines(why));
    }
    let Some(versions) = &result.versions else {
        return;
    };
    for cluster in &versions.clusters {
        let installed = versions.installed.iter();
        let of_it = installed.filter(|one| one.cluster == cluster.name);
        let mut lines = of_it.map(|one| format!("{:<40}  {}", one.object.to_string(), one.image));
        let name = &cluster.name;
        match lines.next() {
            None => say!("{name:<12}  nothing is installed"),
            Some(first) => say!("{name:<12}  {first}"),
        }
        lines.for_each(|line| say!("{:<12}  {line}", ""));
    }
    let options = &versions.options;
    if !options.is_default() {
        say!("options in the record of the install: {}", options.shown());
    }
    no_access(&versions.unreachable);
}

/// A line for each unreachable cluster.
pub fn no_access(unreachable: &[Unreachable]) {
    for Unreachable { cluster, error } in unreachable {
        let text = Text::from(format!("{cluster:<12}  ")).styled(BAD, "no access");
        out::result(text.plain(": ").lines(&error.message));
    }
}

/// A line each: name, reference, and whether it is pinned.
pub fn images(result: &ImagesResult) {
    for image in &result.images {
        let digest = image.digest.as_deref().unwrap_or("no digest is pinned");
        say!("{:<14}  {:<42}  {digest}", image.component, image.reference);
    }
}

/// A generated script, unchanged.
pub fn script(script: &str) {
    out::script(script.trim_end());
}
