//! The cluster and user of one context, validated as kubectl does. Each error names the entry.

use kube::config::{AuthInfo, Cluster, ExecConfig, ExecInteractiveMode, Kubeconfig};
use secrecy::ExposeSecret;

use super::file::MODE;
use crate::files;

/// The versions of ExecCredential that kubectl supports.
const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";

#[derive(Clone)]
pub struct Entry {
    pub cluster: Cluster,
    pub user: AuthInfo,
    pub namespace: Option<String>,
    /// The entries as errors name them: `cluster "one"`, `user "admin"`.
    pub cluster_is: String,
    pub user_is: String,
}

/// Returns None if there is no such context.
pub fn find(config: &Kubeconfig, context: &str) -> Option<Result<Entry, String>> {
    let named = config.contexts.iter().find(|c| c.name == context)?;
    Some(found(config, named.context.clone().unwrap_or_default()))
}

fn found(config: &Kubeconfig, context: kube::config::Context) -> Result<Entry, String> {
    let name = &context.cluster;
    if name.is_empty() {
        return Err("it names no cluster".into());
    }
    let cluster = config.clusters.iter().find(|c| c.name == *name);
    let absent = || format!("it names cluster \"{name}\", which the kubeconfig does not have");
    let cluster = cluster
        .ok_or_else(absent)?
        .cluster
        .clone()
        .unwrap_or_default();
    let user_name = context.user.unwrap_or_default();
    let user = config.auth_infos.iter().find(|u| u.name == user_name);
    let user = match user {
        Some(user) => user.auth_info.clone().unwrap_or_default(),
        None if user_name.is_empty() => AuthInfo::default(),
        None => {
            return Err(format!(
                "it names user \"{user_name}\", which the kubeconfig does not have"
            ));
        }
    };
    let entry = Entry {
        cluster_is: format!("cluster \"{name}\""),
        user_is: format!("user \"{user_name}\""),
        namespace: context.namespace,
        cluster,
        user,
    };
    cluster_is_sound(&entry.cluster).map_err(|cause| format!("{}: {cause}", entry.cluster_is))?;
    user_is_sound(&entry.user).map_err(|cause| format!("{}: {cause}", entry.user_is))?;
    Ok(entry)
}

fn cluster_is_sound(cluster: &Cluster) -> Result<(), String> {
    let file = cluster.certificate_authority.is_some();
    let data = cluster.certificate_authority_data.is_some();
    if cluster.server.is_none() {
        return Err("it has no server".into());
    }
    if file && data {
        return Err(
            "certificate-authority and certificate-authority-data are both set; keep one".into(),
        );
    }
    if cluster.insecure_skip_tls_verify == Some(true) && (file || data) {
        return Err("insecure-skip-tls-verify is true and a CA is set; keep one".into());
    }
    Ok(())
}

fn user_is_sound(user: &AuthInfo) -> Result<(), String> {
    let certificate = user.client_certificate.is_some() || user.client_certificate_data.is_some();
    let key = user.client_key.is_some() || user.client_key_data.is_some();
    if user.client_certificate.is_some() && user.client_certificate_data.is_some() {
        return Err("client-certificate and client-certificate-data are both set; keep one".into());
    }
    if certificate && user.client_key.is_some() && user.client_key_data.is_some() {
        return Err("client-key and client-key-data are both set; keep one".into());
    }
    if certificate && !key {
        return Err("it has a client certificate but no client-key".into());
    }
    let basic = user.username.is_some() || user.password.is_some();
    if basic && user.token.is_some() {
        return Err("it has a token and a username or password; keep one".into());
    }
    let more = user.impersonate_uid.is_some()
        || !user
            .impersonate_groups
            .as_deref()
            .unwrap_or_default()
            .is_empty()
        || !user
            .impersonate_user_extra
            .as_ref()
            .is_none_or(|e| e.is_empty());
    if more && user.impersonate.is_none() {
        return Err("it has as-uid, as-groups or as-user-extra without as".into());
    }
    provider_is_known(user)?;
    match &user.exec {
        Some(_) if user.auth_provider.is_some() => {
            Err("it has exec and auth-provider; keep one".into())
        }
        Some(exec) => exec_is_sound(exec),
        None => Ok(()),
    }
}

/// Of kubectl's built-in auth providers, only oidc is left.
fn provider_is_known(user: &AuthInfo) -> Result<(), String> {
    let provider = user.auth_provider.as_ref();
    let name = provider.map_or("oidc", |provider| &provider.name);
    let plugin = match name {
        "oidc" => return Ok(()),
        "gcp" => "gke-gcloud-auth-plugin",
        "azure" => "kubelogin",
        _ => return Err(format!("kubectl knows no auth-provider {name:?}; use exec")),
    };
    Err(format!(
        "auth-provider {name} was removed from kubectl in 1.26; use the exec plugin {plugin} instead"
    ))
}

fn exec_is_sound(exec: &ExecConfig) -> Result<(), String> {
    if exec.command.is_none() {
        return Err("exec has no command".into());
    }
    let version = exec.api_version.as_deref().unwrap_or_default();
    if ![V1, V1BETA1].contains(&version) {
        return Err(format!("apiVersion of exec is not {V1} or {V1BETA1}"));
    }
    if exec.other.contains_key(MODE) {
        return Err("interactiveMode of exec is not Never, IfAvailable or Always".into());
    }
    if version == V1 && exec.interactive_mode.is_none() {
        return Err(format!(
            "exec with apiVersion {V1} needs interactiveMode: Never, IfAvailable or Always"
        ));
    }
    let nameless =
        |v: &std::collections::HashMap<String, String>| v.get("name").is_none_or(String::is_empty);
    if exec.env.iter().flatten().any(nameless) {
        return Err("a variable in env of exec has no name".into());
    }
    Ok(())
}

/// Whether a plugin provides the credentials. It does only if there are no others.
pub fn asks_plugin(user: &AuthInfo) -> bool {
    let certificate = user.client_certificate.is_some() || user.client_certificate_data.is_some();
    let basic = user.username.is_some() || user.password.is_some();
    let token = user.token.is_some() || user.token_file.is_some();
    user.exec.is_some() && !token && !basic && !certificate && user.auth_provider.is_none()
}

/// Reads a token from a file as kubectl does, without surrounding whitespace.
pub fn token_of(file: &str) -> Result<String, String> {
    let text = files::text(file.as_ref());
    let text = text.map_err(|cause| format!("tokenFile {file}: {cause}"))?;
    match text.trim() {
        "" => Err(format!("tokenFile {file} is empty")),
        token => Ok(token.into()),
    }
}

/// Rejects a token that is not a valid header value before anything is sent.
pub fn token_is_sound(user: &AuthInfo) -> Result<(), String> {
    let Some(token) = &user.token else {
        return Ok(());
    };
    let token = token.expose_secret();
    match http::HeaderValue::from_str(token) {
        Ok(_) => Ok(()),
        Err(_) if token.trim().chars().any(|c| c.is_control()) => {
            Err("the token contains a line break or another control character".into())
        }
        Err(_) => Err("the token starts or ends with a line break; remove it".into()),
    }
}

/// Whether the plugin may prompt the user. As in kubectl, the default is yes if there is a terminal.
pub fn may_ask(exec: &ExecConfig, terminal: bool) -> bool {
    terminal && exec.interactive_mode != Some(ExecInteractiveMode::Never)
}
