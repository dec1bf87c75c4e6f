//! Row 11: a truncated response is an error.

use ambikiali_sandbox::fault::{Action, Fault, Verb, When};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;

use super::behind::Behind;
use crate::support::on_two_clusters;

#[test]
fn fault_11_half_an_answer_is_asked_for_again_and_never_taken_for_an_empty_one() {
    on_two_clusters(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        behind.both(Verb::READS, When::FirstOfEach, Action::CutBody);
        behind.install("180s").await.succeeded();
        behind.disturbed(Verb::Read);
        behind.converged().await;

        let client = clusters.remote().client();
        let configs = Api::<ConfigMap>::namespaced(client.clone(), "kiali");
        let mut theirs = ConfigMap::default();
        theirs.metadata.name = Some("theirs".into());
        configs.create(&Default::default(), &theirs).await.unwrap();
        behind.remote.add(Fault {
            verbs: Verb::READS,
            path: "/namespaces/kiali/configmaps",
            when: When::Always,
            action: Action::CutBody,
        });
        let ended = behind.cleanup().await.exited(6);
        let named = "cluster2: list of ConfigMap: https://127.0.0.1:";
        assert!(ended.stderr.contains(named), "{}", ended.stderr);
        configs.get("theirs").await.expect("what is not ours");
        let namespace = Api::<Namespace>::all(client).get("kiali").await;
        let deleted = namespace.unwrap().metadata.deletion_timestamp;
        assert_eq!(deleted, None, "the namespace holds what is not ours");

        configs.delete("theirs", &Default::default()).await.unwrap();
        behind.heal();
        behind.both(Verb::READS, When::FirstOfEach, Action::CutBody);
        behind.cleanup().await.succeeded();
    });
}
