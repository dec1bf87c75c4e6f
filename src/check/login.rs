//! Whether the login that the user chose can work: the issuer, the client secret, and what the API servers accept.

use anyhow::Result;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;

use super::{Finding, PATIENCE};
use crate::code::Code;
use crate::deadline::Deadline;
use crate::k8s::Scope;
use crate::k8s::request::send_opt;
use crate::login::{Fault, Login, SECRET_FILE, TOKEN_FILE, discover};
use crate::mesh::retry::persist;
use crate::progress::ObjectId;
use crate::run::Run;
use crate::shell::quoted;
use crate::steps::kiali;

pub async fn check(run: &Run<'_>, scope: &Scope<'_>) -> Result<Vec<Finding>> {
    let Some(login) = &scope.settings.login else {
        return Ok(Vec::new());
    };
    let (issuer, secret, accepted) = tokio::join!(
        issuer(scope, login),
        secret(scope, login),
        accepted(run, scope, login)
    );
    let all = [issuer, secret, accepted].into_iter();
    Ok(all.flatten().collect())
}

async fn issuer(scope: &Scope<'_>, login: &Login) -> Option<Finding> {
    if !scope.is_home() {
        return None;
    }
    let (code, cause, fix) = match discover(&login.issuer).await.err()? {
        Fault::Unusable(cause) => (
            Code::UnusableIssuer,
            cause,
            "give the issuer exactly as the provider says it: --oidc-issuer URL".to_string(),
        ),
        Fault::Unreachable(cause) => (
            Code::IssuerNotReached,
            format!(
                "was not reached from this machine: {cause}; whether the pods of home reach it is unknown"
            ),
            format!(
                "open {}/.well-known/openid-configuration, and let the pods of home reach it",
                quoted(login.issuer.trim_end_matches('/'))
            ),
        ),
    };
    let object = ObjectId::cluster_wide("Issuer", &login.issuer);
    Some(Finding::new(code, scope.cluster, object, cause).fix(fix))
}

/// The Secret is judged by its metadata only.
async fn secret(scope: &Scope<'_>, login: &Login) -> Option<Finding> {
    if !scope.is_home() || login.secret.is_some() {
        return None;
    }
    let api = Api::<Secret>::namespaced(scope.cluster.client.clone(), scope.namespace);
    let id = ObjectId::new("Secret", scope.namespace, kiali::CLIENT_SECRET);
    let found = send_opt(scope, &id, || api.get_metadata(kiali::CLIENT_SECRET)).await;
    // Not every user may read it.
    let None = found.ok()? else {
        return None;
    };
    let cause = "is missing, so Kiali logs in to the provider without a client secret";
    let finding = Finding::new(Code::NoClientSecret, scope.cluster, id, cause);
    let fix = format!(
        "give the secret of client {}: {SECRET_FILE} FILE",
        login.client_id
    );
    Some(finding.fix(fix))
}

/// With --oidc-rbac, Kiali sends the user's token to every cluster.
async fn accepted(run: &Run<'_>, scope: &Scope<'_>, login: &Login) -> Option<Finding> {
    if !login.rbac {
        return None;
    }
    let object = ObjectId::cluster_wide("API server", &scope.cluster.server);
    let finding = |cause: String, fix: String| {
        let finding = Finding::new(Code::IssuerNotAccepted, scope.cluster, object, cause);
        Some(finding.fix(fix))
    };
    let give = format!(
        "give an ID token of {} for client {}: {TOKEN_FILE} FILE",
        login.issuer, login.client_id
    );
    let Some(token) = &login.token else {
        let cause =
            "was not asked whether it accepts tokens of the issuer, which --oidc-rbac needs";
        return match is_proven(run, scope, login) {
            true => None,
            false => finding(cause.into(), give),
        };
    };
    let client = match scope.cluster.as_user(token.secret()).await {
        Ok(client) => client,
        Err(cause) => return finding(format!("cannot be asked with the token: {cause}"), give),
    };
    let reviews = Api::<SelfSubjectReview>::all(client);
    let (params, review) = (PostParams::default(), SelfSubjectReview::default());
    let deadline = Deadline::after(scope.deadline.at_most(PATIENCE));
    let refused = persist(deadline, || reviews.create(&params, &review))
        .await
        .err()?;
    let status = refused.status().map(|status| status.code);
    match status {
        // Whoever may not ask is known to it.
        Some(403) => None,
        Some(401) => finding(
            format!("does not accept the token of issuer {}, or the token has expired (401)", login.issuer),
            "configure the issuer in its --authentication-config, for this client as audience; or install with --oidc-rbac=false".into(),
        ),
        _ => finding(format!("cannot be asked with the token: {}", refused.text()), give),
    }
}

/// Whether an install with this issuer and client has shown it for this cluster.
fn is_proven(run: &Run<'_>, scope: &Scope<'_>, login: &Login) -> bool {
    let stored = run.records[0].stored_options();
    let stored = stored.and_then(|options| options.settings().login);
    let same = |stored: Login| {
        stored.rbac && (&stored.issuer, &stored.client_id) == (&login.issuer, &login.client_id)
    };
    stored.is_some_and(same) && !scope.record.entries().is_empty()
}
