//! One that writes at a time: a Lease on home, taken before the first write of a run and held until
//! its end. Its age is told by the server's clock alone. A run that finds nothing to write never
//! takes it.

mod holder;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease as Object;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use super::ownership::{INSTALL, MANAGED_BY};
use super::request::send_to;
use super::{Deadline, FIELD_MANAGER, conflict};
use crate::mesh::Cluster;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

pub const NAME: &str = "ambikiali";
/// Without a sign of life for so long, whoever comes takes it.
const LIFE: Duration = Duration::from_secs(30);
const SIGN: Duration = Duration::from_secs(10);

pub struct Lease {
    home: Cluster,
    namespace: String,
    install: String,
    held: OnceCell<Option<Held>>,
    lost: Arc<AtomicBool>,
}

struct Held {
    uid: Option<String>,
    renewal: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Lease {
    pub fn on(home: &Cluster, namespace: &str, install: &str) -> Lease {
        Lease {
            home: home.clone(),
            namespace: namespace.into(),
            install: install.into(),
            held: OnceCell::new(),
            lost: Arc::default(),
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
        match self.lost.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Problem::new(
                Exit::Conflict,
                format!(
                    "{}: {} was taken over by another run",
                    self.home.name,
                    self.id()
                ),
            )
            .fix("let the other run end, then run the same command again")
            .into()),
        }
    }

    async fn take(&self, deadline: Deadline) -> Result<Option<Held>> {
        let (api, id) = (self.api(), self.id());
        let by = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        let with = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        loop {
            let new = self.wanted(None);
            let made = send_to(&self.home, deadline, &id, || api.create(&by, &new)).await;
            let refusal = match made {
                Ok(lease) => return Ok(Some(self.keep(lease))),
                // No namespace, nothing to hold.
                Err(refusal) if refusal.is_missing() => return Ok(None),
                Err(refusal) => refusal,
            };
            if refusal.status().is_none_or(|status| status.code != 409) {
                return Err(refusal.into());
            }
            let there = send_to(&self.home, deadline, &id, || api.get(NAME)).await;
            let there = match there {
                Ok(lease) => lease,
                Err(refusal) if refusal.is_missing() => continue,
                Err(refusal) => return Err(refusal.into()),
            };
            if !holder::is_known(&there) {
                return Err(conflict::name_taken(&self.home, &id).into());
            }
            if holder::is_this(&there) {
                return Ok(Some(self.keep(there)));
            }
            if !holder::is_dead(&there) && self.age(&there) < LIFE {
                return Err(self.taken(&there).into());
            }
            // Of what was seen: another one may come to the same conclusion.
            let mine = self.wanted(there.metadata.resource_version.clone());
            let mine = Patch::Merge(&mine);
            let taken = send_to(&self.home, deadline, &id, || api.patch(NAME, &with, &mine)).await;
            match taken {
                Ok(lease) => return Ok(Some(self.keep(lease))),
                Err(refusal)
                    if refusal
                        .status()
                        .is_some_and(|s| matches!(s.code, 404 | 409)) => {}
                Err(refusal) => return Err(refusal.into()),
            }
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
            "let it end; if it is gone, its Lease is free {} s after its last sign: kubectl --context {} -n {} get lease {NAME} -o yaml",
            LIFE.as_secs(), self.home.context, self.namespace
        ))
    }

    /// Gives signs of life as long as this is held.
    fn keep(&self, lease: Object) -> Held {
        let (api, lost, home) = (self.api(), self.lost.clone(), self.home.clone());
        let uid = lease.metadata.uid;
        let renewed = uid.clone();
        let renewal = tokio::spawn(async move {
            loop {
                tokio::time::sleep(SIGN).await;
                // For people: what counts is when the server saw it.
                let now = MicroTime(home.server_time().unwrap_or_else(Timestamp::now));
                // By its uid: one that was taken over or removed is not ours to renew.
                let sign = json!({"metadata": {"uid": renewed}, "spec": {"renewTime": now}});
                let by = PatchParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PatchParams::default()
                };
                match api.patch(NAME, &by, &Patch::Merge(&sign)).await {
                    Ok(lease) if !holder::is_this(&lease) => {
                        return lost.store(true, Ordering::Relaxed);
                    }
                    Err(kube::Error::Api(status)) if status.code == 409 => {
                        return lost.store(true, Ordering::Relaxed);
                    }
                    // An outage longer than its life is found by the next one who comes.
                    _ => {}
                }
            }
        });
        Held { uid, renewal }
    }

    /// At the end of the run; where it went with its namespace there is nothing to do.
    pub async fn release(&self) {
        let Some(Some(held)) = self.held.get() else {
            return;
        };
        held.renewal.abort();
        if self.lost.load(Ordering::Relaxed) {
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

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
