//! The clusters of a result.

use std::fmt;

use serde::Serialize;

use crate::mesh::{ClusterName, Mesh};

/// A cluster that answered.
#[derive(Clone, Debug, Serialize)]
pub struct Cluster {
    pub name: ClusterName,
    pub role: Role,
    pub context: String,
    pub server: String,
    pub uid: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Home,
    Remote,
}

impl Cluster {
    /// Home first.
    pub fn all(mesh: &Mesh) -> Vec<Cluster> {
        let roles = std::iter::once(Role::Home).chain(std::iter::repeat(Role::Remote));
        let clusters = roles.zip(mesh.all()).map(|(role, cluster)| Cluster {
            name: cluster.name.clone(),
            role,
            context: cluster.context.clone(),
            server: cluster.server.clone(),
            uid: cluster.uid.clone(),
        });
        clusters.collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Home => "home",
            Role::Remote => "remote",
        })
    }
}
