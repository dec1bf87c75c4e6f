//! Only one run writes at a time: it takes a Lease in the home cluster before its first write and holds it
//! until its end. The age of a Lease is judged by the server's clock. A run that has nothing to write does not
//! take the Lease.

mod holder;
mod renewal;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease as Object;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PostParams, Preconditions};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use renewal::Renewal;

use super::ownership::{INSTALL, MANAGED_BY};
use super::request::{RequestError, send_to};
use super::{FIELD_MANAGER, as_ourselves, conflict};
use crate::deadline::Deadline;
use crate::mesh::{BootInstant, Cluster, LeaseError, LeaseState, Mesh, Transport};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

pub const NAME: &str = "ambikiali";
/// A Lease that was not renewed for this long may be taken over.
const LEASE_DURATION: Duration = Duration::from_secs(30);
/// How long writes are allowed after a renewal. It is shorter than `LEASE_DURATION`, so that writes in flight finish before
/// another run can take over.
const WRITE_WINDOW: Duration = Duration::from_secs(20);
/// How long a write waits if the Lease could not be renewed.
const OUTAGE: Duration = Duration::from_secs(60);

pub struct Lease {
    home: Cluster,
    namespace: String,
    install: String,
    held: OnceCell<Option<Renewal>>,
    state: LeaseState,
    /// The transports of all clusters that are written to.
    transports: Vec<Transport>,
    name_taken: AtomicBool,
}

impl Lease {
    /// The Lease that guards writes to all clusters of this mesh.
    pub fn on(mesh: &Mesh, namespace: &str, install: &str) -> Lease {
        let transports = mesh.all().map(|cluster| cluster.transport.clone());
        Lease {
            transports: transports.collect(),
            home: mesh.home.clone(),
            namespace: namespace.into(),
            install: install.into(),
            held: OnceCell::new(),
            state: LeaseState::default(),
            name_taken: AtomicBool::default(),
        }
    }

