//! Gateways whose address is useless on home.

use serde_json::{Value, json};

use crate::support::{BOTH, Clusters, Foreign, get, merge, on_two_clusters, unwritten};

const DEFAULTS: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: gateway-defaults
  namespace: istio-system
  labels: {gateway.istio.io/defaults-for-class: istio}
data:
  service: |
    spec:
      type: TYPE
";
const NAME: &str = "prometheus-gateway-istio.istio-system.svc.cluster.local";

async fn configuration(clusters: &Clusters) -> Option<Value> {
    get(
        clusters.home(),
        "v1",
        "ConfigMap",
        "kiali/prometheus-config",
    )
    .await
}

#[test]
fn case_28_defaults_of_the_gateway_class_that_give_no_address_are_found_before_the_first_write() {
    on_two_clusters(async |clusters| {
        for kind in ["ClusterIP", "NodePort"] {
            let defaults = DEFAULTS.replace("TYPE", kind);
            let foreign = Foreign::apply(clusters.remote(), &defaults).await;
            let marks = clusters.marks();
            let ended = clusters.install(&[]).await.exited(3);
            unwritten(&marks);
            assert_eq!(
                ended.error(),
                format!(
                    "\
[AK1218] cluster2: ConfigMap istio-system/gateway-defaults: makes the Services of GatewayClass istio {kind}: home could not reach the Gateway's address
  fix: name an address that pods of home reach: --prometheus2 HOST:PORT; or let Gateways have load balancers: kubectl --context cluster2 -n istio-system edit configmap gateway-defaults
nothing was written
"
                )
            );
            // Even with --skip-check, home's series never get the remote's name.
            let in_spite = ["--skip-check", "AK1218"];
            let ended = clusters.install(&in_spite).await.exited(1);
            let said = format!(
                "[AK1218] expose prometheus: cluster2: Gateway istio-system/prometheus-gateway: its address {NAME} is a cluster-internal DNS name, which each cluster resolves to a Service of its own; home would not reach the Prometheus of cluster2 by it\n"
            );
            assert!(ended.error().starts_with(&said), "{}", ended.error());
            assert_eq!(configuration(clusters).await, None);
            clusters.cleaned().await;
            foreign.removed().await;
        }
        // Home can resolve its own names.
        let defaults = DEFAULTS.replace("TYPE", "ClusterIP");
        let foreign = Foreign::apply(clusters.home(), &defaults).await;
        let check = [&["check"], &BOTH[..], &["--strict"]].concat();
        clusters.run(&check).await.succeeded();
        foreign.removed().await;
    });
}

#[test]
fn case_28_what_a_user_or_a_status_says_is_refused_when_it_means_nothing_on_home() {
    on_two_clusters(async |clusters| {
        let marks = clusters.marks();
        for host in [
            "prometheus.istio-system.svc",
            "Prometheus.Istio-System.SVC.cluster.local",
            "prometheus.istio-system.svc.corp.example",
            "0.0.0.0",
            "169.254.169.254",
            "[fe80::1]",
            "224.0.0.1",
            "metadata.google.internal",
            "[fd00:ec2::254]",
            "127.1",
            "2130706433",
        ] {
            let at = format!("{host}:9090");
            let named = ["--prometheus2", &at];
            let ended = clusters.install(&named).await.exited(3);
            let error = ended.error();
            let said = format!("[AK1218] cluster2: Prometheus at {at}: its host is ");
            assert!(error.starts_with(&said), "{host}: {error}");
            assert!(error.contains("--prometheus2 HOST:PORT"), "{error}");
        }
        // A loopback address works only if pods of home run on this machine.
        let check = [
            &["check"],
            &BOTH[..4],
            &["--api-server2", "https://192.0.2.1:1"],
        ]
        .concat();
        for local in [
            "127.0.0.1:9090",
            "localhost:9090",
            "[::1]:9090",
            "[::ffff:127.0.0.1]:9090",
        ] {
            let named = [&check[..], &["--prometheus2", local]].concat();
            let ended = clusters.run(&named).await.exited(3);
            let said = format!(
                "error[AK1218]: cluster2: Prometheus at {local}: its host is a loopback address"
            );
            assert!(ended.stdout.contains(&said), "{ended:#?}");
        }
        unwritten(&marks);
        hostile_addresses(clusters).await;
    });
}

/// Addresses that someone in the remote can write into the status.
async fn hostile_addresses(clusters: &Clusters) {
    clusters.installed().await;
    let before = configuration(clusters).await.expect("a configuration");
    let service = ("v1", "Service", "istio-system/prometheus-gateway-istio");
    let live = get(clusters.remote(), service.0, service.1, service.2).await;
    let own = live.expect("a Service")["spec"]["clusterIP"].clone();
    let own = own.as_str().expect("a ClusterIP");
    for ingress in [
        json!([{"hostname": NAME}]),
        json!([{"hostname": "prometheus.kiali"}]),
        json!([{"ip": "fd00:ec2::254"}]),
        json!([{"ip": "169.254.169.254"}]),
        json!([{"ip": own}]),
    ] {
        let status = json!({"loadBalancer": {"ingress": ingress}});
        clusters.sandbox.world().load_balancers.hold_back(true);
        crate::support::patch_status(clusters.remote(), service.0, service.1, service.2, &status)
            .await;
        let ended = clusters.install(&[]).await.exited(1);
        let said = "[AK1218] expose prometheus: cluster2: Gateway istio-system/prometheus-gateway: its address ";
        assert!(
            ended.error().starts_with(said),
            "{ingress}: {}",
            ended.error()
        );
        let now = configuration(clusters).await.expect("a configuration");
        assert_eq!(now["data"], before["data"]);
    }
    let status = json!({"loadBalancer": {"ingress": null}});
    merge_status(clusters, service, &status).await;
    clusters.sandbox.world().load_balancers.hold_back(false);
    clusters.installed().await;
    clusters.cleaned().await;
}

async fn merge_status(clusters: &Clusters, service: (&str, &str, &str), status: &Value) {
    crate::support::patch_status(clusters.remote(), service.0, service.1, service.2, status).await;
    // An edit that triggers the load balancer.
    let touched = json!({"metadata": {"annotations": {"touched": "yes"}}});
    merge(clusters.remote(), service.0, service.1, service.2, &touched).await;
}
