//! The bootstrap configuration of an Envoy: its identity, the address of istiod, and where it reports that it is ready.
//! The agent in the image generates the same from the same pod.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use crate::mesh::TAG;
use crate::standin::container::Container;

/// The prefix of settings from istiod that the agent returns to istiod as metadata of its node.
const SETTING: &str = "ISTIO_META_";
const TOKEN: &str = "/var/run/secrets/tokens/istio-token";
const CA: &str = "/var/run/secrets/istio/root-cert.pem";
/// The host name in istiod's certificate.
const ISTIOD: &str = "istiod.istio-system.svc";
const ADMIN: u16 = 15000;
const READINESS: u16 = 15021;

pub fn of(container: &Container) -> Result<Value> {
    let read = |path: &str| {
        let file = container.path(path);
        let file = file.with_context(|| format!("nothing is mounted at {path}"))?;
        fs::read_to_string(file).with_context(|| format!("cannot read {path}"))
    };
    let (token, ca) = (read(TOKEN)?, read(CA)?);
    let ip = container.ip.to_string();
    let istiod = json!({"envoy_grpc": {"cluster_name": "istiod"}});
    let source = json!({"ads": {}, "resource_api_version": "V3"});
    Ok(json!({
        "node": node(container)?,
        "admin": {"address": address(&ip, ADMIN)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{
                    "envoy_grpc": istiod["envoy_grpc"],
                    "initial_metadata": [
                        {"key": "authorization", "value": format!("Bearer {token}")},
                        {"key": "clusterid", "value": container.cluster.name()},
                    ],
                }],
            },
            "cds_config": source,
            "lds_config": source,
        },
        "static_resources": {
            "clusters": [xds(container.cluster.istiod_xds_port(), &ca), admin(&ip)],
            "listeners": [readiness(&ip)],
        },
    }))
}

/// Returns the identity of the proxy. istiod uses it to find the Gateway and to decide what the proxy may see.
fn node(container: &Container) -> Result<Value> {
    let pod = &container.pod;
    let namespace = pod.namespace().context("a pod without a namespace")?;
    let (name, ip) = (pod.name_any(), container.ip);
    let settings = container.spec.env.iter().flatten().filter_map(|variable| {
        let name = variable.name.strip_prefix(SETTING)?;
        Some((name.to_owned(), json!(variable.value.as_ref()?)))
    });
    let mut metadata: Map<String, Value> = settings.collect();
    let workload = metadata.get("WORKLOAD_NAME").and_then(Value::as_str);
    let workload = workload.unwrap_or(&name).to_owned();
    let account = pod
        .spec
        .as_ref()
        .and_then(|s| s.service_account_name.as_ref());
    let own = BTreeMap::from([
        ("NAME", json!(name)),
        ("NAMESPACE", json!(namespace)),
        ("INSTANCE_IPS", json!(ip)),
        ("SERVICE_ACCOUNT", json!(account)),
        ("ISTIO_VERSION", json!(TAG)),
        ("LABELS", json!(pod.labels())),
        ("ANNOTATIONS", json!(pod.annotations())),
    ]);
    metadata.extend(own.into_iter().map(|(key, value)| (key.to_owned(), value)));
    Ok(json!({
        "id": format!("router~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local"),
        "cluster": format!("{workload}.{namespace}"),
        "metadata": metadata,
    }))
}

fn address(ip: &str, port: u16) -> Value {
    json!({"socket_address": {"address": ip, "port_value": port}})
}

fn cluster(name: &str, ip: &str, port: u16) -> Value {
    let endpoint = json!({"endpoint": {"address": address(ip, port)}});
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    })
}

fn xds(port: u16, ca: &str) -> Value {
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let mut cluster = cluster("istiod", "127.0.0.1", port);
    cluster["typed_extension_protocol_options"] = json!({options: {
        "@type": format!("type.googleapis.com/{options}"),
        "explicit_http_config": {"http2_protocol_options": {}},
    }});
    let name = json!({"san_type": "DNS", "matcher": {"exact": ISTIOD}});
    cluster["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": ISTIOD,
            "common_tls_context": {"validation_context": {
                "trusted_ca": {"inline_string": ca},
                "match_typed_subject_alt_names": [name],
            }},
        },
    });
    cluster
}

fn admin(ip: &str) -> Value {
    cluster("admin", ip, ADMIN)
}

/// Returns the listener for the probes of the pod, which is ready when istiod's configuration was received.
fn readiness(ip: &str) -> Value {
    let route = json!({
        "match": {"path": "/healthz/ready"},
        "route": {"cluster": "admin", "prefix_rewrite": "/ready"},
    });
    let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    let hcm = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({
        "name": "readiness",
        "address": address(ip, READINESS),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": format!("type.googleapis.com/{hcm}"),
                "stat_prefix": "readiness",
                "route_config": {
                    "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}],
                },
                "http_filters": [{
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": router},
                }],
            },
        }]}],
    })
}
