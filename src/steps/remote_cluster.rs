//! § Prepare remote cluster: Kiali's rights in a remote and its token. The ServiceAccount and the token are created
//! directly; the operator adopts the account and adds the rights.

pub mod token;
mod token_status;

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use secrecy::SecretString;
use serde_json::{Value, json};

use self::token::{Chosen, SLOTS, Slot};
use super::RemoteAccess;
use crate::k8s::apply::{self, Applied, Before, Outcome};
use crate::k8s::change::{self, What};
use crate::k8s::delete::{self, Removed};
use crate::k8s::health::{self, Health, Kiali, KialiFence};
use crate::k8s::look::{Component, look};
use crate::k8s::request::send_opt;
use crate::k8s::wait::{self, Wait};
use crate::k8s::{Scope, kiali_cr, kinds};
use crate::manifests;
use crate::mesh::Trust;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::settings::Settings;

const ISSUED_FOR: &str = ".metadata.annotations['kubernetes.io/service-account.uid']";
const CR: &str = "kiali";
/// The ClusterRoleBinding that the operator creates for the account.
const RIGHTS: &str = "kiali";

/// The remote as `install` found and changed it.
pub struct Remote {
    pub access: RemoteAccess,
    pub cr: Applied,
    /// The Secret of the token.
    pub slot: Slot,
    /// All objects that the operator created for the CR exist, and stay.
    pub is_whole: bool,
}

/// With the Secret for the token of a first install.
pub fn objects(namespace: &str, settings: &Settings) -> Result<Vec<Value>> {
    let first = Slot::first(settings);
    let mut objects = with_token(namespace, first, settings)?;
    if settings.every_token {
        for slot in SLOTS.into_iter().filter(|slot| *slot != first) {
            objects.push(secret(namespace, slot)?);
        }
    }
    Ok(objects)
}

fn with_token(namespace: &str, slot: Slot, settings: &Settings) -> Result<Vec<Value>> {
    let values = json!({
        "namespace": namespace,
        "view_only": !settings.account_writes(),
        "token": slot.name,
        "expires": slot.expires,
    });
    manifests::render(manifests::REMOTE_CLUSTER, values)
}

/// The Secret alone.
fn secret(namespace: &str, slot: Slot) -> Result<Value> {
    let objects = with_token(namespace, slot, &Settings::default())?;
    Ok(manifests::of_kind(&objects, "Secret")?.clone())
}

/// Applies the account, its token and the Kiali CR, and waits for the token. The access works after `granted`;
/// `settled` waits for the CR. `in_use` is the token that Kiali uses.
pub async fn install(
    scope: &Scope<'_>,
    before: Before,
    in_use: Option<&SecretString>,
) -> Result<Remote> {
    let chosen = token::chosen(scope, in_use).await?;
    let objects = with_token(scope.namespace, chosen.slot, scope.settings)?;
    let applied = apply::apply_all(scope, &objects, before).await?;
    let account = apply::of_kind(&applied, "ServiceAccount")?;
    let uid = account.live["metadata"]["uid"].as_str();
    let uid = uid.unwrap_or_default().to_string();
    // In the dry run of a first install, the server returns a new UID each time.
    let account_stays = !scope.choices.dry_run || account.outcome == Outcome::Unchanged;
    let mut token = apply::of_kind(&applied, "Secret")?.clone();
    if account_stays && of_another(&token.live, &uid) {
        token = issued_again(scope, manifests::of_kind(&objects, "Secret")?, token).await?;
    }
    let secret = match scope.choices.dry_run {
        true => foreseen(scope, &chosen, &uid).await?,
        false => token::issued(scope, &chosen, &token.live, &uid).await?,
    };
    let mut access = access(scope, secret)?;
    let cr = apply::of_kind(&applied, "Kiali")?.clone();
    let lacking = kiali_cr::lacking(scope, &cr).await?;
    kiali_cr::report_missing(scope, &lacking);
    // The operator takes the old rights away before it grants the new ones.
    let changes_role = kiali_cr::changes_role(&cr);
    access.was_cut_off = kiali_cr::is_for_rights(&lacking) || changes_role;
    Ok(Remote {
        access,
        cr,
        slot: chosen.slot,
        is_whole: lacking.is_empty() && !changes_role,
    })
}

/// The Secret as it is now, in a dry run, with empty values for missing keys.
async fn foreseen(scope: &Scope<'_>, chosen: &Chosen, account: &str) -> Result<Secret> {
    if let Some(token) = &chosen.kept {
        return token::with_root_ca(scope, token).await;
    }
    let (api, id) = (secrets(scope), chosen.slot.id(scope.namespace));
    let secret = send_opt(scope, &id, || api.get(&id.name)).await?;
    let filled = health::token(secret.as_ref(), Some(account)) == Health::Ready;
    let mut known = secret.filter(|_| filled).unwrap_or_default();
    for key in ["ca.crt", "token"] {
        let data = known.data.get_or_insert_default();
        data.entry(key.into()).or_insert(ByteString(Vec::new()));
    }
    Ok(known)
}

