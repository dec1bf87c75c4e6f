//! What `install --force-conflicts` changed in foreign objects is kept and reported by cleanup.

use serde_json::Value;

use super::CLEAN;
use crate::support::{BOTH, Foreign, get, guides_secret, masked, on_two_clusters};

/// The objects that a reader of the guide created by hand.
const BY_HAND: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus-config, namespace: kiali}
data: {prometheus.yml: 'global: {scrape_interval: 60s}'}
---
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: kiali}
spec: {selector: {app: theirs}, ports: [{name: http, port: 9090}]}
";

#[test]
fn what_an_install_took_from_others_is_told_by_the_cleanup_as_not_changed_back() {
    on_two_clusters(async |clusters| {
        let theirs = Foreign::apply(clusters.home(), BY_HAND).await;
        clusters.install(&["--force-conflicts"]).await.succeeded();
        // The next install takes over nothing and keeps the record.
        clusters.install(&["--force-conflicts"]).await.succeeded();
        let fields = "changed by install --force-conflicts and not restored: ";
        let dry = clusters.run(&["cleanup", "--dry-run"]).await.succeeded();
        let ended = clusters.run(&["cleanup"]).await.succeeded();
        for (text, word) in [(&dry.stdout, "would stay    "), (&ended.stdout, "stays  ")] {
            for (object, field) in [
                (
                    "ConfigMap kiali/prometheus-config",
                    ".data['prometheus.yml']",
                ),
                ("Service kiali/prometheus", ".spec.selector.app"),
            ] {
                let start = format!("{word}cluster1      {object}, {fields}");
                let line = text.lines().find(|line| line.starts_with(&start));
                let line = line.unwrap_or_else(|| panic!("no {start} in {text}"));
                assert!(line.contains(field), "{line}");
            }
        }
        let last = masked(ended.stdout.lines().last().unwrap_or_default());
        assert_eq!(
            last,
            "Clean in TIME: nothing that ambikiali created is left in cluster1, cluster2; its changes to objects of others are listed above\n"
        );
        theirs.removed().await;
        let flags = ["cleanup", "--ctx1", "cluster1", "--ctx2", "cluster2"];
        let again = clusters.run(&flags).await.succeeded();
        assert_eq!(masked(&again.stdout), CLEAN);
    });
}

#[test]
fn the_guides_own_secret_beside_ours_is_found() {
    on_two_clusters(async |clusters| {
        // The guide's script creates one for each remote.
        let secret = guides_secret("cluster2", "not a kubeconfig");
        let theirs = Foreign::apply(clusters.home(), &secret).await;
        let check = [&["check", "-o", "json"], &BOTH[..]].concat();
        let found = clusters.run(&check).await.succeeded();
        let found: Value = serde_json::from_str(&found.stdout).expect("JSON");
        let findings = found["findings"].as_array().expect("findings").iter();
        let ours = findings
            .filter(|finding| finding["code"] == "AK1411")
            .collect::<Vec<_>>();
        assert_eq!(ours.len(), 1, "{found:#}");
        assert_eq!(ours[0]["severity"], "warning");
        assert_eq!(
            ours[0]["object"],
            "Secret kiali/kiali-remote-cluster-secret-cluster2"
        );
        let fix = ours[0]["fix"].as_str().expect("a fix");
        let command = "kubectl --context cluster1 -n kiali delete secret/kiali-remote-cluster-secret-cluster2 deployment/kiali";
        assert!(fix.starts_with(command), "{fix}");
        theirs.removed().await;
        let found = clusters.run(&check).await.succeeded();
        assert!(!found.stdout.contains("AK1411"), "{}", found.stdout);
        let none = get(clusters.home(), "v1", "Namespace", "kiali").await;
        assert_eq!(none, None);
    });
}
