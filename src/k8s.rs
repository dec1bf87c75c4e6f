//! Reads, writes, awaits and deletes Kubernetes objects.

pub mod additions;
pub mod advice;
pub mod apply;
pub mod change;
pub mod conflict;
pub mod contents;
pub mod delete;
pub mod difference;
pub mod drift;
pub mod events;
pub mod forward;
pub mod health;
pub mod inventory;
pub mod kiali_cr;
pub mod kinds;
pub mod lease;
pub mod look;
pub mod namespaces;
pub mod ownership;
pub mod pods;
pub mod record;
pub mod request;
pub mod reviews;
pub mod rights;
pub mod secret;
pub mod seen;
mod strategy;
pub mod wait;
pub mod write;

use kube::api::PatchParams;
use serde_json::Value;

use self::lease::Lease;
use self::record::{Key, Record};
use self::seen::Seen;
use crate::deadline::Deadline;
use crate::mesh::Cluster;
use crate::progress::Progress;
use crate::settings::Settings;

/// Field manager of the fields that we apply.
pub const FIELD_MANAGER: &str = "ambikiali";

/// Parameters for a patch that is not an apply.
fn as_ourselves() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    }
}

/// What the user's flags allow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choices {
    /// Take over fields that another tool manages.
    pub force_conflicts: bool,
    /// Leave out remotes that fail.
    pub keep_going: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// Also remove adopted objects.
    pub adopted: bool,
    /// Also remove claims, which hold data.
    pub delete_data: bool,
    /// Accept loopback addresses, because pods of home run as processes of this machine.
    pub allow_loopback: bool,
    /// Do the operator's work if no operator runs.
    pub force_finalizers: bool,
}

/// The context of one step on one cluster.
#[derive(Clone)]
pub struct Scope<'a> {
    pub cluster: &'a Cluster,
    pub record: &'a Record,
    pub lease: &'a Lease,
    /// The objects as the check found them, in a command that checks.
    pub seen: Option<&'a Seen>,
    pub choices: Choices,
    /// What the options decide.
    pub settings: &'a Settings,
    /// The namespace of Kiali.
    pub namespace: &'a str,
    pub progress: Progress,
    pub deadline: Deadline,
}

impl Scope<'_> {
    pub fn is_home(&self) -> bool {
        // The id of an install is derived from its home cluster.
        self.record.id == ownership::install_id(&self.cluster.uid, self.namespace)
    }

    /// An object as the check found it, as long as this run has written nothing to the cluster: after
    /// that, time has gone by, and one thing may have led to another.
    pub fn seen(&self, object: &Value) -> Option<Option<&Value>> {
        let is_of_now = self.choices.dry_run || !self.record.has_written();
        let seen = self.seen?.get(&Key::of(object)).filter(|_| is_of_now)?;
        Some(seen.as_ref())
    }
}