/// Whether the token belongs to a deleted account of the same name. Such a token is refused everywhere.
fn of_another(secret: &Value, account: &str) -> bool {
    let uid = &secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"];
    uid.as_str().is_some_and(|uid| uid != account)
}

/// Recreates the Secret, because the token controller never fills one twice.
async fn issued_again(scope: &Scope<'_>, secret: &Value, applied: Applied) -> Result<Applied> {
    let id = kinds::id(secret)?;
    if scope.choices.dry_run {
        change::touched(scope, &id, What::Replace, ISSUED_FOR);
        return Ok(applied);
    }
    if delete::delete(scope, secret).await? == Removed::Foreign {
        let cause = format!(
            "{}: {id} already exists, but belongs to a ServiceAccount that was deleted and recreated; it was not changed",
            scope.cluster.name,
        );
        let (kubectl, namespace) = (&scope.cluster.kubectl, scope.namespace);
        let fix = format!("{kubectl} -n {namespace} delete secret {}", id.name);
        return Err(Problem::new(Exit::Conflict, cause).fix(fix).into());
    }
    wait::until_gone(scope, &kinds::of(secret)?, id.clone()).await?;
    change::touched(scope, &id, What::Replace, ISSUED_FOR);
    apply::apply(scope, secret, Before::Nothing).await
}

fn access(scope: &Scope<'_>, secret: Secret) -> Result<RemoteAccess> {
    let mut data = secret.data.unwrap_or_default();
    let mut text = |key: &str| {
        let ByteString(bytes) = data
            .remove(key)
            .with_context(|| format!("the token's Secret has no {key}"))?;
        String::from_utf8(bytes).with_context(|| format!("the token's Secret: {key} is not text"))
    };
    let endpoint = &scope.cluster.endpoint;
    let root = text("ca.crt")?;
    Ok(RemoteAccess {
        cluster: scope.cluster.name.clone(),
        server: endpoint.server.clone(),
        flag: endpoint.flag.clone(),
        ca_flag: endpoint.ca_flag.clone(),
        named: endpoint.named,
        ca: match &endpoint.trust {
            Trust::Of(pem) => Some(pem.clone()),
            Trust::Own => Some(root),
            Trust::System => None,
        },
        tls_server_name: endpoint.tls_server_name.clone(),
        token: SecretString::from(text("token")?),
        was_cut_off: false,
    })
}

/// Waits until the operator has granted the account its rights.
pub async fn granted(scope: &Scope<'_>) -> Result<()> {
    if scope.choices.dry_run {
        return Ok(());
    }
    let api = Api::<ClusterRoleBinding>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("ClusterRoleBinding", RIGHTS);
    let wait = Wait {
        absent: true,
        ..Wait::for_object(api, object)
    };
    wait::until(scope, wait, health::present).await?;
    Ok(())
}

/// Waits until the operator has reconciled the CR.
pub async fn settled(scope: &Scope<'_>, remote: &Remote, renewed: bool) -> Result<()> {
    kiali_cr::settled(scope, CR, &remote.cr, renewed || !remote.is_whole).await?;
    let done = apply::summary(std::slice::from_ref(&remote.cr));
    scope.progress.done(done);
    Ok(())
}

fn accounts(scope: &Scope<'_>) -> Api<ServiceAccount> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

fn secrets(scope: &Scope<'_>) -> Api<Secret> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

/// `in_use` is the token that Kiali uses.
pub async fn status(scope: &Scope<'_>, in_use: Option<&SecretString>) -> Vec<Component> {
    let crs = Api::<Kiali>::namespaced_with(
        scope.cluster.client.clone(),
        scope.namespace,
        &kinds::kiali(),
    );
    let cr = ObjectId::new("Kiali", scope.namespace, CR);
    let (cr, tokens, missing) = tokio::join!(
        look(scope, &crs, cr, |k| KialiFence::default().judge(k)),
        token_status::components(scope, in_use),
        kiali_cr::missing(scope, true),
    );
    let components = std::iter::once(cr).chain(tokens);
    kiali_cr::with_missing(components.collect(), missing)
}

/// Deletes the CR first and waits, because the operator runs its finalizer. That also deletes the account, and with it
/// the token.
pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let objects = objects(scope.namespace, &scope.settings.with_all_objects())?;
    let (cr, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(|o| o["kind"] == "Kiali");
    let cr = kiali_cr::remove(scope, manifests::of_kind(&cr, "Kiali")?);
    let removed = delete::delete_after(scope, &others, cr).await?;
    scope
        .progress
        .done(kiali_cr::describe_removal(scope, removed));
    Ok(())
}
