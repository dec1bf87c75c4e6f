//! Kubeconfig files to clients, as kubectl does it: files are merged, a listed file that is
//! missing is skipped, and every context is named, never the current one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use http::{HeaderValue, Uri, header::USER_AGENT};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::{Member, Transport};
use crate::problem::{self, Exit, Problem};

/// The merged kubeconfig of the given files, else of `KUBECONFIG`, else of `~/.kube/config`.
pub fn read(files: &[PathBuf]) -> Result<Kubeconfig> {
    let named = !files.is_empty();
    let files = if named {
        files.to_vec()
    } else {
        default_files()
    };
    let mut merged = Kubeconfig::default();
    let mut found = 0;
    for file in &files {
        if !named && !file.exists() {
            continue;
        }
        let one = Kubeconfig::read_from(file).map_err(|e| unusable(file, &e))?;
        merged = merged.merge(one).map_err(|e| unusable(file, &e))?;
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
    Ok(merged)
}

fn unusable(file: &Path, error: &KubeconfigError) -> Problem {
    let cause = problem::root_cause(error);
    // After its first line comes an excerpt of the file, which may be a token.
    let cause = cause.lines().next().unwrap_or_default();
    Problem::new(
        Exit::Preflight,
        format!("kubeconfig {}: {cause}", file.display()),
    )
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

/// The cluster entry of a context, with relative paths made absolute by the reader.
pub fn cluster_entry<'a>(
    config: &'a Kubeconfig,
    member: &Member,
) -> Result<&'a kube::config::Cluster> {
    let context = member.context.as_str();
    let entry = config
        .contexts
        .iter()
        .find(|c| c.name == context)
        .ok_or_else(|| unknown(config, member))?;
    let name = entry
        .context
        .as_ref()
        .map(|c| c.cluster.as_str())
        .unwrap_or_default();
    config
        .clusters
        .iter()
        .find(|c| c.name == name)
        .and_then(|c| c.cluster.as_ref())
        .ok_or_else(|| {
            anyhow!(
                "context {context} names cluster \"{name}\", which the kubeconfig does not have"
            )
        })
}

fn unknown(config: &Kubeconfig, member: &Member) -> Problem {
    let known = config
        .contexts
        .iter()
        .map(|c| c.name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let known = if known.is_empty() { "none" } else { &known };
    let file = member
        .kubeconfig
        .as_ref()
        .map(|file| file.display().to_string());
    let (file, flag) = match file {
        Some(file) => (
            format!("kubeconfig {file}"),
            format!(" --kubeconfig {file}"),
        ),
        None => ("the kubeconfig".into(), String::new()),
    };
    let context = &member.context;
    Problem::new(
        Exit::Preflight,
        format!("no context \"{context}\" in {file}; it has: {known}"),
    )
    .fix(format!("kubectl{flag} config get-contexts"))
}

/// A client for one context.
pub async fn client(config: &Kubeconfig, context: &str) -> Result<(Client, Transport)> {
    let options = KubeConfigOptions {
        context: Some(context.into()),
        ..KubeConfigOptions::default()
    };
    let mut config = Config::from_custom_kubeconfig(config.clone(), &options).await?;
    // kube's own rule matches the wrong host.
    if !is_proxied(&config.cluster_url) {
        config.proxy_url = None;
    }
    open(config).await.map_err(|cause| {
        let problem = Problem::new(Exit::Unreachable, cause);
        problem
            .fix(format!("kubectl --context {context} version"))
            .into()
    })
}

/// With our own bounds in place of kube's: its retries take minutes.
pub async fn open(mut config: Config) -> Result<(Client, Transport), String> {
    config.default_retry = false;
    config.connect_timeout = Some(problem::CONNECT);
    let agent = concat!("ambikiali/", env!("CARGO_PKG_VERSION"));
    let agent = HeaderValue::from_static(agent);
    config.headers.push((USER_AGENT, agent));
    Transport::open(config).await
}

/// The way out that this machine's environment names, for an address that no kubeconfig of its user has.
pub fn proxy_of_environment(to: &Uri) -> Option<Uri> {
    let named = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
    let proxy = named("HTTPS_PROXY").or_else(|| named("https_proxy"))?;
    is_proxied(to).then(|| proxy.parse().ok())?
}

fn is_proxied(to: &Uri) -> bool {
    let excepted = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy"));
    through_proxy(to.host().unwrap_or_default(), &excepted.unwrap_or_default())
}

fn through_proxy(host: &str, no_proxy: &str) -> bool {
    let loopback = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    let excepted = no_proxy
        .split(',')
        .map(str::trim)
        .filter(|e| !e.is_empty())
        .any(|entry| {
            let domain = entry.trim_start_matches('.');
            entry == "*" || host == domain || host.ends_with(&format!(".{domain}"))
        });
    !loopback && !excepted
}

/// The file's text, for a CA that the kubeconfig names by path.
pub fn read_file(path: &str) -> Result<String> {
    std::fs::read_to_string(Path::new(path))
        .with_context(|| format!("certificate authority {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_is_left_out_for_the_cluster_not_for_itself() {
        assert!(through_proxy("api.example.com", ""));
        assert!(through_proxy("api.example.com", "proxy.corp, a,,b"));
        for (host, list) in [
            ("api.example.com", "api.example.com"),
            ("api.example.com", ".example.com"),
            ("api.example.com", "*"),
            ("127.0.0.1", ""),
            ("localhost", ""),
        ] {
            assert!(!through_proxy(host, list), "{host} with {list}");
        }
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error() {
        let error = read(&["/nowhere/config".into()]).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("kubeconfig /nowhere/config"),
            "{error:#}"
        );
    }
}
