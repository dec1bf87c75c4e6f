//! Another Kiali in the same cluster: its CRD, CR and operator are not removed.

use serde_json::{Value, json};

use super::CLEAN;
use crate::support::{
    BOTH, Clusters, Foreign, from_an_install, get, masked, merge, on_two_clusters, progress,
};

const CRD: &str = include_str!("../../manifests/kiali-crd.yaml");
const OPERATOR: &str = include_str!("../../manifests/kiali-operator.yaml");

const OPERATORS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: operators}
";

/// A CR for a remote of another home, with another instance name, which must be unique in a cluster.
const CR: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: other}
---
apiVersion: kiali.io/v1alpha1
kind: Kiali
metadata: {name: other, namespace: other}
spec:
  auth: {strategy: anonymous}
  deployment: {instance_name: other, remote_cluster_resources_only: true}
";

/// Returns the same operator as installed by another tool, with the rights of a Kiali that may write.
fn operator() -> String {
    let lines = OPERATOR.lines().filter(|line| !line.contains("{%"));
    let filled = lines
        .collect::<Vec<_>>()
        .join("\n")
        .replace("{{ namespace }}", "operators")
        .replace("{{ kiali_version }}", "v2.29.0")
        .replace(
            "{{ images.kiali_operator }}",
            "quay.io/kiali/kiali-operator:v2.29.0",
        )
        .replace("{{ own_kiali }}", "\"false\"");
    assert!(!filled.contains("{{"), "{filled}");
    filled
}

#[test]
fn a_crd_that_was_there_is_used_and_kept_and_the_operator_is_ours() {
    on_two_clusters(async |clusters| {
        let crd = Foreign::apply(clusters.home(), CRD).await;
        let before = clusters.snapshots().await;
        let installed = clusters.install(&[]).await.succeeded();
        let said = progress(&installed.stderr);
        assert!(
            said.contains("cluster1      kiali operator      done     created 4\n"),
            "{said}"
        );

        let cleaned = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
        let said = progress(&cleaned.stderr);
        let kept = "cluster1      kiali operator      done     removed 4, kept 1 (not ours)\n";
        assert!(said.contains(kept), "{said}");
        clusters.assert_unchanged(&before).await;
        crd.removed().await;
    });
}

/// Returns a later CRD. It stores another version, and may or may not serve ours.
fn newer_crd(serves_ours: bool) -> String {
    let mut crd: Value = serde_yaml::from_str(CRD).expect("YAML");
    let versions = crd["spec"]["versions"].as_array_mut().expect("versions");
    let mut newer = versions[0].clone();
    newer["name"] = json!("v1beta1");
    newer["schema"]["openAPIV3Schema"]["properties"]["more"] = json!({"type": "string"});
    versions[0]["served"] = json!(serves_ours);
    versions[0]["storage"] = json!(false);
    versions.push(newer);
    crd.to_string()
}

#[test]
fn fault_30_a_newer_crd_with_an_operator_and_crs_of_others_is_used_as_it_is_and_kept() {
    on_two_clusters(async |clusters| {
        let crd = Foreign::apply(clusters.home(), &newer_crd(true)).await;
        let namespace = Foreign::apply(clusters.home(), OPERATORS).await;
        let operator = Foreign::apply(clusters.home(), &operator()).await;
        let cr = Foreign::apply(clusters.home(), CR).await;
        cr.is("Successful").await;
        let other = Foreign::apply(clusters.remote(), &newer_crd(false)).await;
        let before = clusters.snapshots().await;
        let refused = clusters.install(&[]).await.exited(3);
        assert_eq!(
            refused.error(),
            "\
[AK1407] cluster2: CustomResourceDefinition kialis.kiali.io: already exists and serves v1beta1, but not v1alpha1
  fix: have its owner serve v1alpha1 with a spec that is an object: kubectl --context cluster2 get crd kialis.kiali.io -o yaml
nothing was written
"
        );
        clusters.assert_unchanged(&before).await;

        other.removed().await;
        let before = clusters.snapshots().await;
        let installed = clusters.install(&[]).await.succeeded();
        let said = progress(&installed.stderr);
        let reused = "cluster1      kiali operator      done     Deployment operators/kiali-operator was there before, reused\n";
        assert!(said.contains(reused), "{said}");

        let cleaned = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
        let said = progress(&cleaned.stderr);
        let kept = "cluster1      kiali operator      done     nothing to remove; the CRD is kept, for Kiali other/other\n";
        assert!(said.contains(kept), "{said}");
        clusters.assert_unchanged(&before).await;
        cr.removed().await;
        operator.removed().await;
        namespace.removed().await;
        crd.removed().await;
    });
}

/// Our operator may not grant rights to write to it.
async fn one_that_may_write_is_warned_of(clusters: &Clusters) {
    let check = [&["check"], &BOTH[..]].concat();
    let checked = clusters.run(&check).await.succeeded();
    assert_eq!(
        checked.stdout,
        "\
warning[AK1433]: cluster1: Kiali other/other: may write, and the operator of a view-only install may not grant that
  fix: add --allow-write, or make it view-only too: kubectl --context cluster1 -n other patch kiali other --type merge -p '{\"spec\": {\"deployment\": {\"view_only_mode\": true}}}'
Ready to install: 1 warning
"
    );
    let check = [&check[..], &["--allow-write"]].concat();
    let checked = clusters.run(&check).await.succeeded();
    assert_eq!(checked.stdout, "Ready to install\n");
    let kind = ("kiali.io/v1alpha1", "Kiali");
    let view_only = json!({"spec": {"deployment": {"view_only_mode": true}}});
    merge(clusters.home(), kind.0, kind.1, "other/other", &view_only).await;
}

#[test]
fn our_operator_stays_as_long_as_another_cr_needs_it() {
    from_an_install(async |clusters| {
        let cr = Foreign::apply(clusters.home(), CR).await;
        one_that_may_write_is_warned_of(clusters).await;
        cr.is("Successful").await;
        let other = get(clusters.home(), "kiali.io/v1alpha1", "Kiali", "other/other").await;
        for _ in 0..2 {
            let cleaned = clusters.run(&["cleanup"]).await.exited(6);
            assert_eq!(
                cleaned.stdout,
                "\
left  cluster1      ClusterRole kiali-operator
left  cluster1      ClusterRoleBinding kiali-operator
left  cluster1      ConfigMap kiali/ambikiali-record
left  cluster1      CustomResourceDefinition kialis.kiali.io
left  cluster1      Deployment kiali/kiali-operator
left  cluster1      Namespace kiali: its operator is needed
left  cluster1      ServiceAccount kiali/kiali-operator
"
            );
            let said = progress(&cleaned.stderr);
            let kept = "cluster1      kiali operator      done     kept with its CRD, for Kiali other/other\n";
            assert!(said.contains(kept), "{said}");
            let kept =
                "cluster1      namespace           done     kept kiali: its operator is needed\n";
            assert!(said.contains(kept), "{said}");
            assert_eq!(
                get(clusters.home(), "kiali.io/v1alpha1", "Kiali", "other/other").await,
                other
            );
        }
        cr.removed().await;
        let cleaned = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
    });
}
