//! Tokens with a lifetime, which a rotation revokes like others.

use super::{Asker, VERIFY, answer, secrets, used};
use crate::support::{ambikiali, masked, on_two_clusters, unwritten};

#[test]
fn a_token_with_a_lifetime_is_bound_to_a_secret_and_revoked_with_it() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let lasting = used(clusters).await;
        let ended = clusters.install(&["--token-lifetime", "24h"]).await;
        let ended = ended.succeeded();
        let said = "option changed since the last install: --token-lifetime default -> 24h\n";
        assert!(ended.stderr.contains(said), "{ended:#?}");
        assert!(ended.stderr.contains("[AK1436]"), "{ended:#?}");
        let first = used(clusters).await;
        assert_eq!(answer(clusters.remote(), &lasting).await, 401);
        assert_eq!(answer(clusters.remote(), &first).await, 200);
        assert_eq!(secrets(clusters).await, ["kiali-expiring"]);
        clusters.run(&VERIFY).await.succeeded();
        let status = clusters.run(&["status"]).await.succeeded().stdout;
        let line = "ready      Secret kiali/kiali-expiring: the token is N minutes old and ends in 23 hours\n";
        assert!(masked(&status).contains(line), "{status}");
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);

        let kept = clusters.run(&["rotate", "--if-older", "12h"]).await;
        let kept = masked(&kept.succeeded().stdout);
        let said =
            "Secret kiali/kiali-expiring: it is N minutes old, younger than 12h; it ends at TIME\n";
        assert!(kept.contains(said), "{kept}");
        // The record alone does not decide for how long a token lasts.
        let elsewhere = tempfile::tempdir().expect("a folder");
        let both = ["rotate", "--ctx1", "cluster1", "--ctx2", "cluster2"];
        let (kubeconfig, state) = (clusters.sandbox.kubeconfig(), elsewhere.path());
        let refused = ambikiali(&both, kubeconfig, state).await.exited(3);
        let said = "[AK1412] cluster1: ConfigMap kiali/ambikiali-record sets --token-lifetime 24h, which was not given on this machine; ";
        assert!(refused.error().starts_with(said), "{refused:#?}");
        let given = [&both[..], &["--token-lifetime", "24h", "--if-older", "1d"]].concat();
        ambikiali(&given, kubeconfig, state).await.succeeded();
        assert!(used(clusters).await == first);

        let asker = Asker::start(clusters);
        clusters.run(&["rotate"]).await.succeeded();
        let (asked, failed) = asker.stopped().await;
        assert_eq!(failed, Vec::<String>::new(), "of {asked} requests");
        let second = used(clusters).await;
        assert_eq!(answer(clusters.remote(), &first).await, 401);
        assert_eq!(answer(clusters.remote(), &second).await, 200);
        assert_eq!(secrets(clusters).await, ["kiali-expiring-2"]);

        let back = ["rotate", "--token-lifetime", "default"];
        clusters.run(&back).await.succeeded();
        assert_eq!(answer(clusters.remote(), &second).await, 401);
        assert_eq!(secrets(clusters).await, ["kiali"]);
        // The option is remembered.
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        clusters.cleaned().await;
    });
}
