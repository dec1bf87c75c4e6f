//! A claim for storage.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::{Health, missing};

/// Ready means that a volume is bound to it.
pub fn claim(claim: Option<&PersistentVolumeClaim>) -> Health {
    let Some(claim) = claim else {
        return missing();
    };
    if claim.metadata.deletion_timestamp.is_some() {
        let cause = "is being deleted, and its data with it as soon as no pod uses it";
        return Health::Failed(cause.into());
    }
    let status = claim.status.as_ref();
    match status.and_then(|status| status.phase.as_deref()) {
        Some("Bound") => Health::Ready,
        Some("Lost") => Health::Failed("its volume is gone".into()),
        _ => Health::InProgress("no volume is bound to it yet".into()),
    }
}
