//! Health of the Kiali CR, whose conditions are not tied to a generation.

use kube::core::{NotUsed, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Health, missing};
use crate::k8s::FIELD_MANAGER;

pub type Kiali = Object<NotUsed, KialiStatus>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KialiStatus {
    #[serde(default)]
    pub conditions: Vec<KialiCondition>,
    #[serde(default)]
    pub progress: Value,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KialiCondition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub last_transition_time: String,
    #[serde(default)]
    pub ansible_result: Value,
}

impl KialiStatus {
    fn condition(&self, name: &str) -> Option<&KialiCondition> {
        self.conditions.iter().find(|c| c.type_ == name)
    }

    /// When the operator's last run ended.
    pub fn completion(&self) -> Option<String> {
        let result = &self.condition("Running")?.ansible_result;
        result["completion"].as_str().map(Into::into)
    }

    fn is_true(&self, name: &str) -> Option<&KialiCondition> {
        self.condition(name).filter(|c| c.status == "True")
    }
}

/// Whether the operator's last reported run failed.
pub fn has_failed(kiali: &Kiali) -> bool {
    let status = kiali.status.as_ref();
    status.is_some_and(|s| s.is_true("Failure").is_some())
}

/// Whether our last write is newer than the operator's last status, by the server's clock. Then no run covers our
/// write, even if the status says `Successful`. The clock has a resolution of one second.
pub fn is_behind(kiali: &Kiali) -> bool {
    let entries = kiali.metadata.managed_fields.iter().flatten();
    let last = |of_status: bool, by: Option<&str>| {
        let ours = entries.clone().filter(|entry| {
            let status = entry.subresource.as_deref() == Some("status");
            status == of_status && by.is_none_or(|by| entry.manager.as_deref() == Some(by))
        });
        ours.filter_map(|entry| entry.time.clone()).max()
    };
    let told = last(true, None);
    told.is_some() && last(false, Some(FIELD_MANAGER)) > told
}

/// Judges a Kiali CR after a change. Its conditions have no generation: `Successful` of the previous run stays
/// until the operator notices the change, and `Failure` stays through the next run. So a result counts only
/// after a run that ended since the change.
#[derive(Clone, Debug, Default)]
pub struct KialiFence {
    /// Completion time of the last run before our change; None if nothing was changed.
    pub before: Option<String>,
    failures: Vec<String>,
    /// How many failed runs to ignore: those before the change, and the first one after it, which may have started
    /// before the change.
    tolerated: usize,
}

impl KialiFence {
    pub fn changed(before: Option<&Kiali>) -> KialiFence {
        let status = before.and_then(|k| k.status.as_ref());
        let failure = status.and_then(|s| s.is_true("Failure"));
        let failures = failure.map(failure_id).into_iter().collect::<Vec<_>>();
        KialiFence {
            before: status.and_then(KialiStatus::completion),
            tolerated: failures.len() + usize::from(before.is_some()),
            failures,
        }
    }

    pub fn judge(&mut self, kiali: Option<&Kiali>) -> Health {
        let Some(kiali) = kiali else { return missing() };
        let Some(status) = kiali.status.as_ref().filter(|s| !s.conditions.is_empty()) else {
            return Health::InProgress("the operator has not seen it yet".into());
        };
        if let Some(failure) = status.is_true("Failure") {
            let id = failure_id(failure);
            if self.failures.last() != Some(&id) {
                self.failures.push(id);
            }
            let message = failure.message.lines().next().unwrap_or_default();
            return match self.failures.len() > self.tolerated {
                true => Health::Failed(match status.progress["message"].as_str() {
                    Some(progress) => format!("{message} (after \"{progress}\")"),
                    None => message.into(),
                }),
                false => Health::InProgress(format!("the operator retries: {message}")),
            };
        }
        let stale = match &self.before {
            Some(before) => Some(before) == status.completion().as_ref(),
            None => is_behind(kiali),
        };
        match status.is_true("Successful") {
            Some(_) if !stale => Health::Ready,
            Some(_) => Health::InProgress("the operator has not picked up the change yet".into()),
            None => Health::InProgress(match status.progress["message"].as_str() {
                Some(message) => format!("operator: {message}"),
                None => "the operator is running".into(),
            }),
        }
    }
}

fn failure_id(failure: &KialiCondition) -> String {
    let completion = failure.ansible_result["completion"]
        .as_str()
        .unwrap_or_default();
    format!("{} {completion}", failure.last_transition_time)
}
