//! Builds clients from kubeconfig files as kubectl does: files are merged, and a missing file in KUBECONFIG is
//! skipped. Unlike in kubectl, the current context is never used; each context is named.

mod entry;
mod file;
mod part;

use std::net::Ipv6Addr;
use std::path::PathBuf;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri, header::USER_AGENT};
use kube::config::{Cluster, Kubeconfig};
use kube::{Client, Config};
use rustls::pki_types::{CertificateDer, ServerName};

pub use entry::{Entry, asks_plugin, may_ask, token_is_sound, token_of};

use super::pem::{self, Broken};
use super::server::Server;
use super::{Member, Transport, proxy};
use crate::code::Code;
use crate::files;
use crate::problem::{self, Exit, Problem};
use crate::shell;

/// Merged kubeconfigs.
#[derive(Clone, Default)]
pub struct Source {
    config: Kubeconfig,
    /// Files from the command line. Commands that are shown to the user name them too.
    named: Vec<PathBuf>,
}

/// The merged kubeconfig of the given files, else of `KUBECONFIG`, else of `~/.kube/config`.
pub fn read(files: &[PathBuf]) -> Result<Source> {
    let named = files.to_vec();
    let files = match named.as_slice() {
        [] => default_files(),
        named => named.to_vec(),
    };
    let mut config = Kubeconfig::default();
    let mut found = 0;
    for file in &files {
        if named.is_empty() && !file.exists() {
            continue;
        }
        let unusable = |cause: String| {
            let cause = format!("kubeconfig {}: {cause}", file.display());
            let name = shell::kubeconfig(file);
            let fix = match file.exists() {
                true => format!("kubectl --kubeconfig {name} config view"),
                false => "name an existing file".into(),
            };
            let problem = Problem::new(Exit::Preflight, cause).fix(fix);
            problem.code(Code::KubeconfigUnusable)
        };
        // As in kubectl, the first file wins.
        let one = file::read(file).map_err(unusable)?;
        config = config
            .merge(one)
            .map_err(|error| unusable(error.to_string()))?;
        found += 1;
    }
    if found == 0 {
        let looked = files
            .iter()
            .map(|f| f.display().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        return Err(Problem::new(
            Exit::Preflight,
            format!("no kubeconfig found; looked at {looked}"),
        )
        .fix("name one with --kubeconfig FILE or KUBECONFIG")
        .into());
    }
    Ok(Source { config, named })
}

fn default_files() -> Vec<PathBuf> {
    match std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty()) {
        Some(list) => std::env::split_paths(&list)
            .filter(|p| !p.as_os_str().is_empty())
            .collect(),
        None => std::env::home_dir()
            .map(|home| home.join(".kube/config"))
            .into_iter()
            .collect(),
    }
}

impl Source {
    /// The names of all contexts; contexts without a name are skipped.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        let names = self.config.contexts.iter().map(|c| c.name.as_str());
        names.filter(|name| !name.is_empty())
    }

    /// kubectl with the flags that select this context.
    pub fn kubectl(&self, context: &str) -> String {
        shell::kubectl(&self.named, context)
    }

    /// Cluster and user of a context, with absolute paths.
    pub fn entry(&self, member: &Member) -> Result<Entry, Problem> {
        let context = member.context.as_str();
        let found = entry::find(&self.config, context);
        let found = found.ok_or_else(|| self.unknown(member))?;
        found.map_err(|cause| self.unusable(context, &cause))
    }

    /// The error for a context that the kubeconfig makes unusable.
    fn unusable(&self, context: &str, cause: &str) -> Problem {
        Problem::new(Exit::Preflight, format!("context {context}: {cause}"))
            .code(Code::KubeconfigUnusable)
            .fix(format!("{} config view --minify", self.kubectl(context)))
    }

    fn unknown(&self, member: &Member) -> Problem {
        let known = self.contexts().collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none" } else { &known };
        let file = match &member.kubeconfig {
            Some(file) => format!("kubeconfig {}", file.display()),
            None => "the kubeconfig".into(),
        };
        let flag = self.named.first().filter(|_| self.named.len() == 1);
        let flag = flag.map(|file| format!(" --kubeconfig {}", shell::kubeconfig(file)));
        Problem::new(
            Exit::Preflight,
            format!(
                "no context \"{}\" in {file}; it has: {known}",
                member.context
            ),
        )
        .fix(format!(
            "kubectl{} config get-contexts",
            flag.unwrap_or_default()
        ))
    }

    /// Creates a client for one context.
    pub async fn client(&self, member: &Member) -> Result<(Client, Transport), Problem> {
        let context = member.context.as_str();
        let entry = self.entry(member)?;
        let read = entry.clone();
        let config = files::run_blocking(move || config(&read)).await;
        let config = config.map_err(|cause| self.unusable(context, &cause))?;
        open(config).await.map_err(|problem| {
            let look = match problem.code {
                Some(Code::KubeconfigUnusable) => "config view --minify",
                _ => "version",
            };
            let named = problem.caused(|cause| match problem.code {
                // The cause is in the user entry, so name that too.
                Some(Code::KubeconfigUnusable) => {
                    format!("context {context}: {}: {cause}", entry.user_is)
                }
                _ => format!("context {context}: {cause}"),
            });
            match named.fix {
                Some(_) => named,
                None => named.fix(format!("{} {look}", self.kubectl(context))),
            }
        })
    }
}

