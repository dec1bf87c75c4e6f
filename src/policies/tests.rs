use super::*;
use serde_json::json;

fn policy(spec: Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "p", "namespace": "istio-system"}, "spec": spec,
    }))
    .unwrap()
}

fn denied(specs: &[Value]) -> bool {
    let all = specs.iter().cloned().map(policy).collect::<Vec<_>>();
    denying(&all).is_some()
}

#[test]
fn a_policy_that_surely_denies_a_scrape_is_found() {
    let of_mesh = json!({"from": [{"source": {"principals": ["*"]}}]});
    let gateway =
        json!({"matchLabels": {"gateway.networking.k8s.io/gateway-name": "prometheus-gateway"}});
    for specs in [
        vec![json!({})],
        vec![json!({"action": "ALLOW"})],
        vec![json!({"rules": []})],
        vec![json!({"action": "DENY", "rules": [{}]})],
        vec![json!({"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["*"]}}]}]})],
        vec![json!({"action": "DENY", "rules": [{"to": [{"operation": {"ports": ["9090"]}}]}]})],
        vec![json!({"rules": [of_mesh]})],
        vec![json!({"rules": [{"to": [{"operation": {"methods": ["POST"]}}]}]})],
        vec![json!({"rules": [{"to": [{"operation": {"notPorts": ["9090"]}}]}]})],
        vec![json!({"rules": [{"when": [{"key": "request.auth.claims[a]", "values": ["b"]}]}]})],
        vec![json!({"selector": gateway})],
        vec![json!({"targetRefs": [{"kind": "Gateway", "name": "prometheus-gateway"}]})],
        vec![json!({"targetRef": {"kind": "GatewayClass", "name": "istio"}})],
        vec![
            json!({"rules": [{}]}),
            json!({"action": "DENY", "rules": [{}]}),
        ],
        vec![json!({}), json!({"rules": [of_mesh]})],
    ] {
        assert!(denied(&specs), "{specs:?}");
    }
    let open = json!({"rules": [{"to": [{"operation": {"ports": ["9090"]}}]}]});
    for specs in [
        vec![],
        vec![json!({"rules": [{}]})],
        vec![json!({}), open],
        vec![json!({"rules": [{"to": [{"operation": {"paths": ["/fed*"], "methods": ["GET"]}}]}]})],
        vec![json!({"rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]}]})],
        vec![json!({"selector": {"matchLabels": {"app": "web"}}})],
        vec![json!({"targetRefs": [{"kind": "Service", "name": "web"}]})],
        vec![json!({"action": "DENY"})],
        vec![json!({"action": "DENY", "rules": [of_mesh]})],
        vec![json!({"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/api*"]}}]}]})],
        vec![
            json!({"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["*"], "notPaths": ["/federate"]}}]}]}),
        ],
        vec![json!({"action": "AUDIT", "rules": [{}]})],
        vec![json!({"action": "CUSTOM", "rules": [{}]})],
        vec![json!({"rules": "nonsense", "action": "DENY"})],
    ] {
        assert!(!denied(&specs), "{specs:?}");
    }
}

#[test]
fn a_network_policy_that_allows_nothing_is_found() {
    let policy = |spec: Value| -> NetworkPolicy {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    };
    let said = |specs: &[Value]| {
        let all = specs.iter().cloned().map(policy).collect::<Vec<_>>();
        let found = cut_off(&all, OF_THE_MESH);
        found.into_iter().map(|(_, said)| said).collect::<Vec<_>>()
    };
    let all = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    let (gateway, server) = (GATEWAY.what, PROMETHEUS.what);
    assert_eq!(
        said(std::slice::from_ref(&all)),
        [format!(
            "allows nothing to {gateway}, nothing from {gateway}, nothing to {server}, nothing from {server}"
        )]
    );
    let into = format!("allows nothing to {gateway}, nothing to {server}");
    assert_eq!(
        said(&[json!({"podSelector": {}})]),
        std::slice::from_ref(&into)
    );
    // Traffic that another policy allows is allowed.
    let open = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]});
    assert_eq!(said(&[all.clone(), open]), [into]);
    let of_prometheus = json!({
        "podSelector": {"matchExpressions": [
            {"key": "app.kubernetes.io/name", "operator": "In", "values": ["prometheus"]},
            {"key": "tier", "operator": "DoesNotExist"},
        ]},
        "policyTypes": ["Ingress"],
    });
    assert_eq!(
        said(&[of_prometheus]),
        [format!("allows nothing to {server}")]
    );
    for harmless in [
        json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}),
        json!({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}),
        json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}),
    ] {
        assert_eq!(
            said(std::slice::from_ref(&harmless)),
            Vec::<String>::new(),
            "{harmless}"
        );
    }
}
