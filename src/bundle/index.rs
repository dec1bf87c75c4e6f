//! The page that says what a bundle has, what it does not have and why.

use std::fmt::Write;
use std::time::Duration;

use super::archive::{Keep, Name};
use super::{File, Missing};
use crate::age;
use crate::mesh::ClusterName;
use crate::visible;

/// What the index says of the run.
pub struct Overview<'a> {
    pub version: &'a str,
    pub clusters: &'a [ClusterName],
    pub since: Duration,
}

const HEAD: &str = "# ambikiali bundle\n";
const SCRUBBED: &str = "
## What is not in here

Secrets are not in here. Passwords, tokens, keys, certificates, credentials in URLs and headers, values
of environment variables and what looks random were replaced by `[removed: ...]` before anything was written.

Names of clusters, contexts, namespaces, nodes, pods and images, and addresses stay. **Read the files before you publish
them.**
";

pub fn index(files: &[File], missing: &[Missing], overview: &Overview<'_>) -> File {
    let clusters = overview.clusters.iter().map(ClusterName::as_str);
    let clusters = clusters.collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "{HEAD}\nMade by ambikiali {} from {clusters}. Events and logs are of the last {}.\n",
        overview.version,
        age::flag(overview.since)
    );
    text.push_str("\n## Files\n\n| File | Bytes | What |\n|---|---|---|\n");
    for file in files {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            file.name(),
            file.size(),
            kind(file.name())
        );
    }
    text.push_str("\n## What is missing\n\n");
    if missing.is_empty() {
        text.push_str("Nothing.\n");
    }
    for one in missing {
        let cluster = one.cluster.as_ref().map_or("all", ClusterName::as_str);
        let line = format!("{cluster}: {}: {}", one.what, one.reason);
        // Indented, it is shown as it is.
        let _ = writeln!(text, "    {}", visible::in_line(&line));
    }
    text.push_str(SCRUBBED);
    File::text(Name::own("index.md"), &text, Keep::Start)
}

fn kind(name: &str) -> &'static str {
    let mut parts = name.split('/');
    let (first, third) = (parts.next().unwrap_or_default(), parts.nth(1));
    match (first, third.unwrap_or_default()) {
        ("results", _) => "the result of a command, as in docs/schema",
        (_, "objects") => "objects",
        (_, "events") => "events",
        (_, "logs") => "the log of a container",
        (_, "prometheus") => "what a Prometheus answered",
        (_, "kiali") => "what Kiali answered",
        _ => "versions",
    }
}
