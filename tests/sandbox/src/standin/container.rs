//! What a started container gets: its pod, address, mounts and ServiceAccount.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container as Spec, Pod};
use kube::Client;

use super::World;
use super::kubelet::log::Log;
use super::kubelet::mounts::Mount;
use crate::Cluster;

/// The only container of a pod that a process or a stand-in runs.
///
/// A program is `async fn run(container: Container) -> i32`. It works until it exits with a code, or until the kubelet
/// drops it because the pod is being deleted.
#[derive(Clone)]
pub struct Container {
    pub cluster: Cluster,
    pub world: World,
    pub pod: Pod,
    pub ip: Ipv4Addr,
    /// Authenticated as the pod's ServiceAccount.
    pub client: Client,
    /// The mounted token of the ServiceAccount; empty if none is mounted.
    pub token: String,
    /// The container in the pod's spec.
    pub spec: Spec,
    /// A folder for the container's own files, outside of its mounts.
    pub dir: PathBuf,
    pub(super) mounts: Arc<Vec<Mount>>,
    pub(super) log: Arc<Log>,
}

impl Container {
    /// Maps a path in the container to a path on this machine, through the volume mounts. Returns None if nothing is
    /// mounted there. An optional Secret that does not exist is an empty folder.
    pub fn path(&self, in_container: &str) -> Option<PathBuf> {
        map(&self.mounts, in_container)
    }

    /// Writes a line to the container's log, which the API server serves as the pod's log.
    pub fn log(&self, line: impl Display) {
        self.log.write(&line.to_string());
    }
}

/// The mount with the longest path wins, because mounts can be nested.
pub(super) fn map(mounts: &[Mount], in_container: &str) -> Option<PathBuf> {
    let path = Path::new(in_container);
    let mount = mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.at))
        .max_by_key(|mount| mount.at.components().count())?;
    let rest = path.strip_prefix(&mount.at).ok()?;
    Some(if rest.as_os_str().is_empty() {
        mount.host.clone()
    } else {
        mount.host.join(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_wins() {
        let mount = |at: &str, host: &str| Mount {
            at: at.into(),
            host: host.into(),
        };
        let mounts = [
            mount("/etc", "/h/etc"),
            mount("/etc/kiali", "/h/kiali"),
            mount("/f.yml", "/h/f"),
        ];
        let at = |path: &str| map(&mounts, path);
        assert_eq!(at("/etc/kiali/x"), Some("/h/kiali/x".into()));
        assert_eq!(at("/etc/kialix"), Some("/h/etc/kialix".into()));
        assert_eq!(at("/f.yml"), Some("/h/f".into()));
        assert_eq!(at("/var"), None);
    }
}