/// Opens a client with our own timeouts. kube's retries would take minutes.
pub async fn open(mut config: Config) -> Result<(Client, Transport), Problem> {
    config.default_retry = false;
    config.connect_timeout = Some(problem::CONNECT);
    let agent = concat!("ambikiali/", env!("CARGO_PKG_VERSION"));
    let agent = HeaderValue::from_static(agent);
    config.headers.push((USER_AGENT, agent));
    Transport::open(config).await
}

/// Builds the client configuration. kube's own code applies NO_PROXY to the proxy instead of the server, and
/// rejects files that kubectl accepts.
fn config(entry: &Entry) -> Result<Config, String> {
    let of_cluster = |cause: String| format!("{}: {cause}", entry.cluster_is);
    let cluster = &entry.cluster;
    let server = Server::parse(cluster.server.as_deref().unwrap_or_default());
    let server = server.map_err(of_cluster)?;
    let mut config = Config::new(server.url.clone());
    config.auth_info = entry.user.clone();
    if let Some(exec) = &mut config.auth_info.exec
        && exec.provide_cluster_info
    {
        let info = cluster
            .try_into()
            .map_err(|e: kube::config::KubeconfigError| e.to_string());
        exec.cluster = Some(info.map_err(of_cluster)?);
    }
    if let Some((user, password)) = &server.login {
        // A login in the URL replaces all other credentials of the Authorization header, but not a client certificate.
        config.auth_info = kube::config::AuthInfo {
            username: Some(user.clone()),
            password: Some(password.clone().into()),
            token: None,
            token_file: None,
            auth_provider: None,
            exec: None,
            ..entry.user.clone()
        };
    } else if !server.is_private() {
        config.auth_info = kube::config::AuthInfo::default();
    }
    config.proxy_url = match &cluster.proxy_url {
        Some(url) => Some(proxy::own(url).map_err(of_cluster)?),
        None => proxy::of_environment(&server.url)?,
    };
    let authorities = authorities(cluster).map_err(of_cluster)?;
    config.root_cert = authorities.map(|all| all.iter().map(|der| der.to_vec()).collect());
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify == Some(true);
    config.tls_server_name = certified(cluster, &server.url);
    config.default_namespace = entry.namespace.clone().unwrap_or_else(|| "default".into());
    Ok(config)
}

/// The name that the server certificate must have, if that is not the host in the URL.
fn certified(cluster: &Cluster, server: &Uri) -> Option<String> {
    if let Some(name) = &cluster.tls_server_name {
        // Without verification, the name may be anything.
        let unchecked = cluster.insecure_skip_tls_verify == Some(true);
        let usable = !unchecked || ServerName::try_from(name.as_str()).is_ok();
        return usable.then(|| name.clone());
    }
    // Go treats an IPv4-mapped IPv6 address as the IPv4 address.
    let host = server.host()?.trim_matches(['[', ']']);
    let mapped = host.parse::<Ipv6Addr>().ok()?.to_ipv4_mapped()?;
    Some(mapped.to_string())
}

/// The CAs of a cluster entry; None if it has none.
pub fn authorities(cluster: &Cluster) -> Result<Option<Vec<CertificateDer<'static>>>, String> {
    let (what, bytes) = match (
        &cluster.certificate_authority_data,
        &cluster.certificate_authority,
    ) {
        (Some(data), _) => ("certificate-authority-data".to_string(), decode(data)?),
        (None, Some(path)) => (format!("certificate-authority {path}"), file(path)?),
        (None, None) => return Ok(None),
    };
    let found = pem::certificates(&bytes, Broken::Skipped);
    found.map(Some).map_err(|why| format!("{what} {why}"))
}

/// A client certificate and its key in PEM.
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// The client certificate of a user; None if it has none.
pub fn certificate(user: &kube::config::AuthInfo) -> Result<Option<Identity>, String> {
    use secrecy::ExposeSecret;
    let either = |data: Option<&str>, path: Option<&String>| match (data, path) {
        (Some(data), _) => decode(data).map(Some),
        (None, Some(path)) => file(path).map(Some),
        (None, None) => Ok(None),
    };
    let data = user.client_certificate_data.as_deref();
    let Some(certificate) = either(data, user.client_certificate.as_ref())? else {
        return Ok(None);
    };
    let data = user
        .client_key_data
        .as_ref()
        .map(|data| data.expose_secret());
    let key = either(data, user.client_key.as_ref())?;
    Ok(key.map(|key| Identity { certificate, key }))
}

fn decode(data: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(data)
        .map_err(|_| "its data is not base64".into())
}

fn file(path: &str) -> Result<Vec<u8>, String> {
    files::read(path.as_ref()).map_err(|cause| format!("{path}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_that_is_missing_is_an_error() {
        let error = read(&["/nowhere/config".into()]).map(|_| ()).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("kubeconfig /nowhere/config"),
            "{error:#}"
        );
    }
}
