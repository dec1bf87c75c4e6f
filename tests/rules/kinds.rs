//! Rows 28 and 29: kinds that are not served yet, or not at all.

use ambikiali_sandbox::fault::{Action, Answer, Entry, Fault, Gate, Verb, When};
use serde_json::json;

use crate::answers::behind::Behind;
use crate::support::{get, output, to_an_install, until, unwritten};

const CRDS: &str = "/customresourcedefinitions";

fn unknown_kind() -> Action {
    Action::Answer(Answer {
        code: 404,
        content_type: "text/plain; charset=utf-8",
        retry_after: None,
        body: "404 page not found\n".into(),
    })
}

fn is_operator_or_kiali(entry: &Entry) -> bool {
    let kinds = ["/kialis/kiali", "/deployments/kiali-operator"];
    entry.verb == Verb::Write && kinds.iter().any(|kind| entry.uri.contains(kind))
}

#[test]
fn fault_28_a_kind_that_is_established_late_and_served_later_is_waited_for() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let gate = Gate::closed();
        behind.remote.add(Fault {
            verbs: Verb::WATCHES,
            path: CRDS,
            when: When::Always,
            action: Action::Hold(gate.clone()),
        });
        for proxy in [&behind.home, &behind.remote] {
            proxy.add(Fault {
                verbs: Verb::WRITES,
                path: "/kialis/kiali",
                when: When::First(3),
                action: unknown_kind(),
            });
        }
        let install = behind.start("90s");
        until("all but the operator is there", async || {
            let route = "istio-system/prometheus";
            let version = "gateway.networking.k8s.io/v1";
            let route = get(clusters.remote(), version, "HTTPRoute", route).await;
            let held = |entry: &Entry| entry.uri.contains(CRDS) && entry.verb == Verb::Watch;
            route.is_some() && behind.remote.journal().iter().any(held)
        })
        .await;
        let journal = behind.remote.journal();
        let early = journal.iter().filter(|entry| is_operator_or_kiali(entry));
        assert_eq!(early.count(), 0, "nothing before it is established");
        gate.open();
        output(install).await.succeeded();
        for tries in behind.disturbed(Verb::Write) {
            assert_eq!(tries.len(), 3, "{tries:#?}");
        }
        behind.converged().await;
    });
}

#[test]
fn fault_29_a_cluster_without_the_gateway_api_or_with_an_old_one_is_refused_before_any_write() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let marks = clusters.marks();
        let answer = |body: serde_json::Value| {
            Action::Answer(Answer {
                code: 200,
                content_type: "application/json",
                retry_after: None,
                body: body.to_string(),
            })
        };
        let old =
            json!({"groupVersion": "gateway.networking.k8s.io/v1beta1", "version": "v1beta1"});
        let group = json!({
            "kind": "APIGroup", "apiVersion": "v1", "name": "gateway.networking.k8s.io",
            "versions": [old], "preferredVersion": old,
        });
        let version = json!({
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": "gateway.networking.k8s.io/v1",
            "resources": [{
                "name": "gateways", "singularName": "gateway", "namespaced": true,
                "kind": "Gateway", "verbs": ["get"],
            }],
        });
        let discovery = |path, action| Fault {
            verbs: Verb::READS,
            path,
            when: When::Always,
            action,
        };
        let (whole, v1) = (
            "/apis/gateway.networking.k8s.io",
            "/apis/gateway.networking.k8s.io/v1",
        );
        behind.home.add(discovery(whole, unknown_kind()));
        behind.home.add(discovery(v1, unknown_kind()));
        behind.remote.add(discovery(whole, answer(group)));
        behind.remote.add(discovery(v1, unknown_kind()));
        let ended = behind.install("90s").await.exited(3);
        assert_eq!(
            ended.error(),
            "\
[AK1101] cluster1: API gateway.networking.k8s.io: its CRDs are missing
  fix: kubectl --context cluster1 apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.5.1/standard-install.yaml
error[AK1102]: cluster2: API gateway.networking.k8s.io: is too old: v1beta1 is served, and v1 is needed
  fix: kubectl --context cluster2 apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.5.1/standard-install.yaml
nothing was written
"
        );
        behind.heal();
        behind.remote.add(discovery(v1, answer(version)));
        let ended = behind.install("90s").await.exited(3);
        assert_eq!(
            ended.error(),
            "\
[AK1101] cluster2: API gateway.networking.k8s.io: has no HTTPRoute
  fix: kubectl --context cluster2 apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.5.1/standard-install.yaml
nothing was written
"
        );
        unwritten(&marks);
        behind.heal();
        behind.install("180s").await.succeeded();
    });
}
