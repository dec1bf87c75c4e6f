//! Parses `-f FILE`, which lists the clusters of an install. Unknown fields are rejected with line and column.
//! docs/schema/fleet.schema.json is the same format for editors.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::fleet::{ClusterFlags, Remote};
use super::values;
use crate::files;
use crate::mesh::{ApiServer, Ca, ClusterName, Prometheus, server_name};
use crate::problem::{Exit, Problem};
use crate::yaml;

/// The highest number of a cluster.
pub const LAST: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fleet {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: Kind,
    namespace: Option<Namespace>,
    home: Entry,
    #[serde(deserialize_with = "non_empty")]
    remotes: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
enum ApiVersion {
    #[serde(rename = "ambikiali.dev/v1alpha1")]
    V1Alpha1,
}

#[derive(Debug, Deserialize)]
enum Kind {
    Fleet,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Namespace(String);

impl TryFrom<String> for Namespace {
    type Error = String;

    fn try_from(text: String) -> Result<Namespace, String> {
        values::namespace(&text).map(Namespace)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    context: Filled,
    kubeconfig: Option<Filled>,
    name: Option<ClusterName>,
    api_server: Option<ApiServer>,
    ca: Option<Filled>,
    tls_server_name: Option<ServerName>,
    prometheus: Option<Prometheus>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Filled(String);

impl TryFrom<String> for Filled {
    type Error = String;

    fn try_from(text: String) -> Result<Filled, String> {
        match text.is_empty() {
            true => Err("must not be empty".into()),
            false => Ok(Filled(text)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct ServerName(String);

impl TryFrom<String> for ServerName {
    type Error = String;

    fn try_from(text: String) -> Result<ServerName, String> {
        server_name(&text).map(|()| ServerName(text))
    }
}

fn non_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    let remotes = Vec::<Entry>::deserialize(deserializer)?;
    match remotes.len() {
        1..LAST => Ok(remotes),
        count => Err(serde::de::Error::invalid_length(count, &"1 to 15 remotes")),
    }
}

/// The contents of the file.
#[derive(Clone, Debug)]
pub struct FleetFile {
    pub namespace: Option<String>,
    pub home: (String, ClusterFlags),
    pub remotes: Vec<Remote>,
}

pub fn read(path: &Path) -> Result<FleetFile, Problem> {
    let refuse = |cause: &str| Problem::new(Exit::Usage, format!("{}: {cause}", path.display()));
    let text = files::text(path).map_err(|cause| {
        let refused = refuse(&cause);
        match path.is_file() {
            true => refused,
            false => refused.fix("give the path of an existing file: -f FILE"),
        }
    })?;
    parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(|cause| {
        refuse(&cause).fix("see docs/schema/fleet.schema.json, or ambikiali help install")
    })
}

fn parse(text: &str, folder: &Path) -> Result<FleetFile, String> {
    // A number, or a word that other parsers read as a boolean, must be quoted to be a name.
    let strict =
        serde_yaml::options! { strict_booleans: true, no_schema: true, with_snippet: false };
    let fleet = serde_yaml::from_str_with_options::<Fleet>(text, strict);
    let fleet = fleet.map_err(|error| yaml::describe(&error))?;
    let own = |entry: Entry| {
        let own = ClusterFlags {
            kubeconfig: entry
                .kubeconfig
                .map(|file| folder.join(PathBuf::from(file.0))),
            name: entry.name,
            api_server: entry.api_server,
            ca: entry.ca.map(|file| match file.0.as_str() {
                "system" => Ca::System,
                file => Ca::File(folder.join(file)),
            }),
            tls_server_name: entry.tls_server_name.map(|name| name.0),
            prometheus: entry.prometheus,
        };
        (entry.context.0, own)
    };
    let remote = |(number, entry)| {
        let (context, own) = own(entry);
        Remote {
            number,
            context,
            own,
        }
    };
    Ok(FleetFile {
        namespace: fleet.namespace.map(|namespace| namespace.0),
        remotes: (2..).zip(fleet.remotes).map(remote).collect(),
        home: own(fleet.home),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_file_says_is_read_or_refused() {
        let samples = [
            "apiVersion: ambikiali.dev/v1alpha1\nkind: Fleet\nnamespace: kiali\nhome: {context: east}\n\
             remotes:\n  - context: west\n    kubeconfig: west.yaml\n    name: cluster2\n    \
             apiServer: https://10.0.0.2:6443\n    prometheus: prometheus.example:9090\n",
            "apiVersion: ambikiali.dev/v1alpha1\nkind: Fleet\nhome: &home\n  context: \"a\"\nremotes: [*home]\n",
            r#"{"apiVersion": "ambikiali.dev/v1alpha1", "kind": "Fleet", "home": {"context": "a"},
                "remotes": [{"context": "b", "prometheus": "default"}]}"#,
        ];
        crate::fuzz::fuzz("the fleet file", &samples, |input| {
            let _ = parse(&String::from_utf8_lossy(input), Path::new("/folder"));
        });
    }
}
