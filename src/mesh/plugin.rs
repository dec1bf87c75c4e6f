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

/// For a program, and for a person whom it asks.
const PATIENCE: Duration = Duration::from_secs(20);
const PERSON: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
struct Credential {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Whether these credentials come from a plugin: it is the last thing that kube looks at.
pub fn is_used(user: &AuthInfo) -> bool {
    let basic = user.username.is_some() && user.password.is_some();
    let fixed = user.token.is_some() || user.token_file.is_some() || user.auth_provider.is_some();
    user.exec.is_some() && !fixed && !basic
}

/// The same user with what its plugin gives in place of the plugin. The error never has a word of
/// the plugin's own.
pub async fn run(user: &AuthInfo) -> Result<AuthInfo, String> {
    let mut user = user.clone();
    let Some(exec) = user.exec.take() else {
        return Ok(user);
    };
    let name = exec.command.clone().unwrap_or_default();
    let failed = |cause: String| format!("credential plugin {name} {cause}");
    let output = output(&exec).await.map_err(failed)?;
    if !output.status.success() {
        return Err(failed(format!("failed ({})", output.status)));
    }
    // Not the parser's error: it quotes the text.
    let credential: Option<Credential> = std::str::from_utf8(&output.stdout)
        .ok()
        .and_then(|text| serde_yaml::from_str(text).ok());
    let status = credential.and_then(|credential| credential.status);
    let status = status.ok_or_else(|| failed("printed no ExecCredential".into()))?;
    if let (Some(certificate), Some(key)) = (status.client_certificate_data, status.client_key_data)
    {
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    user.token = status.token.map(Into::into);
    Ok(user)
}

async fn output(exec: &ExecConfig) -> Result<Output, String> {
    let command = exec.command.as_deref().unwrap_or_default();
    let mode = exec.interactive_mode.clone();
    let terminal = std::io::stdin().is_terminal();
    if mode == Some(ExecInteractiveMode::Always) && !terminal {
        return Err("asks for a terminal, and there is none".into());
    }
    let asks = terminal && mode != Some(ExecInteractiveMode::Never);
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
        .map_err(|error| format!("does not start: {}", crate::problem::root_cause(&error)))?;
    let patience = if asks { PERSON } else { PATIENCE };
    match tokio::time::timeout(patience, started.wait_with_output()).await {
        Ok(ended) => ended.map_err(|error| format!("broke: {error}")),
        Err(_) => Err(format!("gave no answer in {} s", patience.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn user(script: &str) -> AuthInfo {
        let exec = json!({"exec": {"command": "/bin/sh", "args": ["-c", script]}});
        serde_json::from_value(exec).unwrap()
    }

    #[tokio::test]
    async fn what_a_plugin_prints_takes_its_place() {
        let given = run(&user(
            "echo \"{kind: ExecCredential, status: {token: \\\"$(echo $KUBERNETES_EXEC_INFO | wc -l)\\\"}}\"",
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
                "credential plugin /bin/sh failed (exit status: 3)",
            ),
            (
                "echo '{\"status\": \"s3cret'",
                "credential plugin /bin/sh printed no ExecCredential",
            ),
        ] {
            assert_eq!(run(&user(script)).await.unwrap_err(), error);
        }
        let mut missing = user("");
        missing.exec.as_mut().unwrap().command = Some("/nowhere/plugin".into());
        assert_eq!(
            run(&missing).await.unwrap_err(),
            "credential plugin /nowhere/plugin does not start: No such file or directory"
        );
    }
}
