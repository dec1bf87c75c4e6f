//! Issues tokens: the token controller fills a Secret, or the TokenRequest API issues one that is bound to a Secret.

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::super::{accounts, secret as manifest, secrets};
use super::{Chosen, Claims, Slot};
use crate::k8s::Scope;
use crate::k8s::apply::{self, Before, Claim};
use crate::k8s::health::{self, Health};
use crate::k8s::kiali_cr::ACCOUNT;
use crate::k8s::request::{change, send};
use crate::k8s::wait::{self, Wait};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

/// The ConfigMap in each namespace with the root CA of the cluster.
const ROOT_CA: &str = "kube-root-ca.crt";

/// The token and the CA of a Secret that exists, as a filled Secret has them. `kept` is a token that stays.
pub async fn issued(
    scope: &Scope<'_>,
    chosen: &Chosen,
    secret: &Value,
    account: &str,
) -> Result<Secret> {
    if !chosen.slot.expires {
        return filled(scope, chosen.slot, secret, account).await;
    }
    let is_current = |token: &&SecretString| Claims::of(token).account.as_deref() == Some(account);
    let token = match chosen.kept.as_ref().filter(is_current) {
        Some(token) => token.clone(),
        None => requested(scope, chosen.slot, secret).await?,
    };
    with_root_ca(scope, &token).await
}

/// A token with a lifetime and the CA, in the form of a filled Secret.
pub async fn with_root_ca(scope: &Scope<'_>, token: &SecretString) -> Result<Secret> {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let data = [
        ("token".to_string(), bytes(token.expose_secret())),
        ("ca.crt".to_string(), bytes(&root_ca(scope).await?)),
    ];
    Ok(Secret {
        data: Some(data.into()),
        ..Secret::default()
    })
}

/// Waits until the token controller has filled the Secret.
async fn filled(scope: &Scope<'_>, slot: Slot, secret: &Value, account: &str) -> Result<Secret> {
    let advice = format!(
        "its serviceaccount-token-controller must run: {} -n kube-system get pods -l component=kube-controller-manager",
        scope.cluster.kubectl
    );
    let wait = Wait {
        seen: serde_json::from_value(secret.clone()).ok(),
        advice: &advice,
        ..Wait::for_object(secrets(scope), slot.id(scope.namespace))
    };
    let filled = |secret: Option<&Secret>| health::token(secret, Some(account));
    let secret = wait::until(scope, wait, filled).await?;
    secret.context("a filled Secret is there")
}

/// A new token that ends with its Secret, or after the lifetime of the options.
async fn requested(scope: &Scope<'_>, slot: Slot, secret: &Value) -> Result<SecretString> {
    let lifetime = scope.settings.token_lifetime.context("it has a lifetime")?;
    let uid = secret["metadata"]["uid"].as_str().map(Into::into);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Secret".into()),
                name: Some(slot.name.into()),
                uid,
            }),
            expiration_seconds: i64::try_from(lifetime.as_secs()).ok(),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let api: Api<ServiceAccount> = accounts(scope);
    let id = ObjectId::new("ServiceAccount", scope.namespace, ACCOUNT);
    let params = PostParams::default();
    let ask = || api.create_token_request(ACCOUNT, &params, &request);
    let answer = change(scope, &id, ask).await??;
    let token = answer
        .status
        .and_then(|status| status.token)
        .unwrap_or_default();
    Ok(SecretString::from(token))
}

/// The root CA of the cluster, which each namespace has.
async fn root_ca(scope: &Scope<'_>) -> Result<String> {
    let api = Api::<ConfigMap>::namespaced(scope.cluster.client.clone(), scope.namespace);
    let id = ObjectId::new("ConfigMap", scope.namespace, ROOT_CA);
    let text = |map: &ConfigMap| map.data.as_ref()?.get("ca.crt").cloned();
    let map = wait::until(
        scope,
        Wait::for_object(api, id),
        |map: Option<&ConfigMap>| match map.and_then(text) {
            Some(_) => Health::Ready,
            None => Health::InProgress("the controller has not published it yet".into()),
        },
    );
    map.await?.as_ref().and_then(text).context("a root CA")
}

/// Creates the Secret for a token that replaces another one, and returns this token. Fails if the name is taken:
/// nothing that exists is changed.
pub async fn create(scope: &Scope<'_>, slot: Slot) -> Result<SecretString> {
    let object = manifest(scope.namespace, slot)?;
    let id = slot.id(scope.namespace);
    let secret = match apply::claim(scope, &object, Before::Nothing).await? {
        Claim::Created(live) => live,
        Claim::Ours(_) | Claim::Foreign(_) => return Err(taken(scope, slot).into()),
    };
    let chosen = Chosen { slot, kept: None };
    let account = accounts(scope);
    let of = ObjectId::new("ServiceAccount", scope.namespace, ACCOUNT);
    let account = send(scope, &of, || account.get(ACCOUNT)).await?;
    let account = account.metadata.uid.unwrap_or_default();
    let data = issued(scope, &chosen, &secret, &account).await?.data;
    let token = data.and_then(|mut data| data.remove("token"));
    let ByteString(token) = token.with_context(|| format!("{id} without a token"))?;
    let token = String::from_utf8(token).with_context(|| format!("{id}: no text"))?;
    Ok(SecretString::from(token))
}

/// The error for a Secret of others with a name that a new token needs.
pub fn taken(scope: &Scope<'_>, slot: Slot) -> Problem {
    let (cluster, namespace) = (scope.cluster, scope.namespace);
    let cause = format!(
        "{}: {} already exists and was not created by ambikiali, which needs its name for the new token; it was not changed",
        cluster.name,
        slot.id(namespace)
    );
    Problem::new(Exit::Conflict, cause).fix(format!(
        "inspect it, and remove it if nothing uses it: {} -n {namespace} get secret {} -o yaml",
        cluster.kubectl, slot.name
    ))
}
