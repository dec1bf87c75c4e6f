//! Gateways and routes, as istiod and the API server's defaults show them.

use k8s_openapi::api::core::v1::Service;

use super::*;

fn condition(name: &str, status: &str, generation: u8) -> String {
    format!(
        "{{type: {name}, status: '{status}', reason: Because, message: of that, observedGeneration: {generation}, lastTransitionTime: '2026-01-01T00:00:00Z'}}"
    )
}

fn exposed(conditions: &[String], addresses: &str) -> Health {
    let conditions = conditions.join(", ");
    let yaml = format!(
        "metadata: {{generation: 2}}
spec: {{}}
status: {{conditions: [{conditions}], addresses: [{addresses}]}}"
    );
    gateway(Some(&read(&yaml)))
}

fn good(generation: u8) -> [String; 2] {
    ["Accepted", "Programmed"].map(|name| condition(name, "True", generation))
}

#[test]
fn a_gateway_is_ready_when_it_is_programmed_and_has_an_address() {
    for address in [
        "{type: IPAddress, value: 192.0.2.7}",
        "{type: Hostname, value: lb.example.com}",
    ] {
        assert_eq!(exposed(&good(2), address), Health::Ready);
    }
    for none in ["", "{type: IPAddress, value: ''}"] {
        assert_eq!(
            exposed(&good(2), none),
            waits("programmed, but has no address")
        );
    }
}

#[test]
fn a_gateway_with_a_closed_listener_is_not_ready() {
    let with = |listener: [String; 2]| {
        let (own, listener) = (good(2).join(", "), listener.join(", "));
        let yaml = format!(
            "metadata: {{generation: 2}}
spec: {{}}
status:
  conditions: [{own}]
  addresses: [{{value: 192.0.2.7}}]
  listeners: [{{name: https, conditions: [{listener}]}}]"
        );
        gateway(Some(&read(&yaml)))
    };
    let of = |programmed: &str, refs: &str| {
        with([
            condition("Programmed", programmed, 2),
            condition("ResolvedRefs", refs, 2),
        ])
    };
    assert_eq!(of("True", "True"), Health::Ready);
    assert_eq!(
        of("False", "False"),
        waits("listener https: Programmed=False Because: of that")
    );
    assert_eq!(
        of("True", "False"),
        waits("listener https: ResolvedRefs=False Because: of that")
    );
}

#[test]
fn a_gateway_says_which_condition_lacks() {
    let address = "{value: 192.0.2.7}";
    assert_eq!(
        exposed(&[], address),
        waits("no condition Accepted yet: no controller has handled it")
    );
    assert_eq!(
        exposed(&good(1), address),
        waits("Accepted is of an older generation")
    );
    let pending = [
        condition("Accepted", "True", 2),
        condition("Programmed", "False", 2),
    ];
    assert_eq!(
        exposed(&pending, address),
        waits("Programmed=False Because: of that")
    );
    // The API server's default, of no generation.
    let untouched: Gateway = read(
        "metadata: {generation: 1}
spec: {}
status: {conditions: [{type: Accepted, status: Unknown, reason: Pending, message: Waiting for controller, lastTransitionTime: '1970-01-01T00:00:00Z'}]}",
    );
    assert_eq!(
        gateway(Some(&untouched)),
        waits("Accepted is of an older generation")
    );
}

#[test]
fn the_first_address_that_is_one_is_taken() {
    let addressed = |addresses: &str| {
        let yaml = format!("metadata: {{}}\nspec: {{}}\nstatus: {{addresses: [{addresses}]}}");
        own_address(&read(&yaml), None)
    };
    assert_eq!(addressed(""), None);
    assert_eq!(addressed("{value: ''}"), None);
    assert_eq!(
        addressed("{value: ''}, {value: a}, {value: b}").as_deref(),
        Some("a")
    );
}

#[test]
fn the_address_of_a_load_balancer_is_that_of_the_gateways_own_service() {
    let gateway: Gateway = read(
        "metadata: {}\nspec: {}\nstatus: {addresses: [{value: 203.0.113.9}, {value: 10.96.0.9}]}",
    );
    let service = |kind: &str, ingress: &str| -> Service {
        let status = format!("status: {{loadBalancer: {{ingress: [{ingress}]}}}}");
        let metadata = "metadata: {name: a, namespace: b}";
        read(&format!("{metadata}\nspec: {{type: {kind}}}\n{status}"))
    };
    for (kind, ingress, address) in [
        ("LoadBalancer", "{ip: 203.0.113.7}", Some("203.0.113.7")),
        (
            "LoadBalancer",
            "{hostname: lb.example.com}",
            Some("lb.example.com"),
        ),
        ("LoadBalancer", "", None),
        ("ClusterIP", "", Some("a.b.svc.cluster.local")),
        (
            "NodePort, clusterIPs: [10.96.0.8]",
            "",
            Some("a.b.svc.cluster.local"),
        ),
        ("NodePort, clusterIPs: [10.96.0.9]", "", Some("10.96.0.9")),
        (
            "ClusterIP, externalIPs: [203.0.113.9]",
            "",
            Some("203.0.113.9"),
        ),
    ] {
        let service = service(kind, ingress);
        assert_eq!(own_address(&gateway, Some(&service)).as_deref(), address);
        let ready = load_balancer(Some(&service)) == Health::Ready;
        assert_eq!(ready, address.is_some(), "{kind} {ingress}");
    }
    assert_eq!(load_balancer(None), waits("not found"));
}

#[test]
fn a_route_is_ready_when_it_is_accepted_with_its_backend() {
    let routed = |conditions: &[String]| {
        let conditions = conditions.join(", ");
        let yaml = format!(
            "metadata: {{generation: 2}}
spec: {{}}
status: {{parents: [{{conditions: [{conditions}]}}]}}"
        );
        http_route(Some(&read(&yaml)))
    };
    let both = |generation| ["Accepted", "ResolvedRefs"].map(|n| condition(n, "True", generation));
    assert_eq!(routed(&both(2)), Health::Ready);
    assert_eq!(
        routed(&both(1)),
        waits("Accepted is of an older generation")
    );
    assert_eq!(
        routed(&both(2)[..1]),
        waits("no condition ResolvedRefs yet: no controller has handled it")
    );
    let no_backend = [
        condition("Accepted", "True", 2),
        condition("ResolvedRefs", "False", 2),
    ];
    assert_eq!(
        routed(&no_backend),
        waits("ResolvedRefs=False Because: of that")
    );
    assert_eq!(
        http_route(Some(&read("metadata: {generation: 1}\nspec: {}"))),
        waits("no condition Accepted yet: no controller has handled it")
    );
}
