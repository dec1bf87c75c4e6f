//! Causes in the clusters themselves, and in what Kiali needs of them.

use std::time::Duration;

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::fault::{Action, Fault, Proxy, Verb, When};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{DOCTOR, comes_first, comes_first_by, healthy, message};
use crate::support::{Clusters, ambikiali, get, merge, on_an_install, on_two_clusters, until};

const TOKEN: &str = "kiali/kiali";

/// Sets the mode of namespace sample, or removes it.
pub async fn labelled(cluster: &Cluster, mode: Value) {
    let change = json!({"metadata": {"labels": {"istio.io/dataplane-mode": mode}}});
    merge(cluster, "v1", "Namespace", "sample", &change).await;
}

#[test]
fn cause_04_a_token_that_is_refused() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let remote = clusters.remote();
        let secret = get(remote, "v1", "Secret", TOKEN).await.expect("a Secret");
        let token = secret["data"]["token"].clone();
        let text = STANDARD.decode(token.as_str().expect("a token"));
        let text = String::from_utf8(text.expect("base64")).expect("text");
        given(remote, "bm9uZQ==".into()).await;
        // An API server caches a token for ten seconds.
        let bearer = remote.client_with_token(&text).expect("a client");
        until("the token is refused", async || {
            bearer.apiserver_version().await.is_err()
        })
        .await;
        let cause = comes_first(clusters, "AK1504", Some("cluster2")).await;
        let seen = message(&cause);
        assert!(seen.ends_with("(401 Unauthorized)"), "{seen}");
        given(remote, token).await;
        until("the token is accepted", async || {
            bearer.apiserver_version().await.is_ok()
        })
        .await;
        healthy(clusters).await;
        until("all is as it was", async || {
            clusters.run(&["verify", "--probes", "none"]).await.code == 0
        })
        .await;
    });
}

async fn given(cluster: &Cluster, token: Value) {
    let change = json!({"data": {"token": token}});
    merge(cluster, "v1", "Secret", TOKEN, &change).await;
}

/// Asks with a remote whose clock is ahead.
async fn ahead(clusters: &Clusters, time: Duration, (code, said): (&str, &str)) {
    let proxy = Proxy::start(clusters.remote(), "ambikiali/").await;
    let proxy = proxy.expect("a proxy");
    proxy.add(Fault {
        verbs: Verb::ALL,
        path: "",
        when: When::Always,
        action: Action::Ahead(time),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("kubeconfig");
    let copy = proxy.kubeconfig(clusters.sandbox.kubeconfig(), copy);
    let copy = copy.expect("a kubeconfig");
    let named = ["--ctx1", "cluster1", "--ctx2", "cluster2", "-o", "json"];
    let named = [&DOCTOR[..], &named].concat();
    let ask = async || ambikiali(&named, &copy, folder.path()).await;
    let cause = comes_first_by(code, Some("cluster2"), ask).await;
    let seen = message(&cause);
    assert!(seen.contains(said), "{seen}");
}

#[test]
fn cause_04_a_token_that_has_ended() {
    on_two_clusters(async |clusters| {
        let lifetime = clusters.install(&["--token-lifetime", "24h"]).await;
        lifetime.succeeded();
        let day = Duration::from_secs(25 * 3600);
        let said = "Secret kiali/kiali-expiring: its token ended at ";
        ahead(clusters, day, ("AK1437", said)).await;
        clusters.cleaned().await;
    });
}

#[test]
fn cause_05_a_clock_that_is_off() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let said = "s ahead of that of cluster1";
        ahead(clusters, Duration::from_secs(600), ("AK1004", said)).await;
    });
}

#[test]
fn cause_14_a_namespace_that_is_not_in_the_mesh() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        labelled(clusters.remote(), Value::Null).await;
        let cause = comes_first(clusters, "AK1511", Some("cluster2")).await;
        assert_eq!(
            cause["fix"],
            "kubectl --context cluster2 label namespace sample istio.io/dataplane-mode=ambient"
        );
        labelled(clusters.remote(), "ambient".into()).await;
        healthy(clusters).await;
    });
}
