//! One look at what is waited for. A cluster that does not answer is told of while it does not: what was
//! last seen of the object is no reason any more.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use kube::core::Resource;
use serde::de::DeserializeOwned;

use super::Wait;
use crate::k8s::Scope;
use crate::k8s::request::{Refusal, send_opt};
use crate::progress::ObjectId;

const TELL: Duration = Duration::from_secs(5);

/// None: it is not there.
pub async fn look<K>(
    scope: &Scope<'_>,
    wait: &Wait<'_, K>,
    reason: &RefCell<String>,
) -> Result<Option<K>, Refusal>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let since = Instant::now();
    let before = reason.borrow().clone();
    let answer = send_opt(scope, &wait.object, || wait.api.get(&wait.object.name));
    tokio::pin!(answer);
    loop {
        let told = tokio::time::timeout(TELL, answer.as_mut()).await;
        if let Ok(answer) = told {
            return answer;
        }
        let silent = since.elapsed().as_secs();
        let silent = format!("{} has not answered for {silent} s", scope.cluster.name);
        tell(
            scope,
            &wait.object,
            reason,
            format!("{silent}; before that: {before}"),
        );
    }
}

/// One that is new.
pub fn tell(scope: &Scope<'_>, object: &ObjectId, reason: &RefCell<String>, new: String) {
    if *reason.borrow() == new {
        return;
    }
    scope.progress.waiting(object, &new);
    reason.replace(new);
}
