//! How objects are read, written, awaited and removed. Knows nothing of Istio, Kiali or the steps
//! but the two status structs in `health`.

mod advice;
pub mod apply;
mod conflict;
pub mod contents;
pub mod delete;
mod difference;
pub mod forward;
pub mod health;
pub mod kiali_cr;
pub mod kinds;
pub mod look;
pub mod pods;
pub mod request;
pub mod retry;
pub mod rights;
pub mod wait;

use std::time::{Duration, Instant};

use crate::mesh::Cluster;
use crate::progress::Progress;

/// Owner of the fields we apply.
pub const FIELD_MANAGER: &str = "ambikiali";
/// Carried by everything we create, and by nothing else: what decides whether we may remove it.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "ambikiali");

/// One instant that bounds every request and wait of a command.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    pub whole: Duration,
}

impl Deadline {
    pub fn after(whole: Duration) -> Deadline {
        Deadline {
            at: Instant::now() + whole,
            whole,
        }
    }

    pub fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// This deadline, or an earlier one.
    pub fn at_most(self, other: Duration) -> Duration {
        self.left().min(other)
    }
}

/// One step's work on one cluster.
#[derive(Clone)]
pub struct Scope<'a> {
    pub cluster: &'a Cluster,
    /// The namespace of Kiali, `kiali` unless the user says otherwise.
    pub namespace: &'a str,
    pub progress: Progress,
    pub deadline: Deadline,
}
