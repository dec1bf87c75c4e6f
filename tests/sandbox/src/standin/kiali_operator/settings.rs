//! The settings from the operator's own Deployment. If they are missing, the real operator starts and does nothing.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};

#[derive(Debug, PartialEq)]
pub(super) struct Settings {
    /// None for all namespaces.
    pub(super) watch_namespace: Option<String>,
    /// Namespace and name of its own pod, if the Deployment passes them.
    pub(super) pod: Option<(String, String)>,
    pub(super) ad_hoc_image: bool,
    pub(super) ad_hoc_namespace: bool,
}

impl Settings {
    pub(super) fn of(container: &Container, pod: &Pod) -> Result<Settings, String> {
        let env: BTreeMap<&str, String> = container
            .env
            .iter()
            .flatten()
            .filter_map(|e| Some((e.name.as_str(), value(e, pod)?)))
            .collect();
        let args: Vec<String> = container
            .args
            .iter()
            .flatten()
            .map(|a| expand(a, &env))
            .collect();
        // Without the flag, the real operator looks for ./watches.yaml, which does not exist in its image.
        let file = args
            .iter()
            .find_map(|a| a.strip_prefix("--watches-file="))
            .or_else(|| {
                args.iter()
                    .position(|a| a == "--watches-file")
                    .map(|i| next(&args, i))
            })
            .unwrap_or("./watches.yaml");
        let known = [
            "watches-k8s.yaml",
            "watches-os.yaml",
            "watches-k8s-ns.yaml",
            "watches-os-ns.yaml",
        ];
        if !known.contains(&file.trim_start_matches("./")) {
            return Err(format!("open {file}: no such file or directory"));
        }
        let text = |name: &str| env.get(name).filter(|v| !v.is_empty()).cloned();
        Ok(Settings {
            watch_namespace: text("WATCH_NAMESPACE"),
            pod: text("POD_NAMESPACE").zip(text("POD_NAME")),
            ad_hoc_image: text("ALLOW_AD_HOC_KIALI_IMAGE").as_deref() == Some("true"),
            ad_hoc_namespace: text("ALLOW_AD_HOC_KIALI_NAMESPACE").as_deref() == Some("true"),
        })
    }
}

fn next(args: &[String], i: usize) -> &str {
    args.get(i + 1).map_or("", String::as_str)
}

fn value(variable: &EnvVar, pod: &Pod) -> Option<String> {
    let from = variable
        .value_from
        .as_ref()
        .and_then(|f| f.field_ref.as_ref());
    match from.map(|f| f.field_path.as_str()) {
        None => variable.value.clone(),
        Some("metadata.name") => pod.metadata.name.clone(),
        Some("metadata.namespace") => pod.metadata.namespace.clone(),
        Some(_) => None,
    }
}

/// Expands `$(NAME)` like the kubelet. An unknown name stays unchanged.
fn expand(arg: &str, env: &BTreeMap<&str, String>) -> String {
    env.iter().fold(arg.to_string(), |arg, (name, value)| {
        arg.replace(&format!("$({name})"), value)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(args: &[&str], env: serde_json::Value) -> Result<Settings, String> {
        let container = json!({"name": "operator", "args": args, "env": env});
        let pod = json!({"metadata": {"name": "operator-1", "namespace": "kiali"}});
        Settings::of(
            &serde_json::from_value(container).unwrap(),
            &serde_json::from_value(pod).unwrap(),
        )
    }

    #[test]
    fn reads_the_charts_deployment() {
        let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
        let settings = of(
            &["--watches-file=./$(WATCHES_FILE)"],
            json!([
                {"name": "WATCH_NAMESPACE", "value": ""},
                {"name": "POD_NAME", "valueFrom": field("metadata.name")},
                {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
                {"name": "WATCHES_FILE", "value": "watches-k8s.yaml"},
            ]),
        )
        .unwrap();
        assert_eq!(settings.watch_namespace, None);
        assert_eq!(settings.pod, Some(("kiali".into(), "operator-1".into())));
        assert!(!settings.ad_hoc_image);
    }

    #[test]
    fn does_not_start_without_a_watches_file() {
        assert!(of(&[], json!([])).is_err());
        assert!(of(&["--watches-file=./$(WATCHES_FILE)"], json!([])).is_err());
    }
}
