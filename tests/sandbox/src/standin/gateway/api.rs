//! What is read of the Gateway API's kinds.

use serde::Deserialize;

/// A listener of a Gateway.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    pub name: String,
    pub port: u16,
    pub protocol: String,
    pub hostname: Option<String>,
    #[serde(default)]
    pub allowed_routes: AllowedRoutes,
}

#[derive(Clone, Default, PartialEq, Eq, Hash, Debug, Deserialize)]
#[serde(default)]
pub struct AllowedRoutes {
    pub namespaces: From,
}

#[derive(Clone, Default, PartialEq, Eq, Hash, Debug, Deserialize)]
#[serde(default)]
pub struct From {
    pub from: Option<String>,
}

/// The spec of an HTTPRoute.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Route {
    pub parent_refs: Vec<Reference>,
    pub hostnames: Vec<String>,
    pub rules: Vec<Rule>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub struct Reference {
    pub kind: Option<String>,
    pub name: String,
    pub namespace: Option<String>,
    pub section_name: Option<String>,
    pub port: Option<u16>,
    pub weight: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    pub matches: Vec<Match>,
    pub filters: Vec<serde_json::Value>,
    pub backend_refs: Vec<Reference>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Match {
    pub path: Option<Typed>,
    pub method: Option<String>,
    pub headers: Vec<Typed>,
    pub query_params: Vec<Typed>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Typed {
    pub r#type: Option<String>,
    pub name: String,
    pub value: String,
}

impl Listener {
    pub fn admits(&self, route: &str, own: &str) -> bool {
        match self.allowed_routes.namespaces.from.as_deref() {
            Some("All") => true,
            None | Some("Same") => route == own,
            // By labels of namespaces, which nothing here reads: stricter than the real one.
            Some(_) => false,
        }
    }
}

impl Reference {
    pub fn is(&self, gateway: &str, namespace: &str, own: &str, listener: &Listener) -> bool {
        self.kind.as_deref().unwrap_or("Gateway") == "Gateway"
            && self.name == gateway
            && self.namespace.as_deref().unwrap_or(own) == namespace
            && self
                .section_name
                .as_ref()
                .is_none_or(|name| *name == listener.name)
            && self.port.is_none_or(|port| port == listener.port)
    }
}
