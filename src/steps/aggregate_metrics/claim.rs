//! The claim with the history of the federating Prometheus. It holds data: it is never deleted to make another one, and
//! that of somebody else is not used without consent.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Api;
use serde_json::{Value, json};

use crate::code::Code;
use crate::deadline::Deadline;
use crate::history::{self, CONSENT, Storage};
use crate::k8s::difference::difference;
use crate::k8s::health::{self, Health};
use crate::k8s::look::{Component, look};
use crate::k8s::record::{CLAIM, Key};
use crate::k8s::request::send_opt;
use crate::k8s::{Scope, conflict, events, ownership, write};
use crate::problem::{self, Exit, Problem};
use crate::progress::ObjectId;

const NAME: &str = "prometheus-data";
/// How often the claim is read while pods wait for it.
const INTERVAL: Duration = Duration::from_secs(2);
/// For the last look at a claim, after the time for the pods is up.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn claim_id(scope: &Scope<'_>) -> ObjectId {
    ObjectId::new(CLAIM, scope.namespace, NAME)
}

fn api(scope: &Scope<'_>) -> Api<PersistentVolumeClaim> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

fn object(scope: &Scope<'_>) -> Value {
    let metadata = json!({"name": NAME, "namespace": scope.namespace});
    json!({"apiVersion": "v1", "kind": CLAIM, "metadata": metadata})
}

/// Why a claim cannot be used as it is asked for.
pub struct Unusable {
    pub code: Code,
    pub cause: String,
    pub fix: String,
}

/// Gives the manifest of a claim, if there is one among these, what the live claim keeps. Returns the live claim.
pub async fn keep_claim(scope: &Scope<'_>, objects: &mut [Value]) -> Result<Option<Value>> {
    let Some(manifest) = objects.iter_mut().find(|object| object["kind"] == CLAIM) else {
        return Ok(None);
    };
    let live = write::read(scope, manifest, &claim_id(scope)).await?;
    if let Some(live) = &live {
        keep_class(manifest, live);
    }
    Ok(live)
}

/// A class that we applied stays where the user names none, because a claim cannot move to another one.
fn keep_class(manifest: &mut Value, live: &Value) {
    let applied = ownership::applied_fields(live).unwrap_or_default();
    let is_applied = applied.pointer("/f:spec/f:storageClassName").is_some();
    if is_applied && manifest["spec"].get("storageClassName").is_none() {
        manifest["spec"]["storageClassName"] = live["spec"]["storageClassName"].clone();
    }
}

/// Whether a live claim cannot become what is asked for.
pub fn unusable(scope: &Scope<'_>, manifest: &Value, live: &Value) -> Option<Unusable> {
    let is_ours = scope.record.is_ours(live) || scope.record.made(live);
    if !is_ours && let Some(unusable) = of_others(scope, manifest, live) {
        return Some(unusable);
    }
    let storage = scope.settings.history.storage.as_ref()?;
    let (cause, fix) = fault(storage, live)?;
    let kubectl = &scope.cluster.kubectl;
    let anew = format!(
        "to give up the history, install with --storage default, delete the claim, and install with --storage again: {kubectl} -n {} delete persistentvolumeclaim {NAME}",
        scope.namespace
    );
    Some(Unusable {
        code: Code::HistoryClaim,
        cause,
        fix: fix.map_or(anew.clone(), |fix| format!("{fix}; {anew}")),
    })
}

fn of_others(scope: &Scope<'_>, manifest: &Value, live: &Value) -> Option<Unusable> {
    let (key, value) = CONSENT;
    if live["metadata"]["annotations"][key] == value {
        let field = difference(manifest, live)?;
        return Some(Unusable {
            code: Code::TakenName,
            cause: conflict::differs(scope, live, &field),
            fix: conflict::ways_out_of(scope, &claim_id(scope), live),
        });
    }
    let (kubectl, namespace) = (&scope.cluster.kubectl, scope.namespace);
    Some(Unusable {
        code: Code::TakenName,
        cause: "already exists and was not created by this install, so it is not used: it may hold data of others".into(),
        fix: format!(
            "to have it used, say so on it: {kubectl} -n {namespace} annotate persistentvolumeclaim {NAME} {key}={value}; else choose another namespace with --namespace"
        ),
    })
}

/// The cause, and what to ask for instead.
fn fault(storage: &Storage, live: &Value) -> Option<(String, Option<String>)> {
    if live["metadata"]["deletionTimestamp"].is_string() {
        let cause = "is being deleted, and its data with it as soon as no pod uses it";
        return Some((cause.into(), None));
    }
    let spec = &live["spec"];
    let is_bound = spec["volumeName"].is_string();
    let class = spec["storageClassName"].as_str().filter(|c| !c.is_empty());
    if let Some(asked) = &storage.class
        && class != Some(asked)
        && (class.is_some() || is_bound)
    {
        let (has, keep) = match class {
            Some(class) => (format!("StorageClass {class}"), class),
            None => ("no StorageClass".into(), "default"),
        };
        let cause = format!("has {has}, and a claim cannot move to {asked}");
        return Some((cause, Some(format!("keep it with --storage-class {keep}"))));
    }
    let has = spec["resources"]["requests"]["storage"].as_str()?;
    let bytes = history::bytes(has).filter(|bytes| *bytes > storage.bytes())?;
    let cause = format!("has {has}, and a claim cannot shrink to {}", storage.size());
    let keep = history::covering(bytes);
    Some((cause, Some(format!("keep it with --storage {keep}"))))
}

/// Before a write: an error if the live claim cannot be used.
pub async fn prepare(scope: &Scope<'_>, objects: &mut [Value]) -> Result<()> {
    let Some(live) = keep_claim(scope, objects).await? else {
        return Ok(());
    };
    let manifest = objects.iter().find(|object| object["kind"] == CLAIM);
    let unusable = manifest.and_then(|manifest| unusable(scope, manifest, &live));
    match unusable {
        None => Ok(()),
        Some(Unusable { code, cause, fix }) => {
            let cause = format!("{}: {} {cause}", scope.cluster.name, claim_id(scope));
            let problem = Problem::new(Exit::Conflict, cause).code(code);
            Err(problem.fix(fix).into())
        }
    }
}

/// Says that a claim is kept that was in use until now.
pub fn tell_kept(scope: &Scope<'_>) {
    let namespace = scope.namespace;
    if scope.record.entry(&object(scope)).is_some() {
        scope.progress.note(format!(
            "{} is kept with the history so far; to delete it: {} -n {namespace} delete persistentvolumeclaim {NAME}",
            claim_id(scope),
            scope.cluster.kubectl,
        ));
    }
}

/// Drops a claim from the record that is not in use and that somebody deleted.
pub async fn forget_deleted(scope: &Scope<'_>) -> Result<()> {
    let object = object(scope);
    if scope.settings.history.storage.is_none()
        && scope.record.entry(&object).is_some()
        && write::read(scope, &object, &claim_id(scope))
            .await?
            .is_none()
    {
        scope.record.forget(&Key::of(&object));
    }
    Ok(())
}

/// Waits for pods that use the claim. What keeps a volume from it is told meanwhile, and is the cause if they do not
/// start.
pub async fn beside(scope: &Scope<'_>, rolled_out: impl Future<Output = Result<()>>) -> Result<()> {
    if scope.settings.history.storage.is_none() || scope.choices.dry_run {
        return rolled_out.await;
    }
    let ended = tokio::select! {
        ended = rolled_out => ended,
        never = tell(scope) => match never {},
    };
    let Err(error) = ended else { return Ok(()) };
    let late = Scope {
        deadline: Deadline::after(PATIENCE),
        ..scope.clone()
    };
    let (Health::InProgress(why) | Health::Failed(why)) = state(&late).await else {
        return Err(error);
    };
    let id = claim_id(scope);
    let exit = problem::find(&error).map_or(Exit::TimedOut, |problem| problem.exit);
    let cause = format!("{}: {id} is not ready: {why}", scope.cluster.name);
    let fix = format!(
        "{} -n {} describe persistentvolumeclaim {NAME}",
        scope.cluster.kubectl, scope.namespace
    );
    Err(Problem::new(exit, cause).fix(fix).into())
}

/// Tells why no volume is bound to the claim, for as long as that is so.
async fn tell(scope: &Scope<'_>) -> Infallible {
    let (id, mut told) = (claim_id(scope), String::new());
    loop {
        tokio::time::sleep(INTERVAL).await;
        match state(scope).await {
            Health::Ready if told.is_empty() => {}
            Health::Ready => {
                scope.progress.arrived(&id);
                told.clear();
            }
            Health::InProgress(why) | Health::Failed(why) if why != told => {
                scope.progress.waiting(&id, &why);
                told = why;
            }
            Health::InProgress(_) | Health::Failed(_) => {}
        }
    }
}

/// The state of the claim; ready also if it cannot be read.
async fn state(scope: &Scope<'_>) -> Health {
    let (api, id) = (api(scope), claim_id(scope));
    let Ok(live) = send_opt(scope, &id, || api.get(NAME)).await else {
        return Health::Ready;
    };
    explained(scope, health::claim(live.as_ref()), live.as_ref()).await
}

/// Adds what the events say to the health of a claim that waits for a volume.
async fn explained(
    scope: &Scope<'_>,
    health: Health,
    live: Option<&PersistentVolumeClaim>,
) -> Health {
    let uid = live.and_then(|live| live.metadata.uid.as_deref());
    match (health, uid) {
        (Health::InProgress(why), Some(uid)) => {
            let said = events::last(scope, &claim_id(scope), uid).await;
            Health::InProgress(said.map_or(why.clone(), |said| format!("{why}: {said}")))
        }
        (health, _) => health,
    }
}

/// The claim in use, or one that is kept.
pub async fn status(scope: &Scope<'_>) -> Option<Component> {
    let is_used = scope.settings.history.storage.is_some();
    if !is_used && scope.record.entry(&object(scope)).is_none() {
        return None;
    }
    let (api, id) = (api(scope), claim_id(scope));
    let mut seen = None;
    let mut component = look(scope, &api, id, |live| {
        seen = live.cloned();
        health::claim(live)
    })
    .await;
    if !is_used {
        // Nobody needs it.
        seen.as_ref()?;
        component.health = Health::Ready;
        component.note = Some("kept, and not in use without --storage".into());
        return Some(component);
    }
    component.health = explained(scope, component.health, seen.as_ref()).await;
    component.note = seen.as_ref().and_then(growing);
    Some(component)
}

/// Whether the volume is smaller than the claim asks for.
fn growing(claim: &PersistentVolumeClaim) -> Option<String> {
    let asked = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    let status = claim.status.as_ref()?;
    let has = status.capacity.as_ref()?.get("storage")?;
    let asked = asked.get("storage")?;
    let is_less = history::bytes(&has.0)? < history::bytes(&asked.0)?;
    let mut conditions = status.conditions.iter().flatten();
    let why = conditions.rfind(|one| one.status == "True");
    let why = why.map(|one| format!(" ({})", one.type_));
    is_less.then(|| {
        let why = why.unwrap_or_default();
        format!(
            "its volume has {}, and {} are asked for{why}",
            has.0, asked.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{History, STORAGE, STORAGE_CLASS};

    fn storage(size: &str, class: Option<&str>) -> Storage {
        let class = class.map(|class| (STORAGE_CLASS.to_string(), class.to_string()));
        let size = (STORAGE.to_string(), size.to_string());
        let all = class.into_iter().chain([size]).collect();
        History::of(&all).storage.expect("a claim")
    }

    fn live(size: &str, class: Value) -> Value {
        json!({"metadata": {}, "spec": {
            "storageClassName": class, "volumeName": "pv", "resources": {"requests": {"storage": size}},
        }})
    }

    #[test]
    fn a_claim_grows_and_neither_shrinks_nor_moves() {
        let fast = live("20Gi", json!("fast"));
        for storage in [
            storage("20Gi", None),
            storage("1Ti", None),
            storage("20Gi", Some("fast")),
        ] {
            assert_eq!(fault(&storage, &fast), None);
        }
        let of = |storage: Storage, live: &Value| {
            let (cause, fix) = fault(&storage, live).expect("a fault");
            format!("{cause}; {}", fix.unwrap_or_default())
        };
        assert_eq!(
            of(storage("10Gi", None), &fast),
            "has 20Gi, and a claim cannot shrink to 10Gi; keep it with --storage 20Gi"
        );
        assert_eq!(
            of(storage("10Gi", None), &live("21000Mi", json!("fast"))),
            "has 21000Mi, and a claim cannot shrink to 10Gi; keep it with --storage 21Gi"
        );
        assert_eq!(
            of(storage("20Gi", Some("slow")), &fast),
            "has StorageClass fast, and a claim cannot move to slow; keep it with --storage-class fast"
        );
        assert_eq!(
            of(storage("20Gi", Some("slow")), &live("20Gi", json!(""))),
            "has no StorageClass, and a claim cannot move to slow; keep it with --storage-class default"
        );
        let mut unbound = live("20Gi", Value::Null);
        unbound["spec"]["volumeName"] = Value::Null;
        assert_eq!(fault(&storage("20Gi", Some("slow")), &unbound), None);
        let mut going = fast;
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(fault(&storage("20Gi", None), &going).is_some());
    }

    #[test]
    fn a_class_that_was_applied_is_kept() {
        let mut of_ours = live("20Gi", json!("fast"));
        let manifest = || json!({"spec": {"resources": {}}});
        let mut kept = manifest();
        keep_class(&mut kept, &of_ours);
        assert_eq!(kept, manifest());
        of_ours["metadata"]["managedFields"] = json!([{
            "manager": "ambikiali", "operation": "Apply",
            "fieldsV1": {"f:spec": {"f:storageClassName": {}}},
        }]);
        keep_class(&mut kept, &of_ours);
        assert_eq!(kept["spec"]["storageClassName"], "fast");
        let mut named = json!({"spec": {"storageClassName": "slow"}});
        keep_class(&mut named, &of_ours);
        assert_eq!(named["spec"]["storageClassName"], "slow");
    }

    #[test]
    fn a_volume_that_grows_is_told() {
        let claim = |has: &str| {
            let all = json!({"spec": {"resources": {"requests": {"storage": "20Gi"}}}, "status": {
                "capacity": {"storage": has},
                "conditions": [{"type": "FileSystemResizePending", "status": "True"}],
            }});
            growing(&serde_json::from_value(all).expect("a claim"))
        };
        assert_eq!(claim("20Gi"), None);
        assert_eq!(
            claim("10Gi").as_deref(),
            Some("its volume has 10Gi, and 20Gi are asked for (FileSystemResizePending)")
        );
    }
}
