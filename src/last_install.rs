//! Remembers the clusters of the last install in a local file, so that `verify`, `status`, `dashboard` and
//! `cleanup` need no contexts. The file includes the UID of each cluster: a context that now points to a
//! different cluster is rejected.

mod file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::guide::Step;
use crate::mesh::{Address, Cluster, ClusterName, Known, Member, Members};
use crate::options::{DEFAULT, Options};
use crate::problem::{self, Exit, Problem};
use crate::run::Run;

#[derive(Debug, Deserialize, Serialize)]
struct LastInstall {
    kubeconfig: Vec<PathBuf>,
    home: Known,
    remotes: Vec<Known>,
    /// Id of the install, derived from home and namespace.
    #[serde(default)]
    install: String,
    /// Options that differ from the default.
    #[serde(default, skip_serializing_if = "Options::is_default")]
    options: Options,
}

impl LastInstall {
    fn all(&self) -> impl Iterator<Item = &Known> {
        std::iter::once(&self.home).chain(&self.remotes)
    }

    /// Whether the contents have the form that `save` writes.
    fn is_well_formed(&self) -> bool {
        let uid = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let good = |known: &Known| {
            (1..=1024).contains(&known.context.len())
                && !known.context.contains(char::is_control)
                && (1..=64).contains(&known.uid.len())
                && known.uid.chars().all(uid)
        };
        self.remotes.len() <= 1000 && self.all().all(good)
    }
}

/// The user's choices at the last install.
#[derive(Debug, Default)]
pub struct LastChoices {
    pub options: Options,
    /// By the UID of the cluster.
    pub prometheus: BTreeMap<String, Address>,
}

/// The choices of this install; the default if the file is about another one.
pub fn choices(install: &str) -> LastChoices {
    let last = path().ok().and_then(|path| read(&path));
    let Some(last) = last.filter(|last| last.install == install) else {
        return LastChoices::default();
    };
    let address = |known: &Known| Some((known.uid.clone(), known.prometheus.clone()?));
    LastChoices {
        prometheus: last.all().filter_map(address).collect(),
        options: last.options,
    }
}

/// Path of the file, in the user's state directory. It contains nothing secret.
fn path() -> Result<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .filter(|v| !v.is_empty())
        .map(PathBuf::from);
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    Ok(state.context("no home folder")?.join("ambikiali/last.json"))
}

/// Writes the file.
pub fn remember(members: &Members, run: &Run<'_>) -> Result<()> {
    let mesh = run.mesh;
    let absolute = |p: &PathBuf| std::path::absolute(p).unwrap_or_else(|_| p.clone());
    let own = |c: &Cluster| {
        let mut all = std::iter::once(&members.home).chain(&members.remotes);
        all.find(|m| m.context == c.context)?.kubeconfig.as_ref()
    };
    let known = |c: &Cluster| Known {
        context: c.context.clone(),
        name: c.name.clone(),
        uid: c.uid.clone(),
        kubeconfig: own(c).map(absolute),
        prometheus: c.prometheus.clone(),
    };
    // Keep remotes that are unreachable now.
    let path = path()?;
    let before = read(&path).filter(|last| last.home.uid == mesh.home.uid);
    let absent = before.into_iter().flat_map(|last| last.remotes);
    let absent = absent.filter(|known| {
        let named = members.remotes.iter().any(|m| m.context == known.context);
        named && mesh.all().all(|c| c.uid != known.uid)
    });
    let last = LastInstall {
        kubeconfig: members.kubeconfig.iter().map(absolute).collect(),
        home: known(&mesh.home),
        remotes: mesh.remotes.iter().map(known).chain(absent).collect(),
        install: run.on(Step::Namespace, &mesh.home).record.id.clone(),
        options: run.options.clone(),
    };
    save(&path, &last)
}

/// The context of a cluster at the last install.
pub fn context(uid: &str) -> Option<String> {
    let last = read(&path().ok()?)?;
    let mut all = last.all();
    all.find(|known| known.uid == uid)
        .map(|k| k.context.clone())
}

/// The name of a context's cluster at the last install.
pub fn name(context: &str) -> Option<ClusterName> {
    let last = read(&path().ok()?)?;
    let mut remotes = last.remotes.into_iter();
    remotes.find(|k| k.context == context).map(|k| k.name)
}

