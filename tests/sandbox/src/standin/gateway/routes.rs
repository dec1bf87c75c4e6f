//! Which backend an HTTPRoute names for a request, by the rules of the Gateway API.

use kube::ResourceExt;
use kube::api::DynamicObject;

use super::api::{Listener, Match, Reference, Route, Rule, Typed};

/// What a request is matched by.
pub struct Asked<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub headers: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
}

/// What a route says should be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    NoRoute,
    /// The route is there, but its rule cannot be served as written.
    Broken(String),
    Backend {
        namespace: String,
        name: String,
        port: u16,
    },
}

/// The most specific match over all routes of the Gateway; the first one among equals.
pub fn decide<'a>(
    routes: impl Iterator<Item = &'a DynamicObject>,
    namespace: &str,
    gateway: &str,
    listeners: &[Listener],
    asked: &Asked<'_>,
) -> Decision {
    let mut best: Option<(Rank, Rule, String)> = None;
    for route in routes {
        let own = route.namespace().unwrap_or_default();
        let spec = route.data.get("spec").cloned().unwrap_or_default();
        let Ok(spec) = serde_json::from_value::<Route>(spec) else {
            continue;
        };
        let bound = listeners.iter().any(|listener| {
            listener.admits(&own, namespace)
                && named(listener.hostname.as_deref(), asked.host)
                && spec
                    .parent_refs
                    .iter()
                    .any(|parent| parent.is(gateway, namespace, &own, listener))
        });
        let hosts = &spec.hostnames;
        if !bound || !(hosts.is_empty() || hosts.iter().any(|h| named(Some(h), asked.host))) {
            continue;
        }
        for rule in spec.rules {
            if let Some(rank) = rule.rank(asked)
                && best.as_ref().is_none_or(|(other, ..)| rank > *other)
            {
                best = Some((rank, rule, own.clone()));
            }
        }
    }
    best.map_or(Decision::NoRoute, |(_, rule, own)| rule.decision(own))
}

/// Exact path, length of the prefix, method, headers, query: the order in which the API ranks.
type Rank = (bool, usize, bool, usize, usize);

impl Rule {
    fn rank(&self, asked: &Asked<'_>) -> Option<Rank> {
        if self.matches.is_empty() {
            return Match::default().rank(asked);
        }
        self.matches.iter().filter_map(|m| m.rank(asked)).max()
    }

    fn decision(&self, own: String) -> Decision {
        if !self.filters.is_empty() {
            return Decision::Broken("filters are not played here".to_owned());
        }
        let backend = self.backend_refs.iter().find(|b| b.weight != Some(0));
        match backend {
            None => Decision::Broken("no backend".to_owned()),
            Some(Reference {
                kind: Some(kind), ..
            }) if kind != "Service" => Decision::Broken(format!("backend of kind {kind}")),
            Some(Reference {
                namespace: Some(other),
                ..
            }) if *other != own => {
                Decision::Broken("backend in another namespace without a ReferenceGrant".to_owned())
            }
            Some(Reference { port: None, .. }) => {
                Decision::Broken("backend without a port".to_owned())
            }
            Some(Reference {
                name,
                port: Some(port),
                ..
            }) => Decision::Backend {
                namespace: own,
                name: name.clone(),
                port: *port,
            },
        }
    }
}

impl Match {
    fn rank(&self, asked: &Asked<'_>) -> Option<Rank> {
        let all = |wanted: &[Typed], given: &[(String, String)], exact: bool| {
            wanted.iter().all(|w| {
                w.r#type.as_deref().unwrap_or("Exact") == "Exact"
                    && given.iter().any(|(name, value)| {
                        let same = if exact {
                            *name == w.name
                        } else {
                            name.eq_ignore_ascii_case(&w.name)
                        };
                        same && *value == w.value
                    })
            })
        };
        let method = self.method.as_deref();
        if method.is_some_and(|method| method != asked.method)
            || !all(&self.headers, &asked.headers, false)
            || !all(&self.query_params, &asked.query, true)
        {
            return None;
        }
        let (exact, length) = self.path(asked.path)?;
        Some((
            exact,
            length,
            method.is_some(),
            self.headers.len(),
            self.query_params.len(),
        ))
    }

    fn path(&self, path: &str) -> Option<(bool, usize)> {
        let Some(wanted) = &self.path else {
            return Some((false, 0));
        };
        match wanted.r#type.as_deref().unwrap_or("PathPrefix") {
            "Exact" => (path == wanted.value).then_some((true, path.len())),
            "PathPrefix" => {
                let prefix = wanted.value.trim_end_matches('/');
                let rest = path.strip_prefix(prefix)?;
                (rest.is_empty() || rest.starts_with('/')).then_some((false, prefix.len()))
            }
            _ => None,
        }
    }
}

/// `*.example.com` is any name below, never the name itself.
fn named(pattern: Option<&str>, host: &str) -> bool {
    match pattern {
        None | Some("") => true,
        Some(pattern) => match pattern.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => pattern.eq_ignore_ascii_case(host),
        },
    }
}

#[cfg(test)]
#[path = "routes_test.rs"]
mod tests;
