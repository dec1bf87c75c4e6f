//! The parts of config.yaml that Kiali uses. The operator wrote it into the mounted ConfigMap.

use serde_json::Value;

use crate::standin::container::Container;

#[derive(Debug)]
pub(super) struct Config {
    /// The path prefix of all endpoints without a trailing slash: "" or "/kiali".
    pub(super) root: String,
    pub(super) port: u16,
    pub(super) strategy: String,
    /// Only with strategy openid.
    pub(super) openid: Option<OpenId>,
    /// If empty, istiod is asked.
    pub(super) home: String,
    pub(super) prometheus: PrometheusConfig,
    pub(super) dashboards: bool,
}

#[derive(Clone, Debug)]
pub(super) struct OpenId {
    pub(super) issuer: String,
    pub(super) client_id: String,
}

#[derive(Debug)]
pub(super) struct PrometheusConfig {
    pub(super) enabled: bool,
    pub(super) url: String,
    pub(super) health_check_url: String,
    /// Labels added to every query.
    pub(super) scope: Vec<(String, String)>,
}

impl Config {
    pub(super) fn read(container: &Container) -> Result<Config, String> {
        let name = "/kiali-configuration/config.yaml";
        let path = container
            .path(name)
            .ok_or(format!("open {name}: no such file or directory"))?;
        let text = std::fs::read_to_string(path).map_err(|e| format!("open {name}: {e}"))?;
        Config::parse(&text)
    }

    fn parse(text: &str) -> Result<Config, String> {
        let yaml: Value =
            serde_yaml::from_str(text).map_err(|e| format!("failed to parse yaml data. {e}"))?;
        let at = |pointer: &str| yaml.pointer(pointer).cloned().unwrap_or_default();
        let string = |pointer: &str| at(pointer).as_str().unwrap_or_default().to_string();
        let scope = at("/external_services/prometheus/query_scope");
        let scope = scope.as_object().into_iter().flatten();
        Ok(Config {
            root: string("/server/web_root").trim_end_matches('/').to_string(),
            port: at("/server/port")
                .as_u64()
                .and_then(|p| p.try_into().ok())
                .unwrap_or(20001),
            strategy: string("/auth/strategy"),
            openid: (string("/auth/strategy") == "openid").then(|| OpenId {
                issuer: string("/auth/openid/issuer_uri"),
                client_id: string("/auth/openid/client_id"),
            }),
            home: string("/kubernetes_config/cluster_name"),
            prometheus: PrometheusConfig {
                enabled: at("/external_services/prometheus/enabled")
                    .as_bool()
                    .unwrap_or(true),
                url: string("/external_services/prometheus/url")
                    .trim_end_matches('/')
                    .to_string(),
                health_check_url: string("/external_services/prometheus/health_check_url"),
                scope: scope
                    .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_string())))
                    .collect(),
            },
            dashboards: at("/external_services/custom_dashboards/enabled")
                .as_bool()
                .unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_never_ends_with_a_slash() {
        let root = |value: &str| {
            Config::parse(&format!("server: {{web_root: '{value}'}}"))
                .unwrap()
                .root
        };
        assert_eq!(root("/kiali"), "/kiali");
        assert_eq!(root("/kiali/"), "/kiali");
        assert_eq!(root("/"), "");
    }

    #[test]
    fn defaults_where_the_file_says_nothing() {
        let config = Config::parse("auth: {strategy: anonymous}").unwrap();
        assert_eq!(
            (config.port, config.strategy.as_str()),
            (20001, "anonymous")
        );
        assert!(config.prometheus.enabled && config.home.is_empty());
        assert!(Config::parse("a: [").is_err());
    }
}
