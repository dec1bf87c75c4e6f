//! Renews the Lease until it is released or lost.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::Patch;
use serde_json::json;
use tokio::task::JoinHandle;

use super::{NAME, WRITE_WINDOW, holder};
use crate::k8s::as_ourselves;
use crate::mesh::retry::is_quota_race;
use crate::mesh::{BootInstant, Cluster, LeaseState};

const RENEW_INTERVAL: Duration = Duration::from_secs(10);
/// Interval after a failed renewal, because writes are waiting for it.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub struct Renewal {
    pub uid: Option<String>,
    renewal: JoinHandle<()>,
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.end();
    }
}

impl Renewal {
    pub fn begin(api: Api<Lease>, home: &Cluster, lease: Lease, state: LeaseState) -> Renewal {
        let uid = lease.metadata.uid.clone();
        let renewal = tokio::spawn(renew(api, home.clone(), lease, state));
        Renewal { uid, renewal }
    }

    pub fn end(&self) {
        self.renewal.abort();
    }
}

async fn renew(api: Api<Lease>, home: Cluster, lease: Lease, state: LeaseState) {
    let (uid, mut version) = (lease.metadata.uid, lease.metadata.resource_version);
    let params = as_ourselves();
    let mut pause = RENEW_INTERVAL;
    loop {
        tokio::time::sleep(pause).await;
        // Informational only: the server's own timestamp counts.
        let now = MicroTime(home.server_time().unwrap_or_else(Timestamp::now));
        // Only for the version that was read, so that a Lease that was taken over or deleted is not renewed.
        let seen = json!({"uid": uid, "resourceVersion": version});
        let renewal_patch = Patch::Merge(json!({"metadata": seen, "spec": {"renewTime": now}}));
        let requested = BootInstant::now();
        let response = api.patch(NAME, &params, &renewal_patch);
        // Time out early enough for another try before the Lease expires.
        match tokio::time::timeout(RENEW_INTERVAL, response).await {
            Ok(Ok(lease)) => {
                state.set_held(requested, WRITE_WINDOW);
                (version, pause) = (lease.metadata.resource_version, RENEW_INTERVAL);
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 409 && !is_quota_race(&status) => {
                // Another client may have changed the Lease without taking it over.
                match api.get_opt(NAME).await {
                    Ok(Some(lease)) if lease.metadata.uid == uid && holder::is_this(&lease) => {
                        (version, pause) = (lease.metadata.resource_version, RETRY_INTERVAL);
                    }
                    Ok(_) => break,
                    Err(_) => pause = RETRY_INTERVAL,
                }
            }
            // Deleted while it was valid: this run deletes the namespace, so no Lease is needed.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => match state.check() {
                Ok(()) => return state.set_not_needed(),
                Err(_) => break,
            },
            // After an outage longer than `LEASE_DURATION`, the next run takes the Lease over.
            _ => pause = RETRY_INTERVAL,
        }
    }
    state.set_lost();
}
