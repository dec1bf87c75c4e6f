//! How users log in to Kiali: not at all, or through an OpenID Connect provider. Values may come from a record that
//! others wrote, so each is parsed strictly.

mod discovery;
mod files;

use std::collections::BTreeMap;

use http::Uri;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use discovery::{Fault, discover};
pub use files::{Files, SECRET_FILE, TOKEN_FILE, Token};

/// Names of the options.
pub const AUTH: &str = "auth";
pub const ISSUER: &str = "oidc-issuer";
pub const CLIENT_ID: &str = "oidc-client-id";
pub const RBAC: &str = "oidc-rbac";
/// The options that only a login has.
pub const OF_LOGIN: [&str; 3] = [ISSUER, CLIENT_ID, RBAC];

/// The strategy with a login, as Kiali calls it.
pub const OPENID: &str = "openid";
/// The strategy without a login, which is the default.
pub const ANONYMOUS: &str = "anonymous";

const LONGEST_CLIENT_ID: usize = 256;

/// A login through an OpenID Connect provider.
#[derive(Clone, Debug, Default)]
pub struct Login {
    pub issuer: String,
    pub client_id: String,
    /// Whether Kiali uses the token of the user in each cluster, in place of its own.
    pub rbac: bool,
    /// None leaves the Secret as it is.
    pub secret: Option<SecretString>,
    /// A token of the issuer to ask the API servers with.
    pub token: Option<Token>,
}

impl Login {
    /// None without a login, and for options that do not describe one.
    pub fn of(options: &BTreeMap<String, String>) -> Option<Login> {
        let get = |name| options.get(name).cloned();
        get(AUTH)?;
        Some(Login {
            issuer: get(ISSUER)?,
            client_id: get(CLIENT_ID)?,
            rbac: options.contains_key(RBAC),
            ..Login::default()
        })
    }
}

/// The issuer and the client whose tokens an API server was seen to accept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    issuer: String,
    client_id: String,
}

impl Accepted {
    pub fn of(login: &Login) -> Accepted {
        Accepted {
            issuer: login.issuer.clone(),
            client_id: login.client_id.clone(),
        }
    }

    /// Whether an option could have these values.
    pub fn is_well_formed(&self) -> bool {
        issuer(&self.issuer).is_ok() && client_id(&self.client_id).is_ok()
    }
}

/// Checks options that are valid one by one. `allow_write` is about Kiali's own rights.
pub fn check(options: &BTreeMap<String, String>, allow_write: bool) -> Result<(), String> {
    let has = |name: &str| options.contains_key(name);
    if !has(AUTH) {
        return match OF_LOGIN.into_iter().find(|name| has(name)) {
            Some(name) => Err(format!("--{name} goes with --{AUTH} {OPENID}")),
            None => Ok(()),
        };
    }
    if let Some(missing) = [ISSUER, CLIENT_ID].into_iter().find(|name| !has(name)) {
        return Err(format!("--{AUTH} {OPENID} needs --{missing}"));
    }
    match allow_write && !has(RBAC) {
        true => Err(format!(
            "--allow-write has no effect with --{AUTH} {OPENID}: Kiali's operator gives an account behind a login no rights to write; \
             add --{RBAC}, so that users write with their own rights, or --allow-write=false"
        )),
        false => Ok(()),
    }
}

/// The strategies that several clusters can have.
pub fn strategy(text: &str) -> Result<&str, String> {
    match text {
        ANONYMOUS | OPENID => Ok(text),
        "token" => Err(
            "Kiali would send each user's token for home to the remotes, which do not know it; use openid".into(),
        ),
        _ => Err("only anonymous and openid work with several clusters here".into()),
    }
}

/// An issuer is compared as text, by Kiali, by the API servers and here.
pub fn issuer(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix("https://").ok_or("use https://HOST")?;
    if bare.contains(['@', '?', '#', '\\', '"', '<', '>']) || bare.contains("/.") {
        return Err("an issuer has no user, query or fragment".into());
    }
    let uri = text.parse::<Uri>().map_err(|_| "not a URL")?;
    let host = uri.host().unwrap_or_default();
    let port = uri
        .authority()
        .and_then(|all| all.as_str().rsplit_once(':'));
    let has_port = port.is_none_or(|(_, port)| port.ends_with(']') || uri.port_u16().is_some());
    match !host.is_empty() && has_port && uri.port_u16() != Some(0) {
        true => Ok(text.into()),
        false => Err("use https://HOST".into()),
    }
}

pub fn client_id(text: &str) -> Result<String, String> {
    let good =
        (1..=LONGEST_CLIENT_ID).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    good.then(|| text.to_string())
        .ok_or_else(|| format!("use 1 to {LONGEST_CLIENT_ID} characters without spaces"))
}

/// Validates the value of an option; None for the name of another one.
pub fn known(name: &str, value: &str) -> Option<Result<(), String>> {
    match name {
        AUTH if value == OPENID => Some(Ok(())),
        AUTH => Some(Err(format!("\"{value}\" is no value of {AUTH}"))),
        ISSUER => Some(issuer(value).map(drop)),
        CLIENT_ID => Some(client_id(value).map(drop)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
