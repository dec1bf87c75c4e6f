//! Row 31: a namespace that is being deleted.

use ambikiali_sandbox::Cluster;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::json;

use crate::support::{Foreign, INSTALL, get, output, patch, to_an_install, until};

const HELD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: held, namespace: kiali, finalizers: [example.com/hold]}
";

#[test]
fn fault_31_a_namespace_that_is_being_deleted_is_waited_for_and_what_holds_it_is_told() {
    to_an_install(async |clusters| {
        let remote = clusters.remote();
        Foreign::apply(remote, HELD).await;
        deleted_but_held(remote).await;
        let short = [&INSTALL[..6], &["--timeout", "5s"]].concat();
        let ended = clusters.run(&short).await.exited(4);
        assert_eq!(
            ended.error(),
            "\
namespace: cluster2: Namespace kiali is not gone after 5 s: being deleted: Some resources are remaining: configmaps. has 1 resource instances; Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances
  fix: free what its conditions name and run the same command again: kubectl --context cluster2 get namespace kiali -o yaml
"
        );
        let [_, mark] = clusters.marks();
        let install = clusters.start(&INSTALL);
        until("it waits for the namespace", async || {
            let ours = mark.requests().unwrap().by_agent("ambikiali");
            let mut ours = ours.iter();
            ours.any(|r| r.verb == "watch" && r.resource == "namespaces")
        })
        .await;
        let free = json!({"metadata": {"finalizers": null}});
        patch(remote, "v1", "ConfigMap", "kiali/held", &free).await;
        output(install).await.succeeded();
    });
}

async fn deleted_but_held(cluster: &Cluster) {
    let namespaces = Api::<Namespace>::all(cluster.client());
    let deleted = namespaces.delete("kiali", &Default::default()).await;
    deleted.expect("it is deleted");
    until("the namespace says what holds it", async || {
        let namespace = get(cluster, "v1", "Namespace", "kiali").await;
        let conditions = namespace.expect("the namespace")["status"]["conditions"].clone();
        let mut conditions = conditions.as_array().into_iter().flatten();
        conditions.any(|c| c["type"] == "NamespaceFinalizersRemaining" && c["status"] == "True")
    })
    .await;
}
