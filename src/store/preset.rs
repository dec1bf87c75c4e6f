//! The presets of --store, which fill the other options for a known engine.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{Engine, LONGEST, url};

#[derive(Debug)]
pub struct Preset {
    pub engine: Engine,
    pub url: Option<String>,
    pub write_url: Option<String>,
    pub health_url: Option<String>,
    pub headers: BTreeMap<String, String>,
}

impl Default for Preset {
    fn default() -> Preset {
        Preset {
            engine: Engine::Other,
            url: None,
            write_url: None,
            health_url: None,
            headers: BTreeMap::new(),
        }
    }
}

/// The header in which Mimir expects the tenant.
const TENANT: &str = "X-Scope-OrgID";

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Preset, String> {
        if text.len() > 2 * LONGEST {
            return Err("it is too long".into());
        }
        let (engine, rest) = text.split_once('=').unwrap_or((text, ""));
        let mut parts = rest.split(',');
        let base = parts.next().unwrap_or_default();
        let more = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
        let more = more.collect::<Vec<_>>();
        match (engine, more.as_slice()) {
            ("mimir", [("tenant", tenant)]) => mimir(&url(base)?, tenant),
            ("victoriametrics", []) => {
                let base = url(base)?;
                Ok(Preset {
                    engine: Engine::VictoriaMetrics,
                    write_url: Some(format!("{base}/api/v1/write")),
                    url: Some(base),
                    ..Preset::default()
                })
            }
            ("victoriametrics", [("cluster", id)]) => victoria_cluster(&url(base)?, id),
            ("thanos", [("receive", write)]) => thanos(url(base)?, url(write)?),
            ("prometheus", []) => {
                let base = url(base)?;
                Ok(Preset {
                    engine: Engine::Prometheus,
                    write_url: Some(format!("{base}/api/v1/write")),
                    url: Some(base),
                    ..Preset::default()
                })
            }
            _ => Err(
                "use mimir=URL,tenant=NAME, victoriametrics=URL[,cluster=ID], thanos=URL,receive=URL, prometheus=URL or none"
                    .into(),
            ),
        }
    }
}

fn mimir(base: &str, tenant: &str) -> Result<Preset, String> {
    // Several tenants, joined by '|', can be queried but not written to.
    let plain = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
    let good = (1..=150).contains(&tenant.len())
        && tenant.chars().all(plain)
        && !tenant.chars().all(|c| c == '.');
    if !good {
        return Err("a tenant of Mimir has 1 to 150 letters, digits and !-_.*'()".into());
    }
    Ok(Preset {
        engine: Engine::Mimir,
        url: Some(format!("{base}/prometheus")),
        write_url: Some(format!("{base}/api/v1/push")),
        health_url: Some(format!("{base}/ready")),
        headers: BTreeMap::from([(TENANT.into(), tenant.into())]),
    })
}

/// A proxy at one address that leads to both sides, such as vmauth.
fn victoria_cluster(base: &str, id: &str) -> Result<Preset, String> {
    let number = |part: &str| part.parse::<u32>().is_ok_and(|n| n.to_string() == part);
    let parts = id.split(':').collect::<Vec<_>>();
    if parts.len() > 2 || !parts.iter().all(|part| number(part)) {
        return Err("a tenant of VictoriaMetrics is a number, or two with a colon".into());
    }
    Ok(Preset {
        engine: Engine::VictoriaMetrics,
        url: Some(format!("{base}/select/{id}/prometheus")),
        write_url: Some(format!("{base}/insert/{id}/prometheus/api/v1/write")),
        health_url: Some(format!("{base}/health")),
        ..Preset::default()
    })
}

fn thanos(query: String, receive: String) -> Result<Preset, String> {
    let has_path = receive
        .split_once("://")
        .is_some_and(|(_, bare)| bare.contains('/'));
    Ok(Preset {
        engine: Engine::Thanos,
        url: Some(query),
        write_url: Some(match has_path {
            true => receive,
            false => format!("{receive}/api/v1/receive"),
        }),
        ..Preset::default()
    })
}
