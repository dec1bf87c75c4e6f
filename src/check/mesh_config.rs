//! The part of istiod's configuration that must be the same in all clusters of a mesh. Anyone who may write the
//! ConfigMap chooses every byte of it.

use serde::Deserialize;

use super::Finding;
use super::facts::Facts;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::progress::ObjectId;
use crate::shell::quoted;
use crate::{visible, yaml};

/// Limits far above any real configuration: bytes, and what aliases may repeat.
const LARGEST: usize = 256 << 10;
const REPEATED: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MeshConfig {
    default_config: Option<ProxyConfig>,
    trust_domain: Option<String>,
    root_namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ProxyConfig {
    mesh_id: Option<String>,
}

impl MeshConfig {
    pub fn mesh_id(&self) -> Option<&str> {
        self.default_config.as_ref()?.mesh_id.as_deref()
    }

    /// With the default of istiod.
    pub fn trust_domain(&self) -> &str {
        self.trust_domain.as_deref().unwrap_or("cluster.local")
    }

    /// The root namespace, in which policies apply to all namespaces, if it is not istio-system.
    fn other_root(&self) -> Option<&str> {
        let root = self.root_namespace.as_deref();
        root.filter(|root| !root.is_empty() && *root != ISTIO_NAMESPACE)
    }
}

/// Returns None if there is no configuration or it may not be read, which another check reports.
pub fn of(facts: &Facts<'_>) -> Option<Result<MeshConfig, String>> {
    let map = facts.mesh_config.as_ref().ok()?.as_ref()?;
    Some(parsed(map.data.as_ref()?.get("mesh")?))
}

/// Whether the configuration prevents other checks from finding what they are for.
pub fn judge(facts: &Facts<'_>) -> Option<Finding> {
    let name = facts.cluster.revision.config_map();
    let object = ObjectId::new("ConfigMap", ISTIO_NAMESPACE, &name);
    let finding = |code, cause| Finding::new(code, facts.cluster, object, cause);
    match of(facts)? {
        Err(why) => {
            let cause =
                format!("is not legible, and meshId and trustDomain are not compared: {why}");
            let look = format!("-n {ISTIO_NAMESPACE} get configmap {name} -o yaml");
            Some(finding(Code::IllegibleMeshConfig, cause).kubectl(facts.cluster, &look))
        }
        Ok(config) => {
            let root = shown(config.other_root()?);
            let cause = format!(
                "says that {root} is the root namespace; policies there hold everywhere and are not looked at"
            );
            let look = format!("-n {} get authorizationpolicies", quoted(&root));
            Some(finding(Code::OtherRootNamespace, cause).kubectl(facts.cluster, &look))
        }
    }
}

/// Shortens a text to what a line holds.
pub fn shown(text: &str) -> String {
    visible::short(text, visible::SAID).into_owned()
}

/// Fields that are not compared may have any form that istiod accepts.
fn parsed(text: &str) -> Result<MeshConfig, String> {
    if text.len() > LARGEST {
        return Err(format!("it has more than {} KiB", LARGEST >> 10));
    }
    if text.trim().is_empty() {
        return Ok(MeshConfig::default());
    }
    let options = serde_yaml::options! {
        duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::LastWins,
        no_schema: true,
        with_snippet: false,
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: REPEATED },
    };
    let config = serde_yaml::from_str_with_options::<Option<MeshConfig>>(text, options);
    let config = config.map_err(|error| shown(&yaml::describe(&error)))?;
    Ok(config.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_istiod_takes_is_read_as_istiod_reads_it() {
        for (text, mesh_id, trust_domain) in [
            ("", None, "cluster.local"),
            ("defaultConfig: null\ntrustDomain: td\n", None, "td"),
            (
                "enableTracing: yes\ntrustDomain: b\ndefaultConfig: {meshId: m, proxyMetadata: {A: \"1\"}}\nenableTracing: no\n",
                Some("m"),
                "b",
            ),
            (
                r#"{"defaultConfig": {"meshId": "m"}}"#,
                Some("m"),
                "cluster.local",
            ),
        ] {
            let config = parsed(text).unwrap();
            assert_eq!(config.mesh_id(), mesh_id, "{text}");
            assert_eq!(config.trust_domain(), trust_domain, "{text}");
        }
        let root = |text| parsed(text).unwrap().other_root().map(str::to_owned);
        assert_eq!(root("rootNamespace: istio-system"), None);
        assert_eq!(root("rootNamespace: elsewhere"), Some("elsewhere".into()));
    }

    #[test]
    fn attack_15_a_mesh_configuration_of_any_kind_is_read_or_refused_in_a_line() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..30 {
            let last = level - 1;
            let all = vec![format!("*a{last}"); 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{all}]\n");
        }
        for text in [
            bomb,
            "[".repeat(200_000),
            "{a: ".repeat(50_000),
            "trustDomain: [\n".into(),
            "trustDomain: 123\n".into(),
            "- a list\n".into(),
            "a: b\n---\na: c\n".into(),
            format!("{}: [\n", "\x1b]52;c;".repeat(10_000)),
            format!("trustDomain: {{{}: 1}}\n", "x".repeat(200_000)),
            "# \n".repeat(LARGEST),
        ] {
            let why = parsed(&text).unwrap_err();
            assert!(why.chars().count() <= visible::SAID + 1, "{why}");
        }
        let long = parsed(&format!("trustDomain: {}\n", "x".repeat(200_000))).unwrap();
        assert!(shown(long.trust_domain()).chars().count() <= visible::SAID + 1);
    }

    #[test]
    fn whatever_a_mesh_configuration_says_is_read_or_refused() {
        let samples = [
            "defaultConfig:\n  meshId: mesh1\n  discoveryAddress: istiod:15012\nrootNamespace: istio-system\ntrustDomain: cluster.local\n",
            "defaultConfig: &a {meshId: m}\nother: *a\nenablePrometheusMerge: true\n",
        ];
        crate::fuzz::fuzz("the mesh configuration", &samples, |input| {
            let _ = parsed(&String::from_utf8_lossy(input));
        });
    }
}