    /// Minimal object: apiVersion, kind, name and namespace.
    pub fn object(&self) -> Value {
        let metadata = json!({"name": NAME, "namespace": self.namespace});
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata})
    }

    fn api(&self) -> Api<Object> {
        Api::namespaced(self.home.client.clone(), &self.namespace)
    }

    fn id(&self) -> ObjectId {
        ObjectId::new("Lease", &self.namespace, NAME)
    }

    /// Takes the Lease if this run does not hold it yet; called before each write. If the namespace does not exist,
    /// nothing is installed and no Lease is needed.
    pub async fn hold(&self, deadline: Deadline) -> Result<()> {
        self.held.get_or_try_init(|| self.take(deadline)).await?;
        // During an outage of home, wait for the next renewal.
        let held = self.state.wait_checked(deadline.at_most(OUTAGE)).await;
        held.map_err(|refused| {
            let (home, id) = (&self.home.name, self.id());
            let problem = match refused {
                LeaseError::Lost => {
                    let cause = format!("{home}: {id} was taken over by another run");
                    Problem::new(Exit::Preflight, cause)
                }
                LeaseError::Expired => {
                    let cause = format!(
                        "{home}: {id} could not be renewed for {} s, so another run may already write",
                        WRITE_WINDOW.as_secs()
                    );
                    Problem::new(Exit::Unreachable, cause)
                }
            };
            problem
                .fix("wait for the other run to end, then run the same command again")
                .into()
        })
    }

    /// Like `hold`, for a removal. If a foreign object has the name of the Lease, no install can run, so the removal
    /// continues without a Lease.
    pub async fn hold_to_remove(&self, deadline: Deadline) -> Result<()> {
        match self.hold(deadline).await {
            Err(_) if self.name_taken.load(Ordering::Relaxed) => {
                let _ = self.held.set(None);
                Ok(())
            }
            held => held,
        }
    }

    async fn take(&self, deadline: Deadline) -> Result<Option<Renewal>> {
        let (api, id) = (self.api(), self.id());
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        let started = BootInstant::now();
        loop {
            let new = self.desired(None);
            let requested = BootInstant::now();
            let created = send_to(&self.home, deadline, &id, || api.create(&params, &new)).await;
            match created {
                Ok(lease) => return Ok(Some(self.start_renewal(lease, requested))),
                // Without a namespace, or while it is being deleted, no Lease is needed.
                Err(refusal) if refusal.is_missing() || refusal.is_terminating() => {
                    return Ok(None);
                }
                Err(refusal) if is_conflict(&refusal) => {}
                Err(refusal) => return Err(refusal.into()),
            }
            if let Some(held) = self.take_over(deadline, started).await? {
                return Ok(Some(held));
            }
        }
    }

    /// Returns None if the Lease is gone or another run was faster.
    async fn take_over(&self, deadline: Deadline, started: BootInstant) -> Result<Option<Renewal>> {
        let (api, id) = (self.api(), self.id());
        let live = match send_to(&self.home, deadline, &id, || api.get(NAME)).await {
            Ok(lease) => lease,
            Err(refusal) if refusal.is_missing() => return Ok(None),
            Err(refusal) => return Err(refusal.into()),
        };
        if !holder::is_known(&live) {
            self.name_taken.store(true, Ordering::Relaxed);
            return Err(conflict::name_taken(&self.home, &id).into());
        }
        // The response to an earlier request was lost.
        if holder::is_this(&live) {
            return Ok(Some(self.start_renewal(live, started)));
        }
        if !holder::has_ended(&live) && self.age(&live) < LEASE_DURATION {
            return Err(self.held_by_other(&live).into());
        }
        let params = as_ourselves();
        // Only for the version that was read: another run may try the same.
        let mine = self.desired(live.metadata.resource_version.clone());
        let mine = Patch::Merge(&mine);
        let requested = BootInstant::now();
        match send_to(&self.home, deadline, &id, || {
            api.patch(NAME, &params, &mine)
        })
        .await
        {
            Ok(lease) => Ok(Some(self.start_renewal(lease, requested))),
            Err(refusal) if refusal.is_missing() || is_conflict(&refusal) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn desired(&self, resource_version: Option<String>) -> Object {
        let (holder, process) = holder::this_process();
        let lease = json!({
            "metadata": {
                "name": NAME,
                "namespace": self.namespace,
                "resourceVersion": resource_version,
                "labels": {MANAGED_BY.0: MANAGED_BY.1, INSTALL: self.install},
                "annotations": {holder::PROCESS: process},
            },
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": LEASE_DURATION.as_secs()},
        });
        serde_json::from_value(lease).expect("a Lease")
    }

    fn age(&self, lease: &Object) -> Duration {
        let entries = lease.metadata.managed_fields.iter().flatten();
        let renewed_at = entries
            .filter_map(|entry| entry.time.as_ref().map(|time| time.0))
            .max();
        match (self.home.server_time(), renewed_at) {
            (Some(now), Some(renewed_at)) => elapsed(renewed_at, now),
            _ => Duration::ZERO,
        }
    }

    fn held_by_other(&self, lease: &Object) -> Problem {
        let holder = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.as_deref());
        let since = lease
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0);
        let since = match (self.home.server_time(), since) {
            (Some(now), Some(since)) => elapsed(since, now).as_secs(),
            _ => 0,
        };
        Problem::new(
            Exit::Preflight,
            format!(
                "{}: another run is in progress: {} for {since} s (last renewal {} s ago), according to {}",
                self.home.name,
                holder.unwrap_or("somebody"),
                self.age(lease).as_secs(),
                self.id()
            ),
        )
        .fix(format!(
            "wait for it to end; if it was killed, its Lease expires {} s after the last renewal: {} -n {} get lease {NAME} -o yaml",
            LEASE_DURATION.as_secs(), self.home.kubectl, self.namespace
        ))
    }

    fn start_renewal(&self, lease: Object, requested: BootInstant) -> Renewal {
        self.state.set_held(requested, WRITE_WINDOW);
        for transport in &self.transports {
            transport.write_under(&self.state);
        }
        Renewal::begin(self.api(), &self.home, lease, self.state.clone())
    }

    /// Releases the Lease at the end of the run.
    pub async fn release(&self) {
        let Some(Some(held)) = self.held.get() else {
            return;
        };
        held.end();
        if self.state.is_lost() {
            return;
        }
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: held.uid.clone(),
            resource_version: None,
        });
        let (api, id) = (self.api(), self.id());
        let deadline = Deadline::after(Duration::from_secs(5));
        // If this fails, the Lease expires.
        let _ = send_to(&self.home, deadline, &id, || api.delete(NAME, &params)).await;
    }
}

fn is_conflict(refusal: &RequestError) -> bool {
    refusal.status().is_some_and(|status| status.code == 409)
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
