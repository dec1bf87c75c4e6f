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
use crate::login::{Accepted, Fault, Login, SECRET_FILE, TOKEN_FILE, Token, discover};
use crate::mesh::retry::persist;
use crate::progress::ObjectId;
use crate::shell::quoted;
use crate::steps::kiali;

pub async fn check(scope: &Scope<'_>) -> Result<Vec<Finding>> {
    let Some(login) = &scope.settings.login else {
        scope.record.set_accepts(None);
        return Ok(Vec::new());
    };
    let (issuer, secret, accepted) = tokio::join!(
        issuer(scope, login),
        secret(scope, login),
        accepted(scope, login)
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

/// With --oidc-rbac, Kiali sends the user's token to every cluster. What was seen is kept in the record of each cluster,
/// because a cluster may not have been asked when the others were.
async fn accepted(scope: &Scope<'_>, login: &Login) -> Option<Finding> {
    if !login.rbac {
        scope.record.set_accepts(None);
        return None;
    }
    let wanted = Accepted::of(login);
    let found = match &login.token {
        Some(token) => asked(scope, login, token).await,
        None if scope.record.accepts().as_ref() == Some(&wanted) => return None,
        None => Some((
            "was not asked whether it accepts tokens of the issuer, which --oidc-rbac needs".into(),
            give(login),
        )),
    };
    scope.record.set_accepts(found.is_none().then_some(wanted));
    let (cause, fix) = found?;
    let object = ObjectId::cluster_wide("API server", &scope.cluster.server);
    let finding = Finding::new(Code::IssuerNotAccepted, scope.cluster, object, cause);
    Some(finding.fix(fix))
}

fn give(login: &Login) -> String {
    format!(
        "give an ID token of {} for client {}: {TOKEN_FILE} FILE",
        login.issuer, login.client_id
    )
}

/// Asks the API server with the token. Returns the cause and the fix if it does not accept it.
async fn asked(scope: &Scope<'_>, login: &Login, token: &Token) -> Option<(String, String)> {
    let client = match scope.cluster.as_user(token.secret()).await {
        Ok(client) => client,
        Err(cause) => {
            return Some((
                format!("cannot be asked with the token: {cause}"),
                give(login),
            ));
        }
    };
    let reviews = Api::<SelfSubjectReview>::all(client);
    let (params, review) = (PostParams::default(), SelfSubjectReview::default());
    let deadline = Deadline::after(scope.deadline.at_most(PATIENCE));
    let refused = persist(deadline, || reviews.create(&params, &review))
        .await
        .err()?;
    match refused.status().map(|status| status.code) {
        // Whoever may not ask is known to it.
        Some(403) => None,
        Some(401) => Some((
            format!(
                "does not accept the token of issuer {}, or the token has expired (401)",
                login.issuer
            ),
            "configure the issuer in its --authentication-config, for this client as audience; or install with --oidc-rbac=false".into(),
        )),
        _ => Some((
            format!("cannot be asked with the token: {}", refused.text()),
            give(login),
        )),
    }
}
