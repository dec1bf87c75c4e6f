//! Removes the kubeconfig of a remote from the Secret and leaves the others unchanged.

use anyhow::Result;
use serde_json::{Value, json};

use super::{NAME, object};
use crate::k8s::apply::{Applied, Outcome};
use crate::k8s::ownership::{self, labelled};
use crate::k8s::write::{Force, read, write};
use crate::k8s::{Scope, conflict, kinds};
use crate::mesh::ClusterName;
use crate::problem::{Exit, Problem};
use crate::shell::quoted;

/// The remotes in the Secret, whoever wrote them there.
pub async fn given(home: &Scope<'_>) -> Result<Vec<ClusterName>> {
    let live = live(home).await?.unwrap_or_default();
    let keys = live["data"].as_object().into_iter().flatten();
    Ok(keys
        .filter_map(|(key, _)| ClusterName::new(key).ok())
        .collect())
}

async fn live(home: &Scope<'_>) -> Result<Option<Value>> {
    let name = object(home.namespace, &[])?;
    read(home, &name, &kinds::id(&name)?).await
}

/// Writes the Secret without these remotes if it has one of them. None if there is no Secret.
pub async fn take_out(home: &Scope<'_>, leaving: &[ClusterName]) -> Result<Option<Applied>> {
    let Some(live) = live(home).await? else {
        home.progress.done("nothing to remove");
        return Ok(None);
    };
    let is_leaving = |key: &str| leaving.iter().any(|name| name.as_str() == key);
    let data = live["data"].as_object().cloned().unwrap_or_default();
    let (out, kept): (Vec<_>, Vec<_>) = data.into_iter().partition(|(key, _)| is_leaving(key));
    let out = out.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    let mut wanted = object(home.namespace, &[])?;
    wanted["data"] = Value::Object(kept.into_iter().collect());
    if out.is_empty() {
        // An interrupted run wrote it but did not record that.
        let entry = home.record.entry(&wanted);
        let fields = ownership::owned_fields(&ownership::meta(&live));
        if home.record.is_ours(&live) && entry.is_some_and(|entry| entry.fields != fields) {
            home.record.created(&wanted, &live);
        }
        home.progress.done("unchanged");
        let unchanged = Applied::new(Outcome::Unchanged, Some(live.clone()), live);
        return Ok(Some(unchanged));
    }
    if !home.record.is_ours(&live) {
        return Err(held_by_another(home, &out[0]).into());
    }
    let written = without(home, &wanted, &live, &out).await?;
    let would = if home.choices.dry_run {
        "would be "
    } else {
        ""
    };
    home.progress
        .done(format!("{would}without {}", out.join(", ")));
    Ok(Some(Applied::new(Outcome::Changed, Some(live), written)))
}

async fn without(home: &Scope<'_>, wanted: &Value, live: &Value, out: &[String]) -> Result<Value> {
    let id = kinds::id(wanted)?;
    let mut labelled = labelled(wanted, &home.record.id);
    // Change only the version that was read.
    labelled["metadata"]["uid"] = live["metadata"]["uid"].clone();
    let written = match write(home, &labelled, Force::No).await? {
        Err(refusal) => return Err(conflict::refused(home, &id, &refusal)),
        Ok(written) => written,
    };
    home.record.created(wanted, &written);
    // A key that another manager also set stays.
    match out.iter().find(|key| written["data"].get(key).is_some()) {
        None => Ok(written),
        Some(key) => Err(held_by_another(home, key).into()),
    }
}

fn held_by_another(home: &Scope<'_>, key: &str) -> Problem {
    let (cluster, namespace) = (home.cluster, home.namespace);
    let cause = format!(
        "{}: another tool keeps the kubeconfig of {key} in Secret {namespace}/{NAME}",
        cluster.name
    );
    let patch = json!({"data": {key: null}});
    Problem::new(Exit::Conflict, cause).fix(format!(
        "{} -n {namespace} patch secret {NAME} --type merge -p {}",
        cluster.kubectl,
        quoted(&patch.to_string())
    ))
}
