//! The remove role, which runs for the finalizer. It continues after failures, and leaves remote cluster Secrets, token
//! Secrets and the CRD in place.

use std::time::Duration;

use kube::api::DynamicObject;
use serde_json::json;
use tokio::time::sleep;

use super::Operator;
use super::config::Config;
use super::objects;
use super::reconcile::writer;

pub(super) async fn remove(operator: &Operator, cr: &DynamicObject) {
    let own = cr.metadata.namespace.as_deref().unwrap_or_default();
    let config = Config::of(&cr.data["spec"], own);
    let deployed = &cr.data["status"]["deployment"];
    let instance = deployed["instanceName"]
        .as_str()
        .unwrap_or(&config.instance);
    let namespace = deployed["namespace"].as_str().unwrap_or(&config.namespace);
    let whole = operator.container.world.delays().remove;
    let writer = writer(operator, cr, Duration::ZERO);
    let ignored = |result: Result<(), String>| {
        if let Err(why) = result {
            operator.container.log(format_args!("ignoring: {why}"));
        }
    };
    sleep(whole.mul_f64(0.6)).await;
    let account = format!("{instance}-service-account");
    let viewer = format!("{instance}-viewer");
    let rbac = "rbac.authorization.k8s.io/v1";
    let objects = [
        ("ClusterRoleBinding", rbac, instance),
        ("ClusterRole", rbac, instance),
        ("ClusterRole", rbac, viewer.as_str()),
        ("HorizontalPodAutoscaler", "autoscaling/v2", instance),
        ("PodDisruptionBudget", "policy/v1", instance),
        ("NetworkPolicy", "networking.k8s.io/v1", instance),
        ("Ingress", "networking.k8s.io/v1", instance),
        ("Deployment", "apps/v1", instance),
        ("Service", "v1", instance),
        ("ServiceAccount", "v1", account.as_str()),
        ("RoleBinding", rbac, instance),
        ("Role", rbac, instance),
        ("Role", rbac, viewer.as_str()),
        ("ConfigMap", "v1", instance),
    ];
    for (kind, api, name) in objects {
        ignored(writer.delete(kind, api, name, namespace).await);
    }
    // Another Kiali in the same namespace may use the same key.
    let key = objects::signing_key(&config, "", "");
    let label = format!("kiali.io/{instance}.home");
    if let Ok(Some(secret)) = writer.get(&key).await {
        let labels = secret.metadata.labels.unwrap_or_default();
        let shared = labels
            .keys()
            .any(|l| *l != label && l.starts_with("kiali.io/") && l.ends_with(".home"));
        ignored(match shared {
            true => {
                writer
                    .patch(&key, &json!({"metadata": {"labels": {label: null}}}))
                    .await
            }
            false => {
                writer
                    .delete("Secret", "v1", "kiali-signing-key", namespace)
                    .await
            }
        });
    }
    sleep(whole.mul_f64(0.4)).await;
}
