//! Reads one kubeconfig file as kubectl does: a missing, null or empty field has its default, a field of the
//! wrong type is rejected, and so is a duplicate name. No error repeats a value, which may be a token.

use std::path::Path;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use kube::config::{
    AuthInfo, AuthProviderConfig, Cluster, Context, ExecConfig, ExecInteractiveMode, Kubeconfig,
    NamedAuthInfo, NamedCluster, NamedContext, NamedExtension,
};
use serde_json::Value;

use super::part::Part;
use crate::{files, yaml};

/// Go's decoder ignores trailing bits.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Where an unknown mode is kept.
pub const MODE: &str = "interactiveMode";

/// Reads the file and makes its paths absolute, relative to its folder.
pub fn read(path: &Path) -> Result<Kubeconfig, String> {
    let mut config = parse(&files::read(path)?)?;
    let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
    resolve(&mut config, absolute.parent().unwrap_or(Path::new("/")));
    Ok(config)
}

/// Parses the contents of a file.
fn parse(bytes: &[u8]) -> Result<Kubeconfig, String> {
    let text = text(bytes)?;
    let options = serde_yaml::options! {
        duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::LastWins,
    };
    // kubectl reads the first document and ignores the rest.
    let mut rest = text.as_bytes();
    let first = serde_yaml::read_with_options::<_, Value>(&mut rest, options).next();
    let first = first.transpose().map_err(|error| {
        // Keep only the first line; an excerpt of the file follows it.
        let error = yaml::describe(&error);
        let line = error.lines().next().unwrap_or_default();
        format!("not YAML: {}", line.trim_start_matches("error: "))
    })?;
    whole(&Part::whole(&first.unwrap_or_default())?)
}

/// Decodes by the byte order mark, as kubectl does.
fn text(bytes: &[u8]) -> Result<String, String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        String::from_utf16(&units.collect::<Vec<_>>()).map_err(|_| "not UTF-16".to_string())
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] | rest => {
            String::from_utf8(rest.to_vec()).map_err(|_| "not UTF-8".to_string())
        }
    }
}

fn whole(file: &Part) -> Result<Kubeconfig, String> {
    for (key, expected) in [("apiVersion", "v1"), ("kind", "Config")] {
        if file.text(key)?.is_some_and(|said| said != expected) {
            return Err(format!("{key} is not {expected}"));
        }
    }
    file.text("current-context")?;
    file.part("preferences", String::new())?;
    extensions(file)?;
    let mut config = Kubeconfig::default();
    for (name, part) in named(file, "clusters", "cluster")? {
        let cluster = Some(cluster(&part)?);
        config.clusters.push(NamedCluster {
            name,
            cluster,
            ..Default::default()
        });
    }
    for (name, part) in named(file, "contexts", "context")? {
        let context = Some(Context {
            cluster: part.text("cluster")?.unwrap_or_default(),
            user: part.text("user")?,
            namespace: part.text("namespace")?,
            ..Context::default()
        });
        config.contexts.push(NamedContext {
            name,
            context,
            ..Default::default()
        });
    }
    for (name, part) in named(file, "users", "user")? {
        let auth_info = Some(user(&part)?);
        config.auth_infos.push(NamedAuthInfo {
            name,
            auth_info,
            ..Default::default()
        });
    }
    Ok(config)
}

/// The entries of a list, each with its name.
fn named<'a>(file: &Part<'a>, list: &str, what: &str) -> Result<Vec<(String, Part<'a>)>, String> {
    let mut entries: Vec<(String, Part)> = Vec::new();
    for part in file.parts(list)? {
        let name = part.text("name")?.unwrap_or_default();
        if entries.iter().any(|(other, _)| *other == name) {
            return Err(format!("two entries in {list} have the name \"{name}\""));
        }
        let part = part.part(what, format!("{what} \"{name}\""))?;
        entries.push((name, part));
    }
    Ok(entries)
}

fn cluster(part: &Part) -> Result<Cluster, String> {
    Ok(Cluster {
        server: part.text("server")?,
        insecure_skip_tls_verify: part.flag("insecure-skip-tls-verify")?,
        certificate_authority: part.text("certificate-authority")?,
        certificate_authority_data: data(part, "certificate-authority-data")?,
        proxy_url: part.text("proxy-url")?,
        disable_compression: part.flag("disable-compression")?,
        tls_server_name: part.text("tls-server-name")?,
        extensions: Some(extensions(part)?),
        ..Cluster::default()
    })
}

