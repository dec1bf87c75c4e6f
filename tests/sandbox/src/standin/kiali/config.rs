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
    pub(super) headers: Vec<(String, String)>,
    pub(super) auth: Auth,
    /// Interval and retention that Kiali is told, for a store that does not say them.
    pub(super) told: Option<(String, String)>,
    /// Labels added to every query.
    pub(super) scope: Vec<(String, String)>,
}

/// How Kiali proves itself. A value that refers to a Secret is in a mounted file.
#[derive(Debug)]
pub(super) enum Auth {
    None,
    Basic(String, String),
    Bearer(String),
}

impl Auth {
    fn of(container: &Container, yaml: &Value) -> Result<Auth, String> {
        let auth = yaml.pointer("/external_services/prometheus/auth");
        let auth = auth.cloned().unwrap_or_default();
        let value = |key: &str| {
            let text = auth[key].as_str().unwrap_or_default();
            if !text.starts_with("secret:") {
                return Ok(text.to_string());
            }
            let name = format!("/kiali-override-secrets/prometheus-{key}/value.txt");
            let path = container
                .path(&name)
                .ok_or(format!("open {name}: no such file"))?;
            std::fs::read_to_string(path).map_err(|e| format!("open {name}: {e}"))
        };
        Ok(match auth["type"].as_str() {
            Some("basic") => Auth::Basic(value("username")?, value("password")?),
            Some("bearer") => Auth::Bearer(value("token")?),
            _ => Auth::None,
        })
    }
}

impl Config {
    pub(super) fn read(container: &Container) -> Result<Config, String> {
        let name = "/kiali-configuration/config.yaml";
        let path = container
            .path(name)
            .ok_or(format!("open {name}: no such file or directory"))?;
        let text = std::fs::read_to_string(path).map_err(|e| format!("open {name}: {e}"))?;
        let mut config = Config::parse(&text)?;
        let yaml = serde_yaml::from_str(&text).map_err(|e| e.to_string())?;
        config.prometheus.auth = Auth::of(container, &yaml)?;
        Ok(config)
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
                headers: strings(&at("/external_services/prometheus/custom_headers")),
                auth: Auth::None,
                told: at("/external_services/prometheus/thanos_proxy/enabled")
                    .as_bool()
                    .filter(|enabled| *enabled)
                    .map(|_| {
                        let proxy = "/external_services/prometheus/thanos_proxy";
                        (
                            string(&format!("{proxy}/scrape_interval")),
                            string(&format!("{proxy}/retention_period")),
                        )
                    }),
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

fn strings(map: &Value) -> Vec<(String, String)> {
    let all = map.as_object().into_iter().flatten();
    all.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_string())))
        .collect()
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
