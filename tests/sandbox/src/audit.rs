//! Reads the audit log of an API server. Tests count the requests of a command with it, and prove that a read-only
//! command writes nothing. The log is in blocking mode, so it contains every request that was answered.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::cluster::Cluster;

/// A position in the audit log of a cluster. The API server rotates a large log by renaming it, so the file is kept
/// open.
pub struct Mark {
    log: PathBuf,
    file: File,
    offset: u64,
}

/// One request, answered or still in progress.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// When the request arrived, in RFC 3339 with microseconds. Sorts as text, also across clusters.
    pub at: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; the HTTP method for
    /// requests that are not about an object.
    pub verb: String,
    /// The path with the query.
    pub uri: String,
    pub user: String,
    pub user_agent: String,
    pub group: String,
    /// The plural name. This field and the next three are empty if they do not apply.
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// 0 if there was no answer.
    pub code: u16,
    pub dry_run: bool,
}

/// Requests in the order of the log.
#[derive(Clone, Debug, Default)]
pub struct Requests(Vec<Request>);

impl Mark {
    /// Marks the current end of the log.
    pub fn now(cluster: &Cluster) -> Result<Mark> {
        let log = cluster.audit_log();
        let file = File::open(&log).with_context(|| format!("no audit log {}", log.display()))?;
        let offset = file.metadata()?.len();
        Ok(Mark { log, file, offset })
    }

    /// Returns all requests since the mark, from all clients.
    pub fn requests(&self) -> Result<Requests> {
        let mut text = rest(&self.file, self.offset)?;
        let now = File::open(&self.log)?;
        if now.metadata()?.ino() != self.file.metadata()?.ino() {
            text += &rest(&now, 0)?;
        }
        // The server may be in the middle of writing the last line.
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
    /// Keeps the requests of clients whose user agent starts with `agent`.
    pub fn by_agent(&self, agent: &str) -> Requests {
        self.filtered(|request| request.user_agent.starts_with(agent))
    }

    /// Keeps the requests that could change an object. Dry runs cannot, and neither can reviews, tokens and streams,
    /// although the API calls them creations.
    pub fn writes(&self) -> Requests {
        self.filtered(Request::is_write)
    }

    /// Drops requests for Leases, which only keep two runs apart.
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
    // A watch or stream is logged twice: when it starts and when it ends.
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