/// Removes remotes from the file.
pub fn forget(home: &Cluster, remotes: &[ClusterName]) -> Result<()> {
    update(home, |last| {
        let all = last.remotes.len();
        last.remotes.retain(|known| !remotes.contains(&known.name));
        last.remotes.len() != all
    })
}

/// Changes one option in the file, as it is in `options`.
pub fn remember_option(home: &Cluster, name: &str, options: &Options) -> Result<()> {
    let value = options.get(name).unwrap_or(DEFAULT).to_string();
    update(home, |last| {
        let now = last.options.with(&[(name.to_string(), value)].into());
        std::mem::replace(&mut last.options, now.clone()) != now
    })
}

/// Removes the options from the file, after the install is gone.
pub fn forget_options(home: &Cluster) -> Result<()> {
    update(home, |last| !std::mem::take(&mut last.options).is_default())
}

/// Writes the file again if it is about this home and `change` changed it.
fn update(home: &Cluster, change: impl FnOnce(&mut LastInstall) -> bool) -> Result<()> {
    let path = path()?;
    let Some(mut last) = read(&path).filter(|last| last.home.uid == home.uid) else {
        return Ok(());
    };
    match change(&mut last) {
        true => save(&path, &last),
        false => Ok(()),
    }
}

/// Whether the file exists, readable or not.
pub fn exists() -> bool {
    path().is_ok_and(|path| path.symlink_metadata().is_ok())
}

fn read(path: &Path) -> Option<LastInstall> {
    parsed(&file::read(path).ok()?)
}

fn parsed(text: &[u8]) -> Option<LastInstall> {
    let last: LastInstall = serde_json::from_slice(text).ok()?;
    last.is_well_formed().then_some(last)
}

fn save(path: &Path, last: &LastInstall) -> Result<()> {
    file::write(path, &serde_json::to_vec_pretty(last)?)
        .map_err(|error| anyhow!("{}: {}", path.display(), problem::root_cause(&error)))
}

/// The members of the last install, with the UIDs they had.
pub fn recall(kubeconfig: &[PathBuf]) -> Result<Members> {
    let path = path()?;
    let file = path.display();
    let unknown_clusters = |cause: String| {
        let cause = format!("no contexts given, and {cause}");
        Problem::new(Exit::Preflight, cause).fix("give the clusters: --ctx1 HOME --ctx2 REMOTE")
    };
    let text = match file::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            return Err(unknown_clusters(format!("{file} is not readable")).into());
        }
        Err(_) => {
            return Err(unknown_clusters(format!("no install is remembered in {file}")).into());
        }
    };
    let last = parsed(&text).ok_or_else(|| unknown_clusters(format!("{file} is not readable")))?;
    let member = |number, known: Known| Member {
        number,
        context: known.context.clone(),
        // Kubeconfigs from the command line apply to all clusters.
        kubeconfig: known.kubeconfig.clone().filter(|_| kubeconfig.is_empty()),
        name: None,
        prometheus: None,
        api_server: None,
        ca: None,
        tls_server_name: None,
        known: Some(known),
    };
    Ok(Members {
        kubeconfig: if kubeconfig.is_empty() {
            last.kubeconfig
        } else {
            kubeconfig.to_vec()
        },
        home: member(1, last.home),
        remotes: last
            .remotes
            .into_iter()
            .enumerate()
            .map(|(i, known)| member(i + 2, known))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_remembered_is_read_or_refused() {
        let samples = [
            r#"{"kubeconfig": ["/home/a/.kube/config"], "home": {"context": "east", "name": "cluster1",
                "uid": "0000-1"}, "remotes": [{"context": "west", "name": "cluster2", "uid": "0000-2",
                "kubeconfig": "/home/a/west.yaml"}]}"#,
            r#"{"kubeconfig": [], "home": {"context": "a", "name": "b", "uid": "c"}, "remotes": []}"#,
        ];
        crate::fuzz::fuzz("last.json", &samples, |input| {
            let _ = serde_json::from_slice::<LastInstall>(input);
        });
    }
}
