//! The clusters that a record names. An install adds them, and each can leave.

use serde::{Deserialize, Serialize};

use super::{Content, Record};
use crate::mesh::{Address, Cluster, ClusterName, Mesh};

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Party {
    pub name: ClusterName,
    pub uid: String,
    /// A foreign Prometheus that is scraped in place of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Address>,
}

/// Home and all clusters that a record names, by name and UID.
#[derive(Clone, Debug)]
pub struct Claims {
    pub home: (ClusterName, String),
    pub all: Vec<(ClusterName, String)>,
}

impl Claims {
    pub(super) fn of(content: &Content) -> Claims {
        let party = |party: &Party| (party.name.clone(), party.uid.clone());
        Claims {
            home: party(&content.home),
            all: content.clusters.iter().map(party).collect(),
        }
    }
}

impl Party {
    pub(super) fn of(cluster: &Cluster) -> Party {
        Party {
            name: cluster.name.clone(),
            uid: cluster.uid.clone(),
            prometheus: cluster.prometheus.clone(),
        }
    }

    /// Whether the UID has the form that a server assigns.
    pub(super) fn is_well_formed(&self) -> bool {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=64).contains(&self.uid.len()) && self.uid.chars().all(known)
    }
}

impl Record {
    /// The clusters that this run writes into the record of `cluster`.
    pub fn set_members(&mut self, mesh: &Mesh, cluster: &Cluster) {
        let is_home = cluster.uid == mesh.home.uid;
        let concerned = |c: &&Cluster| is_home || [&mesh.home.uid, &cluster.uid].contains(&&c.uid);
        self.home = Party::of(&mesh.home);
        self.clusters = mesh.all().filter(concerned).map(Party::of).collect();
    }

    /// What the record in the cluster says, even if somebody edited it or it belongs to another install.
    pub fn claims(&self) -> Option<Claims> {
        self.state().claims.clone()
    }

    /// The remotes that the record in the cluster names, by name and UID.
    pub fn remotes(&self) -> Vec<(ClusterName, String)> {
        let state = self.state();
        let remotes = state.parties.iter().filter(|p| p.uid != self.home.uid);
        remotes.map(|p| (p.name.clone(), p.uid.clone())).collect()
    }

    /// The foreign Prometheus of a cluster, according to the record in this cluster.
    pub fn prometheus(&self, uid: &str) -> Option<Address> {
        let state = self.state();
        let party = state.parties.iter().find(|party| party.uid == uid)?;
        party.prometheus.clone()
    }

    /// Names home, these remotes, and all that it named before, because their objects exist.
    pub fn go_on_with<'a>(&self, remotes: impl Iterator<Item = &'a Cluster>) {
        let uids = remotes.map(|c| c.uid.as_str()).collect::<Vec<_>>();
        let takes_part = |p: &&Party| p.uid == self.home.uid || uids.contains(&p.uid.as_str());
        let mut staying = self
            .clusters
            .iter()
            .filter(takes_part)
            .cloned()
            .collect::<Vec<_>>();
        let mut state = self.state();
        let named = |p: &Party| staying.iter().any(|other| other.uid == p.uid);
        let others = state.parties.iter().filter(|p| !named(p)).cloned();
        let others = others.collect::<Vec<_>>();
        staying.extend(others);
        state.staying = Some(staying);
    }

    /// Names all remotes that it named before, except for these.
    pub fn let_go(&self, leaving: &[ClusterName]) {
        let mut state = self.state();
        let stays = |party: &&Party| party.uid != self.home.uid && !leaving.contains(&party.name);
        let remotes = state.parties.iter().filter(stays).cloned();
        let staying = std::iter::once(self.home.clone()).chain(remotes).collect();
        state.staying = Some(staying);
    }
}
