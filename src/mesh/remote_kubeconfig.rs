//! A kubeconfig that was read from a cluster. Anyone who can write Secrets there controls its text, so only four
//! fields are accepted and any other field is rejected by name. Parsed like a user's kubeconfig, it could
//! run programs on this machine and send its files anywhere.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use kube::{Client, Config};
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ApiServer;
use super::pem::{self, Broken};
use super::{kubeconfig, proxy};

/// Enough for a CA bundle of a hundred certificates and a token; a whole Secret holds at most a megabyte.
const LARGEST: usize = 256 << 10;
const LONGEST_TOKEN: usize = 16 << 10;
const TAKEN: &str = "a kubeconfig from a cluster may only have server, certificate-authority-data, tls-server-name and token";

/// Fields that kubectl accepts and this parser rejects.
const REFUSED: [&str; 22] = [
    "as",
    "as-groups",
    "as-uid",
    "as-user-extra",
    "auth-provider",
    "certificate-authority",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "colors",
    "disable-compression",
    "exec",
    "extensions",
    "insecure-skip-tls-verify",
    "namespace",
    "password",
    "proxy-url",
    "token",
    "tokenFile",
    "tokenfile",
    "username",
];

/// Address, CA and token of an API server.
#[derive(Clone, Debug)]
pub struct RemoteKubeconfig {
    server: ApiServer,
    /// None for the CAs of the operating system.
    ca: Option<Vec<Vec<u8>>>,
    tls_server_name: Option<String>,
    token: SecretString,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "apiVersion")]
    _api_version: Option<ApiVersion>,
    #[serde(rename = "kind")]
    _kind: Option<Kind>,
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
    contexts: Option<Vec<NamedContext>>,
    #[serde(rename = "current-context")]
    current_context: Option<String>,
    #[serde(rename = "preferences")]
    _preferences: Option<Nothing>,
}

#[derive(Deserialize)]
enum ApiVersion {
    #[serde(rename = "v1")]
    V1,
}

#[derive(Deserialize)]
enum Kind {
    Config,
}

/// The empty `preferences` that kubectl writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    cluster: String,
    user: String,
}

impl RemoteKubeconfig {
    /// The error may name fields, but never contains a value.
    pub fn read(text: &[u8]) -> Result<RemoteKubeconfig, String> {
        if text.len() > LARGEST {
            return Err(format!("it is larger than {} KiB", LARGEST >> 10));
        }
        let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
        let file = serde_yaml::from_str::<File>(text).map_err(|error| refused(&error))?;
        let (cluster, user) = parts(file)?;
        let ca = cluster.certificate_authority_data;
        let name = cluster.tls_server_name;
        let name = name.map(|name| server_name(&name).map(|()| name));
        Ok(RemoteKubeconfig {
            server: ApiServer::try_from(cluster.server).map_err(|why| format!("server: {why}"))?,
            ca: ca.map(|data| certificates(&data)).transpose()?,
            tls_server_name: name
                .transpose()
                .map_err(|why| format!("tls-server-name: {why}"))?,
            token: token(SecretString::from(user.token))?,
        })
    }

    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// The same with another token.
    pub fn with_token(&self, token: SecretString) -> RemoteKubeconfig {
        RemoteKubeconfig {
            token,
            ..self.clone()
        }
    }

    /// Creates a client that uses only these fields and this machine's proxy.
    pub async fn client(&self) -> Result<Client, String> {
        let uri: Uri = self.server.as_str().parse().map_err(|_| "no address")?;
        let mut config = Config::new(uri);
        config.root_cert = self.ca.clone();
        config.tls_server_name = self.tls_server_name.clone();
        config.auth_info.token = Some(self.token.clone());
        config.proxy_url = proxy::of_environment(&config.cluster_url)?;
        let opened = kubeconfig::open(config).await;
        opened
            .map(|(client, _)| client)
            .map_err(|problem| problem.to_string())
    }
}

fn refused(error: &serde_yaml::Error) -> String {
    use serde_yaml::Error;
    match error.without_snippet() {
        Error::SerdeUnknownField { field, .. } => {
            // Do not repeat any other name: it may be a misplaced token.
            match REFUSED.contains(&field.as_str()) {
                true => format!("it has \"{field}\"; {TAKEN}"),
                false => format!("it has an unknown field; {TAKEN}"),
            }
        }
        Error::SerdeMissingField { field, .. } => format!("it has no {field}"),
        Error::DuplicateMappingKey { .. } => "it has a field twice".into(),
        // The parser's error is dropped, because it quotes the text with the token.
        _ => "it is not a kubeconfig for Kiali".into(),
    }
}

/// Kiali uses the first user and the only cluster, whatever the contexts say.
fn parts(file: File) -> Result<(Cluster, User), String> {
    let one = |what: &str, count: usize| match count {
        1 => Ok(()),
        _ => Err(format!("it has {count} {what} instead of one; {TAKEN}")),
    };
    one("clusters", file.clusters.len())?;
    one("users", file.users.len())?;
    let (Some(cluster), Some(user)) = (
        file.clusters.into_iter().next(),
        file.users.into_iter().next(),
    ) else {
        return Err("it has no cluster".into());
    };
    if let Some(contexts) = file.contexts {
        one("contexts", contexts.len())?;
        for NamedContext { name, context } in contexts {
            let is_current = file.current_context.as_ref().is_none_or(|c| *c == name);
            if !is_current || context.cluster != cluster.name || context.user != user.name {
                return Err("its context names a cluster or user that it does not have".into());
            }
        }
    }
    Ok((cluster.cluster, user.user))
}

/// The token becomes a header value, so it must not contain line breaks.
fn token(token: SecretString) -> Result<SecretString, String> {
    let text = token.expose_secret();
    let fault = match text.len() {
        0 => "is empty",
        LONGEST_TOKEN.. => "is too long",
        _ if text.contains(char::is_whitespace) => "contains whitespace",
        _ if HeaderValue::from_str(text).is_err() || !text.is_ascii() => {
            "has characters that are not allowed in a header"
        }
        _ => return Ok(token),
    };
    Err(format!("its token {fault}"))
}

fn certificates(data: &str) -> Result<Vec<Vec<u8>>, String> {
    let no_base64 = |_| "certificate-authority-data is not base64";
    let pem = STANDARD.decode(data.trim()).map_err(no_base64)?;
    let all = pem::certificates(&pem, Broken::Refused);
    let all = all.map_err(|why| format!("certificate-authority-data {why}"))?;
    Ok(all.iter().map(|one| one.to_vec()).collect())
}

/// Checks that a name can be verified in a certificate.
pub fn server_name(name: &str) -> Result<(), String> {
    let known = ServerName::try_from(name).is_ok() || name.parse::<IpAddr>().is_ok();
    match known {
        true => Ok(()),
        false => Err("it is neither a DNS name nor an IP address".into()),
    }
}

#[cfg(test)]
mod tests;
