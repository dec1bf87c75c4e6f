//! What was asked of an API server, from its own audit log: the number of requests of a command,
//! and the proof that a read-only one wrote nothing. The log is in blocking mode, so a request that
//! was answered is in it.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::cluster::Cluster;

/// A point in a cluster's audit log. The server renames a log that has grown large and begins another:
/// the file of this point is kept open.
pub struct Mark {
    log: PathBuf,
    file: File,
    offset: u64,
}

/// One request, answered or under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// When it came, as RFC 3339 with microseconds: sorts as text, also between clusters.
    pub at: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; the
    /// HTTP method where no object is meant.
    pub verb: String,
    /// Path and query.
    pub uri: String,
    pub user: String,
    pub user_agent: String,
    pub group: String,
    /// Plural. Empty, like the four after it, where it does not apply.
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// 0 when there was no answer.
    pub code: u16,
    pub dry_run: bool,
}

/// In the order of the log.
#[derive(Clone, Debug, Default)]
pub struct Requests(Vec<Request>);

impl Mark {
    /// The end of the log as it is now.
    pub fn now(cluster: &Cluster) -> Result<Mark> {
        let log = cluster.audit_log();
        let file = File::open(&log).with_context(|| format!("no audit log {}", log.display()))?;
        let offset = file.metadata()?.len();
        Ok(Mark { log, file, offset })
    }

    /// Everything since then, by whomever.
    pub fn requests(&self) -> Result<Requests> {
        let mut text = rest(&self.file, self.offset)?;
        let now = File::open(&self.log)?;
        if now.metadata()?.ino() != self.file.metadata()?.ino() {
            text += &rest(&now, 0)?;
        }
        // The last line may be half written.
        let end = text.rfind('\n').unwrap_or(0);
        parse(&text[..end])
    }
}

fn rest(file: &File, offset: u64) -> Result<String> {
    let length = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(length)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(String::from_utf8(bytes)?)
}

impl Requests {
    /// Of the program whose user agent starts so.
    pub fn by_agent(&self, agent: &str) -> Requests {
        self.filtered(|request| request.user_agent.starts_with(agent))
    }

    /// Those that could change an object. A dry run cannot; nor can the reviews, tokens and streams
    /// that the API calls creations.
    pub fn writes(&self) -> Requests {
        self.filtered(Request::is_write)
    }

    /// Without those that only keep two writers apart.
    pub fn but_leases(&self) -> Requests {
        self.filtered(|request| request.resource != "leases")
    }

    fn filtered(&self, keep: impl Fn(&Request) -> bool) -> Requests {
        Requests(
            self.0
                .iter()
                .filter(|request| keep(request))
                .cloned()
                .collect(),
        )
    }
}

impl Deref for Requests {
    type Target = [Request];

    fn deref(&self) -> &[Request] {
        &self.0
    }
}

impl Request {
    fn is_write(&self) -> bool {
        let verbs = ["create", "update", "patch", "delete", "deletecollection"];
        let groups = ["authorization.k8s.io", "authentication.k8s.io"];
        let streams = ["token", "exec", "attach", "portforward", "proxy"];
        verbs.contains(&self.verb.as_str())
            && !self.resource.is_empty()
            && !groups.contains(&self.group.as_str())
            && !streams.contains(&self.subresource.as_str())
            && !self.dry_run
    }
}

fn parse(text: &str) -> Result<Requests> {
    // A watch or stream is logged twice, when it begins and when it ends.
    let mut seen = HashSet::new();
    let mut requests = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let event: Event = serde_json::from_str(line).context("not an audit event")?;
        if seen.insert(event.audit_id.clone()) {
            requests.push(event.into());
        }
    }
    Ok(Requests(requests))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    request_received_timestamp: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    user_agent: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

impl From<Event> for Request {
    fn from(event: Event) -> Request {
        let query = event.request_uri.split_once('?').map(|parts| parts.1);
        let dry_run = query.is_some_and(|query| query.split('&').any(|p| p == "dryRun=All"));
        Request {
            at: event.request_received_timestamp,
            verb: event.verb,
            user: event.user.username,
            user_agent: event.user_agent,
            group: event.object_ref.api_group,
            resource: event.object_ref.resource,
            subresource: event.object_ref.subresource,
            namespace: event.object_ref.namespace,
            name: event.object_ref.name,
            code: event.response_status.code,
            uri: event.request_uri,
            dry_run,
        }
    }
}
