//! Runs the credential plugins of a kubeconfig instead of kube, which waits for a plugin without a timeout,
//! shows its output, which may contain a token, and uses this machine's clock to decide when to run it again.

use std::io::{self, IsTerminal};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::kubeconfig::{may_ask, token_is_sound};
use crate::code::Code;
use crate::problem::{Exit, Problem};
use crate::shell::quoted;
use crate::{limit, out};

/// A credential takes a few kilobytes.
const LARGEST: u64 = 1 << 20;
/// Limit for the stderr of a plugin that is shown to the user.
const MAX_SHOWN: usize = 64 << 10;
/// Time to drain stderr after the plugin has ended: a child of it may keep the pipe open forever.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// Limit for the installHint of the kubeconfig.
const MAX_HINT: usize = 400;

/// Replaces the plugin's output in errors.
const OUTPUT_HIDDEN: &str = "its output is hidden because it may contain a token; kubectl shows it";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    api_version: Option<String>,
    kind: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    /// Not used, because this machine's clock may be wrong, but it must be a valid time.
    #[serde(rename = "expirationTimestamp")]
    _until: Option<Time>,
}

/// Runs the user's plugin and returns the user with its credentials instead of the plugin. The error never
/// contains output of the plugin.
pub async fn run(user: &AuthInfo) -> Result<AuthInfo, Problem> {
    let mut user = user.clone();
    let Some(exec) = user.exec.take() else {
        return Ok(user);
    };
    let name = exec.command.clone().unwrap_or_default();
    let failed = |cause: String| {
        let cause = format!("credential plugin {name} {cause}");
        Problem::new(Exit::Unreachable, cause).code(Code::NoCredentials)
    };
    let (exit, stdout) = output(&exec)
        .await
        .map_err(|Failed { cause, fix }| match fix {
            Some(fix) => failed(cause).fix(fix),
            None => failed(cause),
        })?;
    if !exit.success() {
        return Err(failed(format!("failed ({exit}); {OUTPUT_HIDDEN}")));
    }
    let status = printed(&exec, &stdout).map_err(|cause| failed(cause.into()))?;
    if let (Some(certificate), Some(key)) = (status.client_certificate_data, status.client_key_data)
    {
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    user.token = status.token.map(Into::into);
    token_is_sound(&user)
        .map_err(|cause| failed(format!("returned unusable credentials: {cause}")))?;
    Ok(user)
}

/// Parses the output as kubectl does. The parser's error is dropped, because it quotes the text.
fn printed(exec: &ExecConfig, stdout: &[u8]) -> Result<Status, &'static str> {
    let none = "printed no ExecCredential";
    let text = std::str::from_utf8(stdout).map_err(|_| none)?;
    // Parse into a value first, so that the last of two equal keys wins, as in kubectl.
    let options = serde_yaml::options! {
        duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::LastWins,
    };
    let value: Option<Value> = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(text).ok(),
        false => serde_yaml::from_str_with_options(text, options).ok(),
    };
    let value = value.ok_or(none)?;
    let credential: Credential = serde_json::from_value(value).map_err(|_| none)?;
    if credential.kind.as_deref() != Some("ExecCredential") {
        return Err(none);
    }
    if credential.api_version != exec.api_version {
        return Err("printed an ExecCredential whose apiVersion is not the kubeconfig's");
    }
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let status = credential
        .status
        .ok_or("printed an ExecCredential without status")?;
    let status = Status {
        _until: None,
        token: given(status.token),
        client_certificate_data: given(status.client_certificate_data),
        client_key_data: given(status.client_key_data),
    };
    match (
        &status.token,
        &status.client_certificate_data,
        &status.client_key_data,
    ) {
        (None, None, None) => Err("printed neither a token nor a certificate"),
        (_, Some(_), None) | (_, None, Some(_)) => Err("printed only one of certificate and key"),
        _ => Ok(status),
    }
}

struct Failed {
    cause: String,
    fix: Option<String>,
}

impl Failed {
    fn by(cause: impl Into<String>) -> Failed {
        Failed {
            cause: cause.into(),
            fix: None,
        }
    }
}

/// The installHint of the kubeconfig, in one line and truncated.
fn hint(exec: &ExecConfig) -> Option<String> {
    let hint = exec.install_hint.as_deref()?;
    let words = hint.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = words.chars().filter(|c| !c.is_control());
    let hint: String = plain.take(MAX_HINT).collect();
    (!hint.is_empty()).then_some(hint)
}

async fn output(exec: &ExecConfig) -> Result<(ExitStatus, Vec<u8>), Failed> {
    let name = exec.command.as_deref().unwrap_or_default();
    let child = spawn(exec)?;
    match tokio::time::timeout(limit::left(), wait_for_output(name, child)).await {
        Ok(output) => output,
        Err(_) => Err(Failed::by(format!(
            "did not answer within {} s",
            limit::whole().as_secs()
        ))),
    }
}

/// Waits for the plugin and returns its stdout. Meanwhile, passes its stderr on to the user.
async fn wait_for_output(name: &str, mut plugin: Child) -> Result<(ExitStatus, Vec<u8>), Failed> {
    let broke = |error: io::Error| Failed::by(format!("failed: {error}"));
    let (stdout, stderr) = (plugin.stdout.take(), plugin.stderr.take());
    let mut passing = std::pin::pin!(pass_on(name, stderr));
    let printing = async {
        let mut printed = Vec::new();
        if let Some(stdout) = stdout {
            let mut stdout = stdout.take(LARGEST + 1);
            stdout.read_to_end(&mut printed).await.map_err(broke)?;
        }
        if printed.len() as u64 > LARGEST {
            let cause = format!("printed more than {} MiB", LARGEST >> 20);
            return Err(Failed::by(cause));
        }
        Ok((plugin.wait().await.map_err(broke)?, printed))
    };
    let mut printing = std::pin::pin!(printing);
    let begun = tokio::time::Instant::now();
    let printed = tokio::select! {
        printed = &mut printing => printed,
        () = &mut passing => return printing.await,
    };
    if begun.elapsed() > limit::NOTICE_AFTER {
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, passing).await;
    }
    printed
}

