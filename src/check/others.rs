//! Other Kialis that the operator of this install serves too.

use super::Finding;
use crate::code::Code;
use crate::k8s::Scope;
use crate::progress::ObjectId;
use crate::shell::quoted;
use crate::steps::kiali_operator;

/// The operator of a view-only install may not grant what such a Kiali asks for.
pub async fn check(scope: &Scope<'_>) -> Vec<Finding> {
    if scope.settings.account_writes() {
        return Vec::new();
    }
    // Not every user may list them, and on most clusters there are none.
    let writers = kiali_operator::other_writers(scope).await;
    let writers = writers.unwrap_or_default().into_iter();
    writers.map(|kiali| finding(scope, kiali)).collect()
}

fn finding(scope: &Scope<'_>, kiali: ObjectId) -> Finding {
    let cause = "may write, and the operator of a view-only install may not grant that";
    let namespace = quoted(kiali.namespace.as_deref().unwrap_or_default()).into_owned();
    let fix = format!(
        "add --allow-write, or make it view-only too: {} -n {namespace} patch kiali {} --type merge -p '{{\"spec\": {{\"deployment\": {{\"view_only_mode\": true}}}}}}'",
        scope.cluster.kubectl,
        quoted(&kiali.name)
    );
    Finding::new(Code::OtherKialiWrites, scope.cluster, kiali, cause).fix(fix)
}
