//! Decides when a run happens: on creation, on a new generation and on any change of an annotation. Each CR has one
//! worker, so its runs never overlap. A failed run is retried with a growing backoff.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Error, ResourceExt};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::conditions::{Outcome, mark_done, mark_running};
use super::{MANAGER, Operator, reconcile, remove};

const FINALIZER: &str = "kiali.io/finalizer";
/// The time from the end of a run to the next one that is already due. For this long, a newer generation shows the
/// success of the old run.
const QUEUE: Duration = Duration::from_millis(7);

/// A change of any of these makes a run due. A finished deletion is unlike any other state.
#[derive(Clone, Default, PartialEq)]
struct Due {
    uid: String,
    generation: i64,
    annotations: BTreeMap<String, String>,
    gone: bool,
}

type Key = (String, String);

pub(super) async fn run(operator: Arc<Operator>) {
    let client = operator.container.client.clone();
    let kind = kind();
    let all: Api<DynamicObject> = match &operator.settings.watch_namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    };
    let mut known: HashMap<Key, watch::Sender<Due>> = HashMap::new();
    let mut workers = JoinSet::new();
    let events = watcher(all, watcher::Config::default()).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let (cr, gone) = match event {
            Ok(watcher::Event::Apply(cr) | watcher::Event::InitApply(cr)) => (cr, false),
            Ok(watcher::Event::Delete(cr)) => (cr, true),
            Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
            Err(why) => {
                operator
                    .container
                    .log(format_args!("error: watching Kiali CRs: {why}"));
                continue;
            }
        };
        let key = (cr.namespace().unwrap_or_default(), cr.name_any());
        let due = Due {
            uid: cr.uid().unwrap_or_default(),
            generation: cr.metadata.generation.unwrap_or_default(),
            annotations: cr.annotations().clone(),
            gone,
        };
        let sender = known.entry(key.clone()).or_insert_with(|| {
            let (sender, receiver) = watch::channel(Due::default());
            workers.spawn(work(operator.clone(), key, receiver));
            sender
        });
        sender.send_if_modified(|last| {
            let new = *last != due;
            *last = due;
            new
        });
    }
}

fn kind() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("kiali.io", "v1alpha1", "Kiali"),
        "kialis",
    )
}

async fn work(operator: Arc<Operator>, (namespace, name): Key, mut due: watch::Receiver<Due>) {
    let crs: Api<DynamicObject> =
        Api::namespaced_with(operator.container.client.clone(), &namespace, &kind());
    let mut failures = 0;
    while due.changed().await.is_ok() {
        loop {
            due.mark_unchanged();
            match once(&operator, &crs, &name).await {
                Ok(()) => failures = 0,
                Err(why) => {
                    operator
                        .container
                        .log(format_args!("error: {namespace}/{name}: {why}"));
                    failures += 1;
                }
            }
            sleep(QUEUE).await;
            if failures == 0 {
                break;
            }
            tokio::select! {
                () = sleep(back_off(failures)) => {}
                changed = due.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Returns the backoff of controller-runtime: 5 ms, doubled each time, at most 1000 s.
fn back_off(failures: u32) -> Duration {
    Duration::from_millis(5 << (failures - 1).min(18)).min(Duration::from_secs(1000))
}

async fn once(operator: &Operator, crs: &Api<DynamicObject>, name: &str) -> Result<(), String> {
    let Some(mut cr) = crs.get_opt(name).await.map_err(text)? else {
        return Ok(());
    };
    let deleted = cr.metadata.deletion_timestamp.is_some();
    if !cr.finalizers().iter().any(|f| f == FINALIZER) {
        if deleted {
            return Ok(());
        }
        cr.finalizers_mut().push(FINALIZER.into());
        crs.replace(name, &by_us(), &cr).await.map_err(text)?;
    }
    let cr = set_status(crs, name, |status| mark_running(status, &now())).await?;
    let Some(cr) = cr else { return Ok(()) };
    let outcome: Outcome = match deleted {
        true => {
            remove::remove(operator, &cr).await;
            Ok(())
        }
        false => reconcile::deploy(operator, crs, &cr).await,
    };
    if deleted {
        return let_go(crs, name).await;
    }
    // In Python's format, without a Z.
    let completion = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00");
    let completion = completion.to_string();
    set_status(crs, name, |status| {
        mark_done(status, &outcome, &completion, &now())
    })
    .await?;
    outcome
}

async fn let_go(crs: &Api<DynamicObject>, name: &str) -> Result<(), String> {
    let Some(mut cr) = crs.get_opt(name).await.map_err(text)? else {
        return Ok(());
    };
    cr.finalizers_mut().retain(|f| f != FINALIZER);
    crs.replace(name, &by_us(), &cr)
        .await
        .map(drop)
        .map_err(text)
}

/// Reads the CR again and writes back the whole status. Returns None if the CR is gone.
async fn set_status(
    crs: &Api<DynamicObject>,
    name: &str,
    mut change: impl FnMut(&mut Value),
) -> Result<Option<DynamicObject>, String> {
    let mut tries = 0;
    loop {
        let Some(mut cr) = crs.get_opt(name).await.map_err(text)? else {
            return Ok(None);
        };
        tries += 1;
        change(&mut cr.data["status"]);
        match crs.replace_status(name, &by_us(), &cr).await {
            Ok(cr) => return Ok(Some(cr)),
            Err(Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(Error::Api(status)) if status.code == 409 && tries < 5 => {}
            Err(why) => return Err(text(why)),
        }
    }
}

fn by_us() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.into()),
        ..Default::default()
    }
}

fn text(error: Error) -> String {
    match error {
        Error::Api(status) => status.message,
        other => other.to_string(),
    }
}

/// The time in whole seconds, like metav1.Time.
fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_cap() {
        assert_eq!(back_off(1), Duration::from_millis(5));
        assert_eq!(back_off(4), Duration::from_millis(40));
        assert_eq!(back_off(40), Duration::from_secs(1000));
    }
}
