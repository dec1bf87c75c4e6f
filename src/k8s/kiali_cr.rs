//! A Kiali CR, on home and on a remote alike: when the operator is really done with it, and that it
//! only goes while an operator is alive to run its finalizer.

mod removal;

use std::time::Duration;

use anyhow::Result;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

pub use removal::{remove, said};

use super::apply::{Applied, Outcome};
use super::health::{self, Kiali, KialiFence};
use super::request::change;
use super::wait::{self, Wait};
use super::{FIELD_MANAGER, Scope, kinds};
use crate::progress::ObjectId;

/// `Successful` of a run that was under way shows for a few milliseconds before the next one.
const QUIET: Duration = Duration::from_secs(1);

/// Until the operator has done what this apply asked for.
pub async fn settled(scope: &Scope<'_>, name: &str, applied: &Applied) -> Result<()> {
    let read = |value: &Value| serde_json::from_value::<Kiali>(value.clone()).ok();
    let (before, mut seen) = (applied.before.as_ref().and_then(read), read(&applied.live));
    let stuck = before.as_ref().filter(|k| health::has_failed(k));
    let mut fence = match (applied.outcome, stuck) {
        (Outcome::Changed, _) => KialiFence::changed(before.as_ref()),
        (Outcome::Unchanged, Some(stuck)) => {
            seen = Some(again(scope, name, stuck).await?);
            KialiFence::changed(Some(stuck))
        }
        _ => KialiFence::default(),
    };
    let advice = format!(
        "kubectl --context {} -n {} logs deployment/kiali-operator --tail=50",
        scope.cluster.context, scope.namespace
    );
    let wait = Wait {
        seen,
        quiet: QUIET,
        advice: &advice,
        ..Wait::for_object(api(scope), ObjectId::new("Kiali", scope.namespace, name))
    };
    wait::until(scope, wait, |kiali| fence.judge(kiali)).await?;
    Ok(())
}

/// Has the operator try again at once what it failed to do: its cause may be gone, and its own pauses
/// grow to a quarter of an hour.
async fn again(scope: &Scope<'_>, name: &str, stuck: &Kiali) -> Result<Kiali> {
    let any_new_value = &stuck.metadata.resource_version;
    let touch = json!({"metadata": {"annotations": {"kiali.io/reconcile": any_new_value}}});
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let object = ObjectId::new("Kiali", scope.namespace, name);
    let (api, touch) = (api(scope), Patch::Merge(touch));
    Ok(change(scope, &object, || api.patch(name, &params, &touch)).await??)
}

fn api(scope: &Scope<'_>) -> Api<Kiali> {
    Api::namespaced_with(
        scope.cluster.client.clone(),
        scope.namespace,
        &kinds::kiali(),
    )
}