fn extensions(part: &Part) -> Result<Vec<NamedExtension>, String> {
    let named = |part: Part| {
        Ok(NamedExtension {
            name: part.text("name")?.unwrap_or_default(),
            extension: part.any("extension").cloned().unwrap_or_default(),
        })
    };
    part.parts("extensions")?.into_iter().map(named).collect()
}

fn user(part: &Part) -> Result<AuthInfo, String> {
    Ok(AuthInfo {
        username: part.text("username")?,
        password: part.text("password")?.map(Into::into),
        token: part.text("token")?.map(Into::into),
        token_file: part.text("tokenFile")?,
        client_certificate: part.text("client-certificate")?,
        client_certificate_data: data(part, "client-certificate-data")?,
        client_key: part.text("client-key")?,
        client_key_data: data(part, "client-key-data")?.map(Into::into),
        impersonate: part.text("as")?,
        impersonate_uid: part.text("as-uid")?,
        impersonate_groups: part.texts("as-groups")?,
        impersonate_user_extra: part.lists("as-user-extra")?,
        auth_provider: part.optional("auth-provider")?.map(provider).transpose()?,
        exec: part.optional("exec")?.map(exec).transpose()?,
        ..AuthInfo::default()
    })
}

fn provider(part: Part) -> Result<AuthProviderConfig, String> {
    Ok(AuthProviderConfig {
        name: part.text("name")?.unwrap_or_default(),
        config: part.words("config")?,
        ..AuthProviderConfig::default()
    })
}

fn exec(part: Part) -> Result<ExecConfig, String> {
    let mode = part.text("interactiveMode")?;
    let known = match mode.as_deref() {
        Some("Never") => Some(ExecInteractiveMode::Never),
        Some("IfAvailable") => Some(ExecInteractiveMode::IfAvailable),
        Some("Always") => Some(ExecInteractiveMode::Always),
        _ => None,
    };
    // An unknown mode is an error only if the entry is used.
    let other = mode.filter(|_| known.is_none());
    let other = other.map(|mode| (MODE.to_string(), mode.into()));
    let mut env = Vec::new();
    for variable in part.parts("env")? {
        let name = variable.text("name")?.unwrap_or_default();
        let value = variable.text("value")?.unwrap_or_default();
        env.push([("name".into(), name), ("value".into(), value)].into());
    }
    Ok(ExecConfig {
        api_version: part.text("apiVersion")?,
        command: part.text("command")?,
        args: part.texts("args")?,
        env: Some(env),
        install_hint: part.text("installHint")?,
        interactive_mode: known,
        provide_cluster_info: part.flag("provideClusterInfo")?.unwrap_or_default(),
        other: other.into_iter().collect(),
        ..ExecConfig::default()
    })
}

/// Base64 data in one line. Go's decoder skips line breaks, others do not.
fn data(part: &Part, key: &str) -> Result<Option<String>, String> {
    let Some(text) = part.text(key)? else {
        return Ok(None);
    };
    let line: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = LENIENT
        .decode(line)
        .map_err(|_| part.wrong(key, "base64"))?;
    Ok(Some(STANDARD.encode(bytes)).filter(|text| !text.is_empty()))
}

fn resolve(config: &mut Kubeconfig, folder: &Path) {
    let clusters = config
        .clusters
        .iter_mut()
        .filter_map(|c| c.cluster.as_mut());
    for cluster in clusters {
        absolute(folder, cluster.certificate_authority.as_mut());
    }
    let users = config
        .auth_infos
        .iter_mut()
        .filter_map(|u| u.auth_info.as_mut());
    for user in users {
        absolute(folder, user.client_certificate.as_mut());
        absolute(folder, user.client_key.as_mut());
        absolute(folder, user.token_file.as_mut());
        let command = user.exec.as_mut().and_then(|exec| exec.command.as_mut());
        // Other commands are looked up in PATH.
        absolute(folder, command.filter(|command| command.contains('/')));
    }
}

fn absolute(folder: &Path, path: Option<&mut String>) {
    if let Some(path) = path
        && let Some(joined) = folder.join(&*path).to_str()
    {
        *path = joined.into();
    }
}

#[cfg(test)]
mod tests;