/// Shows the stderr of a plugin that takes long. It may say what it is waiting for, such as a page to open
/// and a code to enter there. A plugin that answers at once has nothing to say.
async fn pass_on(name: &str, stderr: Option<impl AsyncRead + Unpin>) {
    tokio::time::sleep(limit::NOTICE_AFTER).await;
    out::note(&format!("waiting for credential plugin {name}"));
    let Some(mut stderr) = stderr else {
        return;
    };
    let (mut chunk, mut shown) = ([0; 8192], 0);
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        shown += length;
        // Keep reading: a full pipe would block the plugin.
        if shown <= MAX_SHOWN {
            let text = String::from_utf8_lossy(&chunk[..length]);
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines.for_each(|line| out::note(&format!("{name}: {line}")));
        }
    }
}

/// Finds the program as Go does: in the PATH of this process, not in the PATH that the plugin gets, and never
/// relative to the current directory.
fn program(command: &str) -> Option<PathBuf> {
    if command.contains('/') {
        return Some(command.into());
    }
    let is_program = |path: &PathBuf| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).map(|folder| folder.join(command));
    all.find(is_program).filter(|path| path.is_absolute())
}

fn spawn(exec: &ExecConfig) -> Result<Child, Failed> {
    let command = exec.command.as_deref().unwrap_or_default();
    let terminal = std::io::stdin().is_terminal();
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) && !terminal {
        return Err(Failed::by("needs a terminal, and there is none"));
    }
    let asks = may_ask(exec, terminal);
    let (stdin, stderr) = match asks {
        true => (Stdio::inherit(), Stdio::inherit()),
        false => (Stdio::null(), Stdio::piped()),
    };
    let environment = exec.env.iter().flatten();
    let environment = environment.filter_map(|e| Some((e.get("name")?, e.get("value")?)));
    let info = json!({
        "apiVersion": exec.api_version,
        "kind": "ExecCredential",
        "spec": {"interactive": asks, "cluster": exec.cluster},
    });
    let failed = |error: io::Error| Failed {
        cause: format!(
            "could not be started: {}",
            crate::problem::root_cause(&error)
        ),
        fix: hint(exec).or_else(|| Some(format!("install {}", quoted(command)))),
    };
    let absent = || failed(io::Error::from_raw_os_error(libc::ENOENT));
    Command::new(program(command).ok_or_else(absent)?)
        .args(exec.args.iter().flatten())
        .envs(environment)
        .env("KUBERNETES_EXEC_INFO", info.to_string())
        .stdin(stdin)
        .stderr(stderr)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn user(script: &str) -> AuthInfo {
        let exec =
            json!({"exec": {"apiVersion": "v", "command": "/bin/sh", "args": ["-c", script]}});
        serde_json::from_value(exec).unwrap()
    }

    #[tokio::test]
    async fn the_credentials_of_a_plugin_replace_it() {
        let given = run(&user(
            "printf 'apiVersion: v\nkind: ExecCredential\nstatus: {token: \"%s\"}' \"$(echo $KUBERNETES_EXEC_INFO | wc -l)\"",
        ))
        .await
        .unwrap();
        assert_eq!(given.token.unwrap().expose_secret(), "1");
        assert!(given.exec.is_none());
    }

    #[tokio::test]
    async fn a_failing_plugin_is_named_without_its_output() {
        for (script, error) in [
            (
                "echo s3cret >&2; exit 3",
                "failed (exit status: 3); its output is hidden because it may contain a token; kubectl shows it",
            ),
            ("echo '{\"status\": \"s3cret'", "printed no ExecCredential"),
            (
                r#"echo '{"kind": "ExecCredential", "apiVersion": "w", "status": {"token": "s3cret"}}'"#,
                "printed an ExecCredential whose apiVersion is not the kubeconfig's",
            ),
            (
                "printf 'kind: ExecCredential\napiVersion: v'",
                "printed an ExecCredential without status",
            ),
            (
                "printf 'kind: ExecCredential\napiVersion: v\nstatus: {token: \"\"}'",
                "printed neither a token nor a certificate",
            ),
            (
                "printf 'kind: ExecCredential\napiVersion: v\nstatus: {clientKeyData: s3cret}'",
                "printed only one of certificate and key",
            ),
            (
                r#"printf '%s' '{"kind": "ExecCredential", "apiVersion": "v", "status": {"token": "s3\ncret"}}'"#,
                "returned unusable credentials: the token contains a line break or another control character",
            ),
        ] {
            let shown = run(&user(script)).await.unwrap_err().to_string();
            assert_eq!(shown, format!("credential plugin /bin/sh {error}"));
        }
        let mut missing = user("");
        missing.exec.as_mut().unwrap().command = Some("/nowhere/plugin".into());
        let problem = run(&missing).await.unwrap_err();
        assert_eq!(
            problem.to_string(),
            "credential plugin /nowhere/plugin could not be started: No such file or directory"
        );
        assert_eq!(problem.fix.as_deref(), Some("install /nowhere/plugin"));
        let hint = format!("install it\n\u{1b}[31m with: {}", "x".repeat(9000));
        missing.exec.as_mut().unwrap().install_hint = Some(hint);
        let fix = run(&missing).await.unwrap_err().fix.unwrap();
        assert!(fix.starts_with("install it [31m with: xx"), "{fix}");
        assert_eq!(fix.len(), MAX_HINT);
    }
}
