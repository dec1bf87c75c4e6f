//! Suggests a fix when the server rejects a request: the command that shows the policy, webhook, quota or schema
//! that the error is about.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::Api;
use kube::api::ListParams;
use kube::core::Status;

use super::Scope;
use super::request::{RequestError, send};
use crate::mesh::pages;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::shell::quoted;

/// The fix for a permanent error.
pub fn advice(kubectl: &str, object: &ObjectId, status: &Status) -> Option<String> {
    let namespaced = object.namespace.as_deref();
    let of_namespace = namespaced.map(|n| format!(" -n {n}")).unwrap_or_default();
    let message = status.message.as_str();
    // A policy chooses its status code; the default is 422.
    if let Some(policy) = between(message, "AdmissionPolicy '", "'") {
        let kind = match message.contains("MutatingAdmissionPolicy '") {
            true => "mutatingadmissionpolicy",
            false => "validatingadmissionpolicy",
        };
        return Some(format!("{kubectl} get {kind} {} -o yaml", quoted(policy)));
    }
    if message.contains("admission webhook \"") {
        let kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations";
        return Some(format!("{kubectl} get {kinds}"));
    }
    match status.code {
        403 if message.contains("exceeded quota") => {
            Some(format!("{kubectl}{of_namespace} describe quota"))
        }
        403 if message.contains("attempting to grant RBAC permissions not currently held") => Some(
            "install as an administrator, or get the verbs escalate and bind on clusterroles"
                .into(),
        ),
        // Admission plugins return 403 too, but without "cannot".
        403 if message.contains(" cannot ") => Some(format!("{kubectl} auth can-i --list")),
        400 | 422 => Some(format!("{kubectl} explain {}", object.kind.to_lowercase())),
        _ => None,
    }
}

/// Converts a failed request into an error with a fix.
pub async fn refused(scope: &Scope<'_>, refusal: RequestError) -> anyhow::Error {
    match unanswered(scope, &refusal).await {
        None => refusal.into(),
        Some((whose, look)) => {
            let cause = format!("{}; {whose}", refusal.problem());
            Problem::new(Exit::Unexpected, cause).fix(look).into()
        }
    }
}

/// For a webhook that does not answer: names its configuration and the command that shows it. The server names
/// only the webhook, which no kubectl command accepts.
pub async fn unanswered(scope: &Scope<'_>, refusal: &RequestError) -> Option<(String, String)> {
    let webhook = refusal.status().and_then(silent_webhook)?;
    let (kind, name) = configuration(scope, webhook).await?;
    let kubectl = &scope.cluster.kubectl;
    Some((
        format!("the webhook is in {kind} {name}"),
        format!(
            "{kubectl} get {} {} -o yaml",
            kind.to_lowercase(),
            quoted(&name)
        ),
    ))
}

fn silent_webhook(status: &Status) -> Option<&str> {
    between(&status.message, "failed calling webhook \"", "\"")
}

async fn configuration(scope: &Scope<'_>, webhook: &str) -> Option<(&'static str, String)> {
    let client = scope.cluster.client.clone();
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let mutating = Api::<MutatingWebhookConfiguration>::all(client);
    let all = ListParams::default();
    let object = ObjectId::cluster_wide("webhook", webhook);
    let (validating, mutating) = tokio::join!(
        send(scope, &object, || pages::list(&validating, &all)),
        send(scope, &object, || pages::list(&mutating, &all)),
    );
    let validating = validating.ok()?.into_iter().find(|configuration| {
        let webhooks = configuration.webhooks.iter().flatten();
        webhooks.into_iter().any(|w| w.name == webhook)
    });
    if let Some(found) = validating {
        return Some(("ValidatingWebhookConfiguration", found.metadata.name?));
    }
    let mutating = mutating.ok()?.into_iter().find(|configuration| {
        let webhooks = configuration.webhooks.iter().flatten();
        webhooks.into_iter().any(|w| w.name == webhook)
    });
    Some(("MutatingWebhookConfiguration", mutating?.metadata.name?))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(text.split_once(before)?.1.split_once(after)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn advised(code: u16, message: &str) -> Option<String> {
        let status = json!({"code": code, "message": message});
        let status = serde_json::from_value(status).unwrap();
        advice(
            "kubectl --context east",
            &ObjectId::new("Kiali", "kiali", "kiali"),
            &status,
        )
    }

    #[test]
    fn an_error_suggests_the_command_that_shows_its_cause() {
        for (code, message, command) in [
            (
                422,
                "x is forbidden: ValidatingAdmissionPolicy 'no-routes' with binding 'b' denied request: no",
                "kubectl --context east get validatingadmissionpolicy no-routes -o yaml",
            ),
            (
                400,
                "admission webhook \"a.example.com\" denied the request: no",
                "kubectl --context east get validatingwebhookconfigurations,mutatingwebhookconfigurations",
            ),
            (
                403,
                "configmaps \"a\" is forbidden: exceeded quota: few, requested: configmaps=1",
                "kubectl --context east -n kiali describe quota",
            ),
            (
                422,
                "Kiali \"kiali\" is invalid: spec.x: Required value",
                "kubectl --context east explain kiali",
            ),
        ] {
            assert_eq!(
                advised(code, message).as_deref(),
                Some(command),
                "{message}"
            );
        }
        assert_eq!(advised(404, "not found"), None);
    }
}
