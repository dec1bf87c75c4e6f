//! Reads the object of a wait. While the cluster does not answer, that is reported as the reason of the wait.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use kube::core::Resource;
use serde::de::DeserializeOwned;

use super::Wait;
use crate::k8s::Scope;
use crate::k8s::request::{RequestError, send_opt};
use crate::progress::ObjectId;

const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Reads the object; None if it does not exist.
pub async fn read<K>(
    scope: &Scope<'_>,
    wait: &Wait<'_, K>,
    reason: &RefCell<String>,
) -> Result<Option<K>, RequestError>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let since = Instant::now();
    let before = reason.borrow().clone();
    let answer = send_opt(scope, &wait.object, || wait.api.get(&wait.object.name));
    tokio::pin!(answer);
    loop {
        let answered = tokio::time::timeout(REPORT_INTERVAL, answer.as_mut()).await;
        if let Ok(answer) = answered {
            return answer;
        }
        let silent = since.elapsed().as_secs();
        let silent = format!("{} has not answered for {silent} s", scope.cluster.name);
        report(
            scope,
            &wait.object,
            reason,
            format!("{silent}; before that: {before}"),
        );
    }
}

/// Reports the reason if it has changed.
pub fn report(scope: &Scope<'_>, object: &ObjectId, reason: &RefCell<String>, new: String) {
    if *reason.borrow() == new {
        return;
    }
    scope.progress.waiting(object, &new);
    reason.replace(new);
}
