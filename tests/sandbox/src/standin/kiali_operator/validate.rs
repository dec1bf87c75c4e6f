//! The checks that fail a Kiali CR before anything is written, in the order of the real role.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::Operator;
use super::apply::failed;
use super::config::Config;

/// Returns the label `version` of the operator's own pod.
pub(super) async fn version(operator: &Operator) -> String {
    let unknown = || "unknown".to_string();
    let Some((namespace, name)) = &operator.settings.pod else {
        return unknown();
    };
    let pods: Api<Pod> = Api::namespaced(operator.container.client.clone(), namespace);
    let pod = pods.get(name).await.ok();
    pod.and_then(|p| p.metadata.labels?.remove("version"))
        .unwrap_or_else(unknown)
}

/// Runs before progress message 2.
pub(super) async fn identity(
    operator: &Operator,
    config: &Config,
    cr: &Value,
) -> Result<(), String> {
    unchanged(config, &cr["status"]["deployment"])?;
    let own = cr["metadata"]["namespace"].as_str().unwrap_or_default();
    if config.namespace != own && !operator.settings.ad_hoc_namespace {
        return Err(format!(
            "The operator is forbidden from installing Kiali in a namespace [{}] that is different from the \
             namespace where the CR was created [{own}]",
            config.namespace
        ));
    }
    let bindings: Api<ClusterRoleBinding> = Api::all(operator.container.client.clone());
    // An error is ignored here. The write fails with it later.
    let binding = bindings.get_opt(&config.instance).await.ok().flatten();
    let subject = binding.and_then(|b| b.subjects?.into_iter().next());
    match subject {
        Some(s)
            if s.name != config.service_account()
                || s.namespace.as_ref() != Some(&config.namespace) =>
        {
            Err(format!(
                "There is already a Kiali Server installed with `deployment.instance_name` of [{}] that has \
                 'deployment.cluster_wide_access' set to true. You must use a different instance name.",
                config.instance
            ))
        }
        _ => Ok(()),
    }
}

fn unchanged(config: &Config, before: &Value) -> Result<(), String> {
    let asked = [
        (
            "instance_name",
            &before["instanceName"],
            json!(config.instance),
        ),
        ("namespace", &before["namespace"], json!(config.namespace)),
        (
            "remote_cluster_resources_only",
            &before["remoteClusterResourcesOnly"],
            json!(config.remote),
        ),
    ];
    for (name, was, is) in asked {
        if !was.is_null() && *was != is {
            let plain = |v: &Value| v.as_str().map_or(v.to_string(), String::from);
            return Err(format!(
                "The deployment.{name} cannot be changed to a different value. It was [{}] but is now [{}]. \
                 In order to install Kiali with a different deployment.{name}, please uninstall Kiali first.",
                plain(was),
                plain(&is)
            ));
        }
    }
    Ok(())
}

/// Checks what the CR asks for, after progress message 2.
pub(super) fn settings(operator: &Operator, config: &Config, version: &str) -> Result<(), String> {
    let (name, tag, digest) = (
        config.text("/deployment/image_name"),
        config.text("/deployment/image_version"),
        config.text("/deployment/image_digest"),
    );
    let ad_hoc = [name, tag, digest].iter().any(|part| !part.is_empty());
    if !config.remote && ad_hoc && !operator.settings.ad_hoc_image {
        let digest = if digest.is_empty() {
            String::new()
        } else {
            format!("@{digest}")
        };
        return Err(format!(
            "The operator is forbidden from accepting a Kiali CR that defines an ad hoc Kiali image \
             [{name}{digest}:{tag}]. Remove spec.deployment.image_name, spec.deployment.image_version, and \
             spec.deployment.image_digest from the Kiali CR."
        ));
    }
    let strategy = config.text("/auth/strategy");
    if !["anonymous", "token", "openid", "header"].contains(&strategy) {
        return Err(format!(
            "Invalid auth.strategy [{strategy}]! Must be one of anonymous, header, openid, token"
        ));
    }
    let own_tag = !["", "operator_version"].contains(&tag);
    if !config.remote && version == "unknown" && !own_tag {
        return Err(
            "Could not determine what the image version should be. Set deployment.image_version \
             to a valid value"
                .into(),
        );
    }
    Ok(())
}

/// Checks the signing key, but only for strategies with a login.
pub(super) fn signing_key(config: &Config) -> Result<(), String> {
    let key = config.text("/login_token/signing_key");
    let from_secret = key.is_empty() || key.starts_with("secret:");
    if config.remote || config.text("/auth/strategy") == "anonymous" || from_secret {
        return Ok(());
    }
    match key.len() {
        16 | 24 | 32 => Ok(()),
        _ => Err("Signing key must be 16, 24 or 32 byte length".into()),
    }
}

pub(super) async fn may_create_roles(operator: &Operator) -> Result<(), String> {
    use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
    let reviews: Api<SelfSubjectAccessReview> = Api::all(operator.container.client.clone());
    for resource in ["clusterroles", "clusterrolebindings"] {
        let question = json!({"metadata": {}, "spec": {"resourceAttributes": {
            "group": "rbac.authorization.k8s.io", "resource": resource, "verb": "create",
        }}});
        let question = serde_json::from_value(question).map_err(|e| e.to_string())?;
        let answer = reviews.create(&PostParams::default(), &question).await;
        let answer = answer.map_err(|e| failed("create", &e))?;
        if !answer.status.is_some_and(|s| s.allowed) {
            return Err(format!(
                "The operator cannot support deployment.cluster_wide_access set to 'true' because it does \
                 not have permissions to create {resource}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_key_is_checked_only_with_a_login() {
        let check = |strategy: &str, key: &str| {
            let spec = json!({"auth": {"strategy": strategy}, "login_token": {"signing_key": key}});
            signing_key(&Config::of(&spec, "kiali"))
        };
        assert!(check("token", "short").is_err());
        assert!(check("token", "0123456789abcdef").is_ok());
        assert!(check("token", "").is_ok());
        assert!(check("anonymous", "short").is_ok());
    }

    #[test]
    fn a_home_cannot_become_a_remote() {
        let remote = json!({"deployment": {"remote_cluster_resources_only": true}});
        let before = json!({"instanceName": "kiali", "namespace": "kiali", "remoteClusterResourcesOnly": false});
        let refused = unchanged(&Config::of(&remote, "kiali"), &before).unwrap_err();
        assert!(
            refused.contains("It was [false] but is now [true]"),
            "{refused}"
        );
        assert!(unchanged(&Config::of(&json!({}), "kiali"), &before).is_ok());
        assert!(unchanged(&Config::of(&remote, "kiali"), &Value::Null).is_ok());
    }
}
