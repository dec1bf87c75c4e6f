use super::*;
use serde_json::{Value, json};

fn listener(value: Value) -> Result<Listener, serde_json::Error> {
    serde_json::from_value(value)
}

fn route(spec: Value) -> Result<DynamicObject, serde_json::Error> {
    serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": { "name": "r", "namespace": "istio-system" },
        "spec": spec,
    }))
}

fn ask(routes: &[DynamicObject], method: &str, path: &str) -> Result<Decision, serde_json::Error> {
    let listeners = [listener(
        json!({ "name": "http", "port": 9090, "protocol": "HTTP" }),
    )?];
    let asked = Asked {
        method,
        host: "127.0.0.1",
        path,
        headers: vec![],
        query: vec![],
    };
    Ok(decide(
        routes.iter(),
        "istio-system",
        "g",
        &listeners,
        &asked,
    ))
}

fn to(name: &str) -> Decision {
    Decision::Backend {
        namespace: "istio-system".into(),
        name: name.into(),
        port: 9090,
    }
}

fn rule(name: &str, matches: Value) -> Value {
    json!({ "matches": matches, "backendRefs": [{ "name": name, "port": 9090 }] })
}

#[test]
fn only_get_federate() -> Result<(), serde_json::Error> {
    let routes = [route(json!({
        "parentRefs": [{ "name": "g", "port": 9090 }],
        "rules": [rule("p", json!([{ "path": { "type": "Exact", "value": "/federate" }, "method": "GET" }]))],
    }))?];
    assert_eq!(ask(&routes, "GET", "/federate")?, to("p"));
    for (method, path) in [
        ("POST", "/federate"),
        ("GET", "/federate/"),
        ("GET", "/api/v1/query"),
        ("GET", "/federated"),
    ] {
        assert_eq!(
            ask(&routes, method, path)?,
            Decision::NoRoute,
            "{method} {path}"
        );
    }
    Ok(())
}

#[test]
fn a_prefix_ends_at_a_segment() -> Result<(), serde_json::Error> {
    let routes = [route(json!({
        "parentRefs": [{ "name": "g", "sectionName": "http" }],
        "rules": [
            rule("all", json!([{ "path": { "type": "PathPrefix", "value": "/" } }])),
            rule("foo", json!([{ "path": { "type": "PathPrefix", "value": "/foo/" } }])),
            rule("exact", json!([{ "path": { "type": "Exact", "value": "/foo/bar" } }])),
        ],
    }))?];
    assert_eq!(ask(&routes, "GET", "/foo")?, to("foo"));
    assert_eq!(ask(&routes, "GET", "/foo/x")?, to("foo"));
    assert_eq!(ask(&routes, "GET", "/foo/bar")?, to("exact"));
    assert_eq!(ask(&routes, "GET", "/foobar")?, to("all"));
    Ok(())
}

#[test]
fn other_gateways_ports_and_sections() -> Result<(), serde_json::Error> {
    for parent in [
        json!({ "name": "other" }),
        json!({ "name": "g", "port": 80 }),
        json!({ "name": "g", "sectionName": "https" }),
        json!({ "name": "g", "namespace": "elsewhere" }),
        json!({ "name": "g", "kind": "Service" }),
    ] {
        let routes = [route(
            json!({ "parentRefs": [parent], "rules": [rule("p", json!([]))] }),
        )?];
        assert_eq!(ask(&routes, "GET", "/")?, Decision::NoRoute, "{parent}");
    }
    let routes = [route(
        json!({ "parentRefs": [{ "name": "g" }], "rules": [rule("p", json!([]))] }),
    )?];
    assert_eq!(ask(&routes, "GET", "/x")?, to("p"));
    Ok(())
}

#[test]
fn host_names_and_namespaces() -> Result<(), serde_json::Error> {
    assert!(named(None, "a"));
    assert!(named(Some("*.x.com"), "a.x.com"));
    assert!(!named(Some("*.x.com"), "x.com"));
    assert!(!named(Some("b"), "a"));
    let from = |from: &str| {
        let allowed = json!({ "namespaces": { "from": from } });
        listener(json!({ "name": "h", "port": 1, "protocol": "HTTP", "allowedRoutes": allowed }))
    };
    assert!(from("All")?.admits("a", "b"));
    assert!(!from("Same")?.admits("a", "b"));
    assert!(!listener(json!({ "name": "h", "port": 1, "protocol": "HTTP" }))?.admits("a", "b"));
    Ok(())
}
