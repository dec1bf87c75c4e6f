//! Remotes that a run continues without.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::mesh::{Absent, Cluster, ClusterName};

#[derive(Debug, Default)]
pub struct LeftOut(Mutex<Vec<Absent>>);

impl LeftOut {
    /// Starts with the remotes that did not answer.
    pub fn of(absent: Vec<Absent>) -> LeftOut {
        LeftOut(Mutex::new(absent))
    }

    fn all(&self) -> MutexGuard<'_, Vec<Absent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only the first error of a remote counts.
    pub fn add(&self, cluster: &Cluster, error: anyhow::Error) {
        let mut all = self.all();
        if !all.iter().any(|absent| absent.name == cluster.name) {
            all.push(Absent {
                name: cluster.name.clone(),
                context: cluster.context.clone(),
                error,
            });
        }
    }

    pub fn has(&self, name: &ClusterName) -> bool {
        self.all().iter().any(|absent| absent.name == *name)
    }

    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    pub fn into_all(self) -> Vec<Absent> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
