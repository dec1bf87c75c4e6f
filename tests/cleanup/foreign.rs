//! Foreign objects stay unchanged, even if they are in the way.

use super::CLEAN;
use crate::support::{Foreign, from_an_install, get, masked, on_two_clusters, progress};

/// Another minimal Prometheus under the same names.
const PROMETHEUS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus, namespace: istio-system}
spec:
  selector: {matchLabels: {app: monitoring}}
  template:
    metadata: {labels: {app: monitoring}}
    spec:
      containers: [{name: server, image: 'prom/prometheus:v3.5.0'}]
---
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: istio-system}
spec:
  selector: {app: monitoring}
  ports: [{name: web, port: 80, targetPort: 9090}]
";

const ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: istio-system}
spec:
  hostnames: [shop.example.com]
  rules: [{backendRefs: [{name: istiod, port: 15014}]}]
";

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali, labels: {team: mesh}}
";

const NOTES: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: notes, namespace: kiali}
data: {remember: the milk}
";

#[test]
fn a_prometheus_that_was_there_is_reused_on_its_own_port_and_kept_like_every_other_route() {
    on_two_clusters(async |clusters| {
        let prometheus = Foreign::apply(clusters.home(), PROMETHEUS).await;
        let route = Foreign::apply(clusters.remote(), ROUTE).await;
        let before = clusters.snapshots().await;
        let installed = clusters.install(&[]).await.succeeded();
        let said = progress(&installed.stderr);
        let reused = "cluster1      cluster prometheus  done     Service istio-system/prometheus was there before, reused\n";
        assert!(said.contains(reused), "{said}");
        let ours = get(
            clusters.home(),
            "gateway.networking.k8s.io/v1",
            "HTTPRoute",
            "istio-system/prometheus",
        );
        let ours = ours.await.expect("our route");
        let backend = &ours["spec"]["rules"][0]["backendRefs"][0];
        assert_eq!(
            (&backend["name"], &backend["port"]),
            (&"prometheus".into(), &80.into())
        );

        let cleaned = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
        let said = progress(&cleaned.stderr);
        let kept = "cluster1      cluster prometheus  done     kept 1 (not ours)\n";
        assert!(said.contains(kept), "{said}");
        clusters.assert_unchanged(&before).await;
        prometheus.removed().await;
        route.removed().await;
    });
}

#[test]
fn a_namespace_that_was_there_is_used_and_kept() {
    on_two_clusters(async |clusters| {
        let namespace = Foreign::apply(clusters.home(), NAMESPACE).await;
        let before = clusters.snapshots().await;
        let installed = clusters.install(&[]).await.succeeded();
        let said = progress(&installed.stderr);
        let used =
            "cluster1      namespace           done     kiali existed before, used unchanged\n";
        assert!(said.contains(used), "{said}");

        let cleaned = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
        let said = progress(&cleaned.stderr);
        let kept = "cluster1      namespace           done     kept kiali (not ours)\n";
        assert!(said.contains(kept), "{said}");
        clusters.assert_unchanged(&before).await;
        namespace.removed().await;
    });
}

#[test]
fn our_namespace_stays_while_it_holds_what_is_not_ours_and_says_what() {
    from_an_install(async |clusters| {
        let notes = Foreign::apply(clusters.remote(), NOTES).await;
        let mine = get(clusters.remote(), "v1", "ConfigMap", "kiali/notes").await;
        for _ in 0..2 {
            let cleaned = clusters.run(&["cleanup"]).await.exited(6);
            let left = "left  cluster2      Namespace kiali: it holds ConfigMap kiali/notes\n";
            assert_eq!(cleaned.stdout, left);
            let said = progress(&cleaned.stderr);
            let kept = "cluster2      namespace           done     kept kiali: it holds ConfigMap kiali/notes\n";
            assert!(said.contains(kept), "{said}");
            assert_eq!(
                get(clusters.remote(), "v1", "ConfigMap", "kiali/notes").await,
                mine
            );
        }
        notes.removed().await;
        let cleaned = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
    });
}
