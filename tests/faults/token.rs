//! Kiali's token for the remote is never filled, or belongs to a deleted ServiceAccount.

use serde_json::{Value, json};

use crate::support::{Clusters, INSTALL, from_an_install, get, merge, remove, until};

const TOKEN: &str = "kiali/kiali";
const ACCOUNT: &str = "kiali/kiali-service-account";

async fn given(clusters: &Clusters) -> Value {
    let secret = "kiali/kiali-multi-cluster-secret";
    let secret = get(clusters.home(), "v1", "Secret", secret).await;
    secret.expect("the remotes' Secret")["data"].clone()
}

async fn uid(clusters: &Clusters, kind: &str, name: &str) -> Option<Value> {
    let object = get(clusters.remote(), "v1", kind, name).await?;
    Some(object["metadata"]["uid"].clone())
}

/// Runs an install in which only the token is missing.
async fn unfilled(clusters: &Clusters) {
    let short = [&INSTALL[..6], &["--timeout", "15s"]].concat();
    let ended = clusters.run(&short).await.exited(4);
    assert_eq!(
        ended.error(),
        "\
remote cluster: cluster2: Secret kiali/kiali is not ready after 15 s: the token controller of kube-controller-manager has not filled it yet
  fix: its serviceaccount-token-controller must run: kubectl --context cluster2 -n kube-system get pods -l component=kube-controller-manager
"
    );
}

#[test]
fn fault_38_a_token_that_is_never_filled_is_told_with_who_should() {
    from_an_install(async |clusters| {
        let before = given(clusters).await;
        let remote = clusters.remote();
        remote.restart_controllers(false).expect("controllers");
        remove(remote, "v1", "Secret", TOKEN).await;
        unfilled(clusters).await;
        // Kiali does not get an empty token.
        assert!(given(clusters).await == before);
        let status = clusters.run(&["status"]).await.exited(1).stdout;
        let line = "not ready  Secret kiali/kiali: the token controller of kube-controller-manager has not filled it yet; the token is ";
        assert!(status.contains(line), "{status}");

        // The same ServiceAccount and name give the same token.
        remote.restart_controllers(true).expect("controllers");
        clusters.installed().await;
        assert!(given(clusters).await == before);
        clusters
            .run(&["verify", "--probes", "none"])
            .await
            .succeeded();
        clusters.cleaned().await;
    });
}

#[test]
fn fault_39_a_token_of_an_account_that_was_made_again_is_issued_again() {
    from_an_install(async |clusters| {
        let before = given(clusters).await;
        let remote = clusters.remote();
        // The controller would delete the token at once; delay it as long as possible.
        remote.restart_controllers(false).expect("controllers");
        let token = uid(clusters, "Secret", TOKEN).await;
        remove(remote, "v1", "ServiceAccount", ACCOUNT).await;
        let run = json!({"metadata": {"annotations": {"kiali.io/reconcile": "now"}}});
        merge(remote, "kiali.io/v1alpha1", "Kiali", TOKEN, &run).await;
        until("the operator has made the account again", async || {
            uid(clusters, "ServiceAccount", ACCOUNT).await.is_some()
        })
        .await;
        let status = clusters.run(&["status"]).await.exited(1).stdout;
        let line = "not ready  Secret kiali/kiali: it belongs to a ServiceAccount that was deleted and recreated: run install again; the token is ";
        assert!(status.contains(line), "{status}");

        unfilled(clusters).await;
        let again = uid(clusters, "Secret", TOKEN).await;
        assert!(again.is_some() && again != token, "{again:?}");
        assert!(given(clusters).await == before);
        remote.restart_controllers(true).expect("controllers");
        clusters.installed().await;
        assert_eq!(uid(clusters, "Secret", TOKEN).await, again);
        assert!(given(clusters).await != before);
        clusters
            .run(&["verify", "--probes", "none"])
            .await
            .succeeded();
        clusters.cleaned().await;
    });
}
