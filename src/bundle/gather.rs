//! What is read of one cluster. Each answer that does not come is named, and the others are used.

mod answers;
mod events;
mod logs;
mod objects;

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;

use super::archive::Name;
use super::{File, Found, Missing};
use crate::guide::{ISTIO_NAMESPACE, Step};
use crate::k8s::Scope;
use crate::k8s::request::{RequestError, send};
use crate::mesh::Cluster;
use crate::progress::ObjectId;
use crate::run::Run;

/// Concurrent requests to one cluster.
const AT_ONCE: usize = 8;

/// Reads all clusters of the run.
pub async fn gather(run: &Run<'_>, since: Duration) -> Found {
    let asked = run
        .mesh
        .all()
        .map(|cluster| Box::pin(one(run, cluster, since)));
    let mut found = Found::default();
    join_all(asked)
        .await
        .into_iter()
        .for_each(|one| found.add(one));
    found
}

async fn one(run: &Run<'_>, cluster: &Cluster, since: Duration) -> Found {
    let scope = run.on(Step::Namespace, cluster);
    let of = Of {
        scope: &scope,
        folder: cluster.name.as_folder(),
    };
    let (version, objects, events, logs, answers) = tokio::join!(
        version(&of),
        objects::objects(run, &of),
        events::events(&of, since),
        logs::logs(&of, since),
        answers::answers(&of),
    );
    let mut found = version;
    for other in [objects, events, logs, answers] {
        found.add(other);
    }
    found
}

/// The cluster that is read.
struct Of<'a> {
    scope: &'a Scope<'a>,
    folder: String,
}

impl Of<'_> {
    /// The name of a file of this cluster.
    fn name(&self, parts: &[&str], ending: &str) -> Option<Name> {
        let folder = ["clusters", &self.folder];
        Name::of(&[&folder, parts].concat(), ending)
    }

    fn json(&self, parts: &[&str], document: Value) -> Option<File> {
        Some(File::json(self.name(parts, ".json")?, document))
    }

    fn missing(&self, what: impl Into<String>, reason: impl Into<String>) -> Missing {
        Missing::new(Some(&self.scope.cluster.name), what, reason)
    }

    /// What was refused; None if it is not there.
    fn refused(&self, error: &RequestError) -> Option<Missing> {
        let what = error.object().to_string();
        (!error.is_missing()).then(|| self.missing(what, error.text()))
    }

    fn is_home(&self) -> bool {
        self.scope.cluster.number == 1
    }

    /// The namespaces that are read.
    fn namespaces(&self) -> [&str; 2] {
        [ISTIO_NAMESPACE, self.scope.namespace]
    }
}

async fn version(of: &Of<'_>) -> Found {
    let object = ObjectId::cluster_wide("Server", "version");
    let client = &of.scope.cluster.client;
    let mut found = Found::default();
    match send(of.scope, &object, || client.apiserver_version()).await {
        Ok(info) => {
            let info = serde_json::to_value(info).unwrap_or_default();
            found.files.extend(of.json(&["version"], info));
        }
        Err(error) => found.missing.extend(of.refused(&error)),
    }
    found
}
