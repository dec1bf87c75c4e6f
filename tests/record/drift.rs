//! Drift: `status` shows changes by others, and the next install reverts them and writes nothing else.

use serde_json::json;

use super::{named, recorded};
use crate::support::{get, masked, merge, on_an_install, progress};

const ROUTE: (&str, &str, &str) = (
    "gateway.networking.k8s.io/v1",
    "HTTPRoute",
    "istio-system/prometheus",
);

#[test]
fn an_edit_is_shown_and_undone_by_an_install_that_writes_that_object_only() {
    on_an_install(async |clusters| {
        let home = clusters.home();
        let record = recorded(home).await.expect("a record");
        assert_eq!(
            named(&record),
            [
                "created ClusterRole ambikiali-prometheus",
                "created ClusterRole kiali-operator",
                "created ClusterRoleBinding ambikiali-prometheus",
                "created ClusterRoleBinding kiali-operator",
                "created ConfigMap istio-system/prometheus",
                "created ConfigMap kiali/prometheus-config",
                "created CustomResourceDefinition kialis.kiali.io",
                "created Deployment istio-system/prometheus",
                "created Deployment kiali/kiali-operator",
                "created Deployment kiali/prometheus",
                "created Gateway istio-system/prometheus-gateway",
                "created HTTPRoute istio-system/prometheus",
                "created Kiali kiali/kiali",
                "created Namespace kiali",
                "created Secret istio-system/prometheus-gateway-tls",
                "created Secret kiali/kiali-multi-cluster-secret",
                "created Secret kiali/prometheus-tls",
                "created Service istio-system/prometheus",
                "created Service kiali/prometheus",
                "created ServiceAccount istio-system/prometheus",
                "created ServiceAccount kiali/kiali-operator",
            ]
        );
        let before = get(home, ROUTE.0, ROUTE.1, ROUTE.2).await.unwrap();
        // Exposes all of Prometheus to anyone.
        let backends = &before["spec"]["rules"][0]["backendRefs"];
        let edit = json!({"spec": {"rules": [{"backendRefs": backends}]}});
        merge(home, ROUTE.0, ROUTE.1, ROUTE.2, &edit).await;

        let status = clusters.run(&["status"]).await.exited(1);
        let drifted = "\
              expose prometheus   drifted    HTTPRoute istio-system/prometheus: changed by somebody at TIME: .spec.rules
";
        let shown = masked(&status.stdout);
        assert!(shown.contains(drifted), "{shown}");

        let marks = clusters.marks();
        let ended = clusters.install(&[]).await.succeeded();
        let said = "cluster1      expose prometheus   note     HTTPRoute istio-system/prometheus had been changed at .spec.rules[0].matches[0].method by somebody; it is as it was\n";
        let lines = progress(&ended.stderr);
        assert!(lines.contains(said), "{lines}");
        let [home_writes, remote_writes] = marks.map(|mark| {
            let ours = mark.requests().unwrap().by_agent("ambikiali");
            ours.writes().but_leases()
        });
        let names = home_writes.iter().map(|request| &request.name);
        // Rejected once because of the edit, then reverted.
        assert_eq!(names.collect::<Vec<_>>(), ["prometheus", "prometheus"]);
        assert_eq!(home_writes[0].code, 409);
        assert_eq!(remote_writes.len(), 0, "{remote_writes:#?}");
        let after = get(home, ROUTE.0, ROUTE.1, ROUTE.2).await.unwrap();
        assert_eq!(after["spec"], before["spec"]);
        assert_eq!(recorded(home).await, Some(record));
        clusters.run(&["status"]).await.succeeded();
    });
}
