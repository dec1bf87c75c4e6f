//! Objects of others under our names, and a Secret that is not as it was written.

use serde_json::json;

use super::{answer, secrets, used};
use crate::support::{
    Foreign, get, install_labels, masked, on_two_clusters, patch, until, unwritten,
};

/// The account and its token, as somebody makes them by the guide. An install uses them unchanged.
const BY_HAND: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kiali-service-account, namespace: kiali}
---
apiVersion: v1
kind: Secret
metadata:
  name: kiali
  namespace: kiali
  annotations: {kubernetes.io/service-account.name: kiali-service-account}
type: kubernetes.io/service-account-token
";

/// A Secret with the name of the next token and the labels of this install.
fn forged(labels: &serde_json::Value) -> String {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "kiali-2", "namespace": "kiali", "labels": labels,
            "annotations": {"kubernetes.io/service-account.name": "kiali-service-account"},
        },
    });
    secret.to_string()
}

#[test]
fn a_secret_of_others_is_neither_used_nor_changed_nor_deleted() {
    on_two_clusters(async |clusters| {
        let by_hand = Foreign::apply(clusters.remote(), BY_HAND).await;
        clusters.installed().await;
        let token = used(clusters).await;
        let labels = install_labels(clusters.home()).await;
        let foreign = Foreign::apply(clusters.remote(), &forged(&labels)).await;
        until("its token is there", async || {
            let secret = get(clusters.remote(), "v1", "Secret", "kiali/kiali-2").await;
            secret.is_some_and(|secret| secret["data"]["token"].is_string())
        })
        .await;
        let before = foreign.all().await;
        let marks = clusters.marks();
        let refused = clusters.run(&["rotate"]).await.exited(9);
        assert_eq!(
            refused.error(),
            "\
cluster2: Secret kiali/kiali-2 already exists and was not created by ambikiali, which needs its name for the new token; it was not changed
  fix: inspect it, and remove it if nothing uses it: kubectl --context cluster2 -n kiali get secret kiali-2 -o yaml
"
        );
        unwritten(&marks);
        clusters.installed().await;
        unwritten(&marks);
        assert!(foreign.all().await == before);
        assert!(used(clusters).await == token);
        foreign.removed().await;

        // Whoever may write home's Secret must not get the new token.
        let other =
            json!({"stringData": {"cluster2": crate::support::dead_kubeconfig("cluster2")}});
        let name = "kiali/kiali-multi-cluster-secret";
        patch(clusters.home(), "v1", "Secret", name, &other).await;
        let marks = clusters.marks();
        let refused = clusters.run(&["rotate"]).await.exited(3);
        assert_eq!(
            refused.error(),
            "\
cluster1: Secret kiali/kiali-multi-cluster-secret is not as the last install wrote it, so somebody may have put another server into it, which would get the new token; nothing was done
  fix: run ambikiali install with the same clusters and flags, which writes it again, then ambikiali rotate
"
        );
        unwritten(&marks);
        clusters.installed().await;
        assert!(used(clusters).await == token);
        let theirs = get(clusters.remote(), "v1", "Secret", "kiali/kiali").await;
        let ended = clusters.run(&["rotate"]).await.exited(6);
        assert_eq!(
            masked(&ended.stdout),
            "\
rotated       cluster2      Secret kiali/kiali-2: it was N minutes old
left          cluster2      Secret kiali/kiali: not created by ambikiali; its token is still valid
Done in TIME: 1 token replaced
"
        );
        assert_eq!(secrets(clusters).await, ["kiali", "kiali-2"]);
        let now = get(clusters.remote(), "v1", "Secret", "kiali/kiali").await;
        assert!(theirs.is_some() && now == theirs);
        assert!(used(clusters).await != token);
        assert_eq!(answer(clusters.remote(), &token).await, 200);
        clusters.cleaned().await;
        by_hand.removed().await;
        let nothing = clusters.run(&["rotate"]).await.exited(3);
        let said = "nothing is installed here\n  fix: run ambikiali install first\n";
        assert!(nothing.error().ends_with(said), "{nothing:#?}");
    });
}
