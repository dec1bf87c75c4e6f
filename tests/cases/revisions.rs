//! Istiods with revisions, with tags, and in other namespaces.

use serde_json::{Value, json};

use crate::support::{
    BOTH, Clusters, Foreign, INSTALL, get, merge, on_two_clusters, put, unwritten,
};

const ISTIOD: (&str, &str, &str) = ("apps/v1", "Deployment", "istio-system/istiod");
const ZTUNNEL: (&str, &str, &str) = ("apps/v1", "DaemonSet", "istio-system/ztunnel");
const GATEWAY: (&str, &str, &str) = (
    "gateway.networking.k8s.io/v1",
    "Gateway",
    "istio-system/prometheus-gateway",
);

/// Labels the remote's istiod as its chart does for this revision.
async fn revised(clusters: &Clusters, revision: Value) {
    let label = json!({"metadata": {"labels": {"istio.io/rev": revision}}});
    merge(clusters.remote(), ISTIOD.0, ISTIOD.1, ISTIOD.2, &label).await;
}

async fn live(clusters: &Clusters, what: (&str, &str, &str)) -> Value {
    let live = get(clusters.remote(), what.0, what.1, what.2).await;
    live.expect("the object")
}

fn check() -> Vec<&'static str> {
    [&["check"], &BOTH[..]].concat()
}

/// Another istiod, in the same or another namespace.
fn istiod(name: &str, namespace: &str, revision: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: istiod, istio.io/rev: {revision}}}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: other}}}}
  template:
    metadata: {{labels: {{app: other}}}}
    spec:
      containers:
        - name: discovery
          image: example
          env:
            - {{name: CLUSTER_ID, value: cluster2}}
            - {{name: PILOT_ENABLE_AMBIENT, value: 'true'}}
            - {{name: AMBIENT_ENABLE_MULTI_NETWORK, value: 'true'}}
"
    )
}

const TAG: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: istio-revision-tag-default
  labels: {istio.io/tag: default, istio.io/rev: 1-28, app: sidecar-injector}
webhooks: []
";

#[test]
fn case_24_a_gateway_is_labelled_with_the_one_revision_and_nobody_waits_for_one_that_is_not_looked_at()
 {
    on_two_clusters(async |clusters| {
        let before = live(clusters, ISTIOD).await;
        revised(clusters, json!("1-28")).await;
        clusters.run(&check()).await.succeeded();
        // The sandbox's istiod still has no revision, so it ignores the Gateway.
        let ended = clusters.install(&[]).await.exited(1);
        assert_eq!(
            ended.error(),
            "\
expose prometheus: cluster2: Gateway istio-system/prometheus-gateway failed: no controller has handled it for 20 s: no istiod watches Gateways with its labels in its namespace
  fix: kubectl --context cluster2 -n istio-system get deployments -l app=istiod -L istio.io/rev
"
        );
        let gateway = live(clusters, GATEWAY).await;
        assert_eq!(gateway["metadata"]["labels"]["istio.io/rev"], "1-28");
        let status = clusters.run(&["status"]).await.exited(1);
        assert!(
            status
                .stdout
                .contains("no controller has handled it for 20 s"),
            "{status:#?}"
        );
        // With the tag, the Gateway needs no label, and the same install removes it.
        let tag = Foreign::apply(clusters.remote(), TAG).await;
        clusters.installed().await;
        let gateway = live(clusters, GATEWAY).await;
        assert_eq!(gateway["metadata"]["labels"].get("istio.io/rev"), None);
        clusters.cleaned().await;
        tag.removed().await;
        put(clusters.remote(), before).await;
    });
}

