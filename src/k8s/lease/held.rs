//! A Lease that is held gives signs of life until it is released or lost.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::Patch;
use serde_json::json;
use tokio::task::JoinHandle;

use super::{NAME, SURE, holder};
use crate::k8s::as_ourselves;
use crate::mesh::retry::is_quota_race;
use crate::mesh::{Cluster, Moment, Tenure};

const SIGN: Duration = Duration::from_secs(10);
/// After one that failed: writes wait for it.
const AGAIN: Duration = Duration::from_secs(1);

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
    pub fn begin(api: Api<Lease>, home: &Cluster, lease: Lease, tenure: Tenure) -> Held {
        let uid = lease.metadata.uid.clone();
        let renewal = tokio::spawn(renew(api, home.clone(), lease, tenure));
        Held { uid, renewal }
    }

    pub fn end(&self) {
        self.renewal.abort();
    }
}

async fn renew(api: Api<Lease>, home: Cluster, lease: Lease, tenure: Tenure) {
    let (uid, mut version) = (lease.metadata.uid, lease.metadata.resource_version);
    let by = as_ourselves();
    let mut pause = SIGN;
    loop {
        tokio::time::sleep(pause).await;
        // For people: what counts is when the server saw it.
        let now = MicroTime(home.server_time().unwrap_or_else(Timestamp::now));
        // Of what was seen: one that was taken over or removed is not ours to renew.
        let seen = json!({"uid": uid, "resourceVersion": version});
        let sign = Patch::Merge(json!({"metadata": seen, "spec": {"renewTime": now}}));
        let asked = Moment::now();
        let signed = api.patch(NAME, &by, &sign);
        // The next sign must come while it still is ours.
        match tokio::time::timeout(SIGN, signed).await {
            Ok(Ok(lease)) => {
                tenure.held(asked, SURE);
                (version, pause) = (lease.metadata.resource_version, SIGN);
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 409 && !is_quota_race(&status) => {
                // Somebody may have written something else into it.
                match api.get_opt(NAME).await {
                    Ok(Some(lease)) if lease.metadata.uid == uid && holder::is_this(&lease) => {
                        (version, pause) = (lease.metadata.resource_version, AGAIN);
                    }
                    Ok(_) => break,
                    Err(_) => pause = AGAIN,
                }
            }
            // Gone in time, it went with the namespace that this run removes: there is nothing to hold.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => match tenure.check() {
                Ok(()) => return tenure.free(),
                Err(_) => break,
            },
            // An outage longer than its life is found by the next one who comes.
            _ => pause = AGAIN,
        }
    }
    tenure.lost();
}
