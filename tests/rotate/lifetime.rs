//! Tokens with a lifetime, which a rotation revokes like others, and what `status` tells of tokens as time goes by.

use std::time::Duration;

use ambikiali_sandbox::fault::{Action, Fault, Proxy, Verb, When};

use super::{Asker, VERIFY, answer, secrets, used};
use crate::support::{Clusters, ambikiali, masked, on_two_clusters, unwritten};

const HOUR: Duration = Duration::from_secs(3600);

/// The last line of `status`, which is about the token, after this time by the remote's clock.
async fn after(clusters: &Clusters, hours: u32, code: i32) -> String {
    let proxy = Proxy::start(clusters.remote(), "ambikiali/").await;
    let proxy = proxy.expect("a proxy");
    proxy.add(Fault {
        verbs: Verb::ALL,
        path: "",
        when: When::Always,
        action: Action::Ahead(HOUR * hours),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("kubeconfig");
    let copy = proxy.kubeconfig(clusters.sandbox.kubeconfig(), copy);
    let copy = copy.expect("a kubeconfig");
    let status = ["status", "--ctx1", "cluster1", "--ctx2", "cluster2"];
    let ended = ambikiali(&status, &copy, folder.path()).await.exited(code);
    let last = ended.stdout.lines().last().unwrap_or_default();
    let said = last.strip_prefix("              remote cluster      ");
    masked(said.unwrap_or(last))
}

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
        assert_eq!(
            after(clusters, 17, 0).await,
            "ready      Secret kiali/kiali-expiring: [AK1436] the token is 17 hours old and ends in 6 hours: run ambikiali rotate before that\n"
        );
        assert_eq!(
            after(clusters, 25, 1).await,
            "failed     Secret kiali/kiali-expiring: [AK1437] its token ended at TIME, so Kiali no longer sees this cluster: run ambikiali rotate; the token is 25 hours old\n"
        );
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
        assert_eq!(
            after(clusters, 91 * 24, 0).await,
            "ready      Secret kiali/kiali: [AK1438] the token is 91 days old and never ends: run ambikiali rotate\n"
        );
        // The option is remembered.
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        clusters.cleaned().await;
    });
}
