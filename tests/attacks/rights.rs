//! What anyone who can reach Kiali may do with its rights: look. With `--allow-write`, this is not prevented but
//! documented.

use crate::support::{BOTH, WRITES, get, may, may_as, on_two_clusters, to_an_install};

const SEES: &str = "note[AK1431]: anyone who can reach Kiali on cluster1 sees every cluster and can change nothing: ambikiali explain AK1431\n";
const ADMIN: &str = "note[AK1431]: anyone who can reach Kiali on cluster1 is effectively cluster-admin in every cluster: ambikiali explain AK1431\n";

#[test]
fn attack_10_who_reaches_kiali_may_look_and_change_nothing() {
    to_an_install(async |clusters| {
        let check = [&["check"], &BOTH[..], &["--strict"]].concat();
        let ended = clusters.run(&check).await.succeeded();
        assert_eq!(ended.stdout, "Ready to install\n");
        assert!(ended.stderr.contains(SEES), "{ended:#?}");
        let told = clusters.run(&["explain", "AK1431"]).await.succeeded();
        let told = told.stdout;
        clusters.installed().await;
        for cluster in [clusters.home(), clusters.remote()] {
            for (group, resource, verb) in WRITES {
                for namespace in ["kiali", "kube-system"] {
                    let allowed = may(cluster, verb, group, resource, namespace).await;
                    assert!(!allowed, "{verb} {resource} in {namespace}");
                }
            }
            for (verb, resource) in [("list", "pods"), ("create", "pods/portforward")] {
                assert!(may(cluster, verb, "", resource, "kube-system").await);
            }
        }
        // The remote answers the same to the token that home holds.
        let token = get(clusters.remote(), "v1", "Secret", "kiali/kiali").await;
        let token = token.expect("a token");
        assert_eq!(token["type"], "kubernetes.io/service-account-token");
        for (group, resource, verb) in WRITES {
            let allowed = may_as(clusters.remote(), &token, verb, group, resource).await;
            assert!(!allowed, "{verb} {resource}");
        }
        assert!(may_as(clusters.remote(), &token, "list", "apps", "deployments").await);
        assert!(told.contains("a token that never expires"), "{told}");
        assert!(told.contains("auth.strategy: anonymous"), "{told}");
    });
}

#[test]
fn attack_10_what_kiali_may_do_with_allow_write_is_what_check_and_explain_say() {
    on_two_clusters(async |clusters| {
        let check = [&["check"], &BOTH[..], &["--strict", "--allow-write"]].concat();
        let ended = clusters.run(&check).await.succeeded();
        assert!(ended.stderr.contains(ADMIN), "{ended:#?}");
        let told = clusters.run(&["explain", "AK1431"]).await.succeeded();
        let told = told.stdout;
        clusters.install(&["--allow-write"]).await.succeeded();
        for cluster in [clusters.home(), clusters.remote()] {
            for (group, resource, word) in [
                ("apps", "deployments", "Deployments"),
                ("apps", "daemonsets", "DaemonSets"),
                ("apps", "statefulsets", "StatefulSets"),
                ("batch", "jobs", "Jobs"),
                ("", "pods", "pods"),
                ("", "services", "Services"),
                ("", "namespaces", "namespaces"),
            ] {
                assert!(
                    may(cluster, "patch", group, resource, "kube-system").await,
                    "{resource}"
                );
                let line = told.split("patch ").nth(1).expect("what may be patched");
                assert!(line.contains(word), "{word} is not told: {told}");
            }
            let policies = ("security.istio.io", "authorizationpolicies");
            for verb in ["create", "delete"] {
                assert!(
                    may(cluster, verb, policies.0, policies.1, "default").await,
                    "{verb}"
                );
            }
            // "nearly everything except Secrets"
            assert!(!may(cluster, "get", "", "secrets", "kube-system").await);
        }
        clusters.cleaned().await;
    });
}
