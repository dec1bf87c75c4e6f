//! Credential plugins of a kubeconfig, run here and not by kube: kube waits for one without an end,
//! shows what it says, which may be a token, and judges by this machine's clock when to ask again.

use std::io::IsTerminal;
use std::process::{Output, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::kubeconfig::{may_ask, token_is_sound};
use crate::code::Code;
use crate::problem::{Exit, Problem};
use crate::shell::quoted;

/// For a program, and for a person whom it asks.
const PATIENCE: Duration = Duration::from_secs(20);
const PERSON: Duration = Duration::from_secs(300);

/// Of what the kubeconfig says to people without the program.
const HINT: usize = 400;

/// A plugin may say what it must not be heard saying.
const HELD_BACK: &str =
    "its own words are held back, as a token may be in them; kubectl shows them";

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
}

/// The same user with what its plugin gives in place of the plugin. The error never has a word of
/// the plugin's own.
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
    let output = output(&exec)
        .await
        .map_err(|Failed { cause, fix }| match fix {
            Some(fix) => failed(cause).fix(fix),
            None => failed(cause),
        })?;
    if !output.status.success() {
        return Err(failed(format!("failed ({}); {HELD_BACK}", output.status)));
    }
    let status = printed(&exec, &output.stdout).map_err(|cause| failed(cause.into()))?;
    if let (Some(certificate), Some(key)) = (status.client_certificate_data, status.client_key_data)
    {
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    user.token = status.token.map(Into::into);
    token_is_sound(&user)
        .map_err(|cause| failed(format!("gave credentials of no use: {cause}")))?;
    Ok(user)
}

/// As kubectl takes it. Not the parser's error: it quotes the text.
fn printed(exec: &ExecConfig, stdout: &[u8]) -> Result<Status, &'static str> {
    let none = "printed no ExecCredential";
    let text = std::str::from_utf8(stdout).map_err(|_| none)?;
    let credential: Credential = serde_yaml::from_str(text).map_err(|_| none)?;
    if credential.kind.as_deref() != Some("ExecCredential") {
        return Err(none);
    }
    if credential.api_version != exec.api_version {
        return Err("printed an ExecCredential of another apiVersion than the kubeconfig's");
    }
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let status = credential
        .status
        .ok_or("printed an ExecCredential without status")?;
    let status = Status {
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

/// What the kubeconfig says of a program that is not there, in one line and not for ever.
fn hint(exec: &ExecConfig) -> Option<String> {
    let hint = exec.install_hint.as_deref()?;
    let words = hint.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = words.chars().filter(|c| !c.is_control());
    let hint: String = plain.take(HINT).collect();
    (!hint.is_empty()).then_some(hint)
}

async fn output(exec: &ExecConfig) -> Result<Output, Failed> {
    let command = exec.command.as_deref().unwrap_or_default();
    let terminal = std::io::stdin().is_terminal();
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) && !terminal {
        return Err(Failed::by("asks for a terminal, and there is none"));
    }
    let asks = may_ask(exec, terminal);
    let stream = || {
        if asks {
            Stdio::inherit()
        } else {
            Stdio::null()
        }
    };
    let environment = exec.env.iter().flatten();
    let environment = environment.filter_map(|e| Some((e.get("name")?, e.get("value")?)));
    let info = json!({
        "apiVersion": exec.api_version,
        "kind": "ExecCredential",
        "spec": {"interactive": asks, "cluster": exec.cluster},
    });
    let started = Command::new(command)
        .args(exec.args.iter().flatten())
        .envs(environment)
        .env("KUBERNETES_EXEC_INFO", info.to_string())
        .stdin(stream())
        .stderr(stream())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failed {
            cause: format!("does not start: {}", crate::problem::root_cause(&error)),
            fix: hint(exec).or_else(|| Some(format!("install {}", quoted(command)))),
        })?;
    let patience = if asks { PERSON } else { PATIENCE };
    match tokio::time::timeout(patience, started.wait_with_output()).await {
        Ok(ended) => ended.map_err(|error| Failed::by(format!("broke: {error}"))),
        Err(_) => Err(Failed::by(format!(
            "gave no answer in {} s",
            patience.as_secs()
        ))),
    }
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
    async fn what_a_plugin_prints_takes_its_place() {
        let given = run(&user(
            "echo \"{apiVersion: v, kind: ExecCredential, status: {token: \\\"$(echo $KUBERNETES_EXEC_INFO | wc -l)\\\"}}\"",
        ))
        .await
        .unwrap();
        assert_eq!(given.token.unwrap().expose_secret(), "1");
        assert!(given.exec.is_none());
    }

    #[tokio::test]
    async fn a_plugin_that_fails_is_named_and_not_repeated() {
        for (script, error) in [
            (
                "echo s3cret >&2; exit 3",
                "failed (exit status: 3); its own words are held back, as a token may be in them; kubectl shows them",
            ),
            ("echo '{\"status\": \"s3cret'", "printed no ExecCredential"),
            (
                "echo '{kind: ExecCredential, apiVersion: w, status: {token: s3cret}}'",
                "printed an ExecCredential of another apiVersion than the kubeconfig's",
            ),
            (
                "echo '{kind: ExecCredential, apiVersion: v}'",
                "printed an ExecCredential without status",
            ),
            (
                "echo '{kind: ExecCredential, apiVersion: v, status: {token: \"\"}}'",
                "printed neither a token nor a certificate",
            ),
            (
                "echo '{kind: ExecCredential, apiVersion: v, status: {clientKeyData: s3cret}}'",
                "printed only one of certificate and key",
            ),
            (
                r#"printf '%s' '{"kind": "ExecCredential", "apiVersion": "v", "status": {"token": "s3\ncret"}}'"#,
                "gave credentials of no use: the token has a line end or another control character in it",
            ),
        ] {
            let said = run(&user(script)).await.unwrap_err().to_string();
            assert_eq!(said, format!("credential plugin /bin/sh {error}"));
        }
        let mut missing = user("");
        missing.exec.as_mut().unwrap().command = Some("/nowhere/plugin".into());
        let problem = run(&missing).await.unwrap_err();
        assert_eq!(
            problem.to_string(),
            "credential plugin /nowhere/plugin does not start: No such file or directory"
        );
        assert_eq!(problem.fix.as_deref(), Some("install /nowhere/plugin"));
        let hint = format!("install it\n\u{1b}[31m with: {}", "x".repeat(9000));
        missing.exec.as_mut().unwrap().install_hint = Some(hint);
        let fix = run(&missing).await.unwrap_err().fix.unwrap();
        assert!(fix.starts_with("install it [31m with: xx"), "{fix}");
        assert_eq!(fix.len(), HINT);
    }
}