#[test]
fn case_24_facts_are_those_of_the_revision_and_several_without_a_default_are_refused() {
    on_two_clusters(async |clusters| {
        let before = live(clusters, ISTIOD).await;
        revised(clusters, json!("1-28")).await;
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "istio-1-28", "namespace": "istio-system"},
            "data": {"mesh": "defaultConfig: {meshId: mesh2}\ntrustDomain: elsewhere\n"},
        });
        let map = Foreign::apply(clusters.remote(), &map.to_string()).await;
        let ended = clusters.run(&check()).await.exited(3);
        for said in [
            "error[AK1303]: cluster2: ConfigMap istio-system/istio-1-28: meshId is mesh2, but mesh1 in cluster1\n",
            "error[AK1304]: cluster2: ConfigMap istio-system/istio-1-28: trustDomain is elsewhere, but cluster.local in cluster1\n",
        ] {
            assert!(ended.stdout.contains(said), "{ended:#?}");
        }
        map.removed().await;
        let other = istiod("istiod-1-27", "istio-system", "1-27");
        let other = Foreign::apply(clusters.remote(), &other).await;
        let marks = clusters.marks();
        let ended = clusters
            .install(&["--skip-check", "AK1204"])
            .await
            .exited(3);
        unwritten(&marks);
        let error = ended.error();
        let said = "[AK1219] cluster2: Deployments istio-system/istiod: are of revisions 1-27, 1-28, and no tag default says which of them looks at a Gateway without a revision\n  fix: istioctl tag set default --revision 1-28 --context cluster2\n";
        assert!(error.contains(said), "{error}");
        let tag = Foreign::apply(clusters.remote(), TAG).await;
        let checked = [&check()[..], &["--skip-check", "AK1204"]].concat();
        clusters.run(&checked).await.succeeded();
        tag.removed().await;
        // The label of the namespace has the same effect.
        let namespace = live(clusters, ("v1", "Namespace", "istio-system")).await;
        let label = json!({"metadata": {"labels": {"istio.io/rev": "1-27"}}});
        merge(clusters.remote(), "v1", "Namespace", "istio-system", &label).await;
        clusters.run(&checked).await.succeeded();
        put(clusters.remote(), namespace).await;
        other.removed().await;
        put(clusters.remote(), before).await;
    });
}

/// Anyone with a namespace can create such a Deployment there.
#[test]
fn attack_13_what_is_called_istiod_in_a_namespace_of_others_names_no_cluster() {
    on_two_clusters(async |clusters| {
        let fake = istiod("istiod", "victim", "default").replace("replicas: 1", "replicas: 0");
        let fake = fake.replace("value: cluster2", "value: cluster1");
        let victim = "apiVersion: v1\nkind: Namespace\nmetadata: {name: victim}\n---";
        let fake = Foreign::apply(clusters.remote(), &format!("{victim}{fake}")).await;
        let checked = clusters.run(&check()).await.succeeded();
        assert_eq!(checked.stdout, "Ready to install\n");
        // Kiali takes it for one, and does not say in which namespace it is.
        let install = [&INSTALL[..6], &["--timeout", "90s"]].concat();
        let error = clusters.run(&install).await.exited(4).error();
        let said = "it says of istiod in cluster2: NotReady";
        assert!(error.contains(said), "{error}");
        fake.removed().await;
        clusters.installed().await;
        clusters.cleaned().await;
    });
}

#[test]
fn case_25_an_istiod_in_another_namespace_is_one_error_that_names_it() {
    on_two_clusters(async |clusters| {
        let remote = clusters.remote();
        let control = "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-control}\n---";
        let control = format!("{control}{}", istiod("istiod", "istio-control", "default"));
        let control = Foreign::apply(remote, &control).await;
        let mut before = Vec::new();
        for (what, label) in [
            (ISTIOD, "app"),
            (ZTUNNEL, "app.kubernetes.io/name"),
            (
                ("v1", "Namespace", "istio-system"),
                "topology.istio.io/network",
            ),
        ] {
            before.push(live(clusters, what).await);
            let label = json!({"metadata": {"labels": {label: null}}});
            merge(remote, what.0, what.1, what.2, &label).await;
        }
        let marks = clusters.marks();
        let ended = clusters.run(&check()).await.exited(3);
        let of_remote = ended.stdout.lines().filter(|l| l.contains("]: cluster2: "));
        assert_eq!(
            of_remote.collect::<Vec<_>>(),
            [
                "error[AK1220]: cluster2: Deployment istio-control/istiod: istiod runs there, and only istio-system is supported"
            ]
        );
        clusters.install(&[]).await.exited(3);
        unwritten(&marks);
        for object in before {
            put(remote, object).await;
        }
        control.removed().await;
    });
}
