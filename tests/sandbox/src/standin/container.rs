//! What a started container is given: its pod, its address, its mounts and its ServiceAccount.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;

use super::World;
use crate::Cluster;

/// The one container of a pod that is played by a process or a stand-in.
///
/// A program is `async fn run(container: Container) -> i32`: it works until it exits with a code,
/// or until the kubelet drops it because the pod is going.
#[derive(Clone)]
pub struct Container {
    pub cluster: Cluster,
    pub world: World,
    pub pod: Pod,
    pub ip: Ipv4Addr,
    /// Acts with the pod's own ServiceAccount.
    pub client: Client,
    /// Its token, as mounted.
    pub token: String,
}

impl Container {
    /// Where a path of the container's file system is on this machine, through its volume mounts.
    /// None when nothing is mounted there (an optional Secret that does not exist: an empty folder).
    pub fn path(&self, in_container: &str) -> Option<PathBuf> {
        let _ = in_container;
        todo!()
    }

    /// One line to the container's log, which the API server serves as the pod's log.
    pub fn log(&self, line: impl Display) {
        let _ = line;
        todo!()
    }
}
