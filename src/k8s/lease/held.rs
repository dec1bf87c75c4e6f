//! A Lease that is held gives signs of life until it is released or lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::Patch;
use serde_json::json;
use tokio::task::JoinHandle;

use super::{NAME, holder};
use crate::k8s::as_ourselves;
use crate::k8s::retry::is_quota_race;
use crate::mesh::Cluster;

const SIGN: Duration = Duration::from_secs(10);

pub struct Held {
    pub uid: Option<String>,
    renewal: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end();
    }
}

impl Held {
    pub fn begin(api: Api<Lease>, home: &Cluster, lease: Lease, lost: Arc<AtomicBool>) -> Held {
        let uid = lease.metadata.uid;
        let renewal = tokio::spawn(renew(api, home.clone(), uid.clone(), lost));
        Held { uid, renewal }
    }

    pub fn end(&self) {
        self.renewal.abort();
    }
}

async fn renew(api: Api<Lease>, home: Cluster, uid: Option<String>, lost: Arc<AtomicBool>) {
    let by = as_ourselves();
    loop {
        tokio::time::sleep(SIGN).await;
        // For people: what counts is when the server saw it.
        let now = MicroTime(home.server_time().unwrap_or_else(Timestamp::now));
        // By its uid: one that was taken over or removed is not ours to renew.
        let sign = json!({"metadata": {"uid": uid}, "spec": {"renewTime": now}});
        match api.patch(NAME, &by, &Patch::Merge(&sign)).await {
            Ok(lease) if !holder::is_this(&lease) => break,
            Err(kube::Error::Api(status)) if status.code == 409 && !is_quota_race(&status) => break,
            // An outage longer than its life is found by the next one who comes.
            _ => {}
        }
    }
    lost.store(true, Ordering::Relaxed);
}
