//! One that writes at a time: a Lease on home, taken before the first write of a run and held until
//! its end. Its age is told by the server's clock alone. A run that finds nothing to write never
//! takes it.

mod held;
mod holder;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease as Object;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PostParams, Preconditions};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use held::Held;

use super::ownership::{INSTALL, MANAGED_BY};
use super::request::{Refusal, send_to};
use super::{FIELD_MANAGER, as_ourselves, conflict};
use crate::deadline::Deadline;
use crate::mesh::{Cluster, Mesh, Moment, NotOurs, Tenure, Transport};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

pub const NAME: &str = "ambikiali";
/// Without a sign of life for so long, whoever comes takes it.
const LIFE: Duration = Duration::from_secs(30);
/// For how long after a renewal no other run can have come: what is on its way then must be done before
/// another one takes it.
const SURE: Duration = Duration::from_secs(20);
/// How long a write waits for a Lease that was ours and could not be renewed.
const OUTAGE: Duration = Duration::from_secs(60);

pub struct Lease {
    home: Cluster,
    namespace: String,
    install: String,
    held: OnceCell<Option<Held>>,
    tenure: Tenure,
    /// Of all clusters that are written to.
    transports: Vec<Transport>,
    name_taken: AtomicBool,
}

impl Lease {
    /// What is written to any of these clusters is written under it.
    pub fn on(mesh: &Mesh, namespace: &str, install: &str) -> Lease {
        let transports = mesh.all().map(|cluster| cluster.transport.clone());
        Lease {
            transports: transports.collect(),
            home: mesh.home.clone(),
            namespace: namespace.into(),
            install: install.into(),
            held: OnceCell::new(),
            tenure: Tenure::default(),
            name_taken: AtomicBool::default(),
        }
    }

    /// As much of it as its name needs.
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

    /// Before each write. Without the namespace there is nothing that two could quarrel about yet.
    pub async fn hold(&self, deadline: Deadline) -> Result<()> {
        self.held.get_or_try_init(|| self.take(deadline)).await?;
        // One that cannot be renewed now, as in an outage of home, may be so in a moment.
        let checked = self.tenure.checked(deadline.at_most(OUTAGE)).await;
        checked.map_err(|refused| {
            let (home, id) = (&self.home.name, self.id());
            let problem = match refused {
                NotOurs::Lost => {
                    let cause = format!("{home}: {id} was taken over by another run");
                    Problem::new(Exit::Preflight, cause)
                }
                NotOurs::Unsure => {
                    let cause = format!(
                        "{home}: {id} could not be renewed for {} s, so another run may write by now",
                        SURE.as_secs()
                    );
                    Problem::new(Exit::Unreachable, cause)
                }
            };
            problem
                .fix("let the other run end, then run the same command again")
                .into()
        })
    }

    /// Before a removal: beside an object of somebody else nobody can install, nor does it keep us from
    /// taking our own away.
    pub async fn hold_to_remove(&self, deadline: Deadline) -> Result<()> {
        match self.hold(deadline).await {
            Err(_) if self.name_taken.load(Ordering::Relaxed) => {
                let _ = self.held.set(None);
                Ok(())
            }
            held => held,
        }
    }

    async fn take(&self, deadline: Deadline) -> Result<Option<Held>> {
        let (api, id) = (self.api(), self.id());
        let by = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        let begun = Moment::now();
        loop {
            let new = self.wanted(None);
            let asked = Moment::now();
            let made = send_to(&self.home, deadline, &id, || api.create(&by, &new)).await;
            match made {
                Ok(lease) => return Ok(Some(self.keep(lease, asked))),
                // Without a namespace, or with one that goes, there is nothing to hold.
                Err(refusal) if refusal.is_missing() || refusal.is_terminating() => {
                    return Ok(None);
                }
                Err(refusal) if is_taken(&refusal) => {}
                Err(refusal) => return Err(refusal.into()),
            }
            if let Some(held) = self.take_over(deadline, begun).await? {
                return Ok(Some(held));
            }
        }
    }

    /// None when it is gone or another one was quicker.
    async fn take_over(&self, deadline: Deadline, begun: Moment) -> Result<Option<Held>> {
        let (api, id) = (self.api(), self.id());
        let there = match send_to(&self.home, deadline, &id, || api.get(NAME)).await {
            Ok(lease) => lease,
            Err(refusal) if refusal.is_missing() => return Ok(None),
            Err(refusal) => return Err(refusal.into()),
        };
        if !holder::is_known(&there) {
            self.name_taken.store(true, Ordering::Relaxed);
            return Err(conflict::name_taken(&self.home, &id).into());
        }
        // The answer to a first try was lost.
        if holder::is_this(&there) {
            return Ok(Some(self.keep(there, begun)));
        }
        if !holder::is_dead(&there) && self.age(&there) < LIFE {
            return Err(self.taken(&there).into());
        }
        let by = as_ourselves();
        // Of what was seen: another one may come to the same conclusion.
        let mine = self.wanted(there.metadata.resource_version.clone());
        let mine = Patch::Merge(&mine);
        let asked = Moment::now();
        match send_to(&self.home, deadline, &id, || api.patch(NAME, &by, &mine)).await {
            Ok(lease) => Ok(Some(self.keep(lease, asked))),
            Err(refusal) if refusal.is_missing() || is_taken(&refusal) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn wanted(&self, resource_version: Option<String>) -> Object {
        let (holder, process) = holder::this();
        let lease = json!({
            "metadata": {
                "name": NAME,
                "namespace": self.namespace,
                "resourceVersion": resource_version,
                "labels": {MANAGED_BY.0: MANAGED_BY.1, INSTALL: self.install},
                "annotations": {holder::PROCESS: process},
            },
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": LIFE.as_secs()},
        });
        serde_json::from_value(lease).expect("a Lease")
    }

    fn age(&self, lease: &Object) -> Duration {
        let entries = lease.metadata.managed_fields.iter().flatten();
        let sign = entries
            .filter_map(|entry| entry.time.as_ref().map(|time| time.0))
            .max();
        match (self.home.server_time(), sign) {
            (Some(now), Some(sign)) => elapsed(sign, now),
            _ => Duration::ZERO,
        }
    }

    fn taken(&self, lease: &Object) -> Problem {
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
                "{}: another run is at work: {} since {since} s (last sign {} s ago), by {}",
                self.home.name,
                holder.unwrap_or("somebody"),
                self.age(lease).as_secs(),
                self.id()
            ),
        )
        .fix(format!(
            "let it end; if it is gone, its Lease is free {} s after its last sign: {} -n {} get lease {NAME} -o yaml",
            LIFE.as_secs(), self.home.kubectl, self.namespace
        ))
    }

    fn keep(&self, lease: Object, asked: Moment) -> Held {
        self.tenure.held(asked, SURE);
        for transport in &self.transports {
            transport.write_under(&self.tenure);
        }
        Held::begin(self.api(), &self.home, lease, self.tenure.clone())
    }

    /// At the end of the run; where it went with its namespace there is nothing to do.
    pub async fn release(&self) {
        let Some(Some(held)) = self.held.get() else {
            return;
        };
        held.end();
        if self.tenure.is_lost() {
            return;
        }
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: held.uid.clone(),
            resource_version: None,
        });
        let (api, id) = (self.api(), self.id());
        let soon = Deadline::after(Duration::from_secs(5));
        // One that stays is free after its life.
        let _ = send_to(&self.home, soon, &id, || api.delete(NAME, &params)).await;
    }
}

fn is_taken(refusal: &Refusal) -> bool {
    refusal.status().is_some_and(|status| status.code == 409)
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
