//! Whether a server takes the very objects that an install writes, asked as dry runs: escalation,
//! schemas, policies and webhooks have their say before the first write. What is to be in a namespace, or
//! of a kind, that is not there yet cannot be asked for.

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::taken::Taken;
use super::{AT_ONCE, Finding};
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::ownership::labelled;
use crate::k8s::write::{Force, ask};
use crate::k8s::{Scope, advice, kinds};

pub async fn check(
    scope: &Scope<'_>,
    planned: &[(Step, Value)],
    taken: &Taken,
) -> Result<Vec<Finding>> {
    let mut wanted = Vec::new();
    for (step, object) in planned {
        if !taken.serves(*step, &kinds::id(object)?) {
            wanted.push(labelled(object, &scope.record.id));
        }
    }
    let asked = wanted.iter().map(|object| rehearsed(scope, object));
    let findings = futures::stream::iter(asked).buffered(AT_ONCE);
    let findings = findings.try_collect::<Vec<_>>().await?;
    Ok(findings.into_iter().flatten().collect())
}

/// Fields that another tool manages are judged where they are written.
async fn rehearsed(scope: &Scope<'_>, wanted: &Value) -> Result<Option<Finding>> {
    let Err(refusal) = ask(scope, wanted, Force::Yes).await? else {
        return Ok(None);
    };
    if refusal.is_missing() || refusal.is_terminating() || refusal.is_without_dry_run() {
        return Ok(None);
    }
    let finding = |code, cause| Finding::new(code, scope.cluster, refusal.object().clone(), cause);
    if let Some((whose, look)) = advice::unanswered(scope, &refusal).await {
        let cause = format!("{}; {whose}", refusal.text());
        return Ok(Some(finding(Code::Refused, cause).fix(look)));
    }
    let code = match refusal.status().map(|status| status.code) {
        Some(403) if refusal.is_for_rights() => Code::RightsMissing,
        Some(400 | 403 | 422) => Code::Refused,
        _ => return Err(refusal.into()),
    };
    let found = finding(code, refusal.text());
    Ok(Some(match refusal.problem().fix {
        Some(fix) => found.fix(fix),
        None => found,
    }))
}
