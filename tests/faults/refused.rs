//! Errors before the first write.

use std::fs;

use serde_json::{Value, json};

use crate::support::{BOTH, Clusters, get, masked, on_two_clusters, patch, unwritten};

const ISTIOD: (&str, &str, &str) = ("apps/v1", "Deployment", "istio-system/istiod");

/// Runs an install that must exit with 3 and write nothing, and returns its error.
async fn refused(clusters: &Clusters, arguments: &[&str]) -> String {
    let marks = clusters.marks();
    let ended = clusters.run(&[&["install"], arguments].concat()).await;
    let ended = ended.exited(3);
    assert_eq!(ended.stdout, "");
    unwritten(&marks);
    ended.error()
}

pub async fn called(clusters: &Clusters, id: &str) {
    let env = json!([{"name": "CLUSTER_ID", "value": id}]);
    let container = json!([{"name": "discovery", "env": env}]);
    let change = json!({"spec": {"template": {"spec": {"containers": container}}}});
    patch(clusters.remote(), ISTIOD.0, ISTIOD.1, ISTIOD.2, &change).await;
}

#[test]
fn a_loopback_address_for_pods_is_refused_with_the_flag_that_names_another() {
    on_two_clusters(async |clusters| {
        assert_eq!(
            refused(clusters, &BOTH[..4]).await,
            "\
[AK1005] cluster2: context cluster2 says its API server is at https://127.0.0.1:PORT, which inside a pod of cluster1 is the pod itself
  fix: name the address that pods of home reach: --api-server2 https://HOST:PORT
"
        );
        let unspecified = [&BOTH[..4], &["--api-server2", "https://0.0.0.0:6443"]].concat();
        assert_eq!(
            refused(clusters, &unspecified).await,
            "\
[AK1005] cluster2: context cluster2 says its API server is at https://0.0.0.0:6443, which inside a pod of cluster1 is the pod itself
  fix: name the address that pods of home reach: --api-server2 https://HOST:PORT
"
        );
    });
}

/// Writes a changed kubeconfig into the test's state folder.
fn kubeconfig(clusters: &Clusters, change: impl FnOnce(&mut Value)) -> String {
    let text = fs::read_to_string(clusters.sandbox.kubeconfig()).expect("a kubeconfig");
    let mut kubeconfig: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut kubeconfig);
    let file = clusters.state().join("kubeconfig");
    fs::write(&file, kubeconfig.to_string()).expect("a kubeconfig");
    file.to_str().expect("text").into()
}

#[test]
fn fault_50_one_cluster_twice_or_two_of_one_name_are_refused() {
    on_two_clusters(async |clusters| {
        let fix = "  fix: name two different clusters: kubectl config get-contexts\n";
        assert_eq!(
            refused(clusters, &["--ctx1", "cluster1", "--ctx2", "cluster1"]).await,
            format!("[AK1006] contexts cluster1 and cluster1 are the same cluster\n{fix}")
        );
        // The same cluster under another name and address.
        let file = kubeconfig(clusters, |config| {
            let [mut cluster, mut context] =
                ["clusters", "contexts"].map(|kind| config[kind][0].clone());
            let server = cluster["cluster"]["server"].as_str().expect("a server");
            cluster["cluster"]["server"] = json!(server.replace("127.0.0.1", "localhost"));
            cluster["name"] = json!("other");
            context["name"] = json!("other");
            context["context"]["cluster"] = json!("other");
            for (kind, entry) in [("clusters", cluster), ("contexts", context)] {
                config[kind].as_array_mut().expect("a list").push(entry);
            }
        });
        let alias = [
            "--ctx1",
            "cluster1",
            "--ctx2",
            "other",
            "--kubeconfig",
            &file,
        ];
        let same = format!("[AK1006] contexts cluster1 and other are the same cluster\n{fix}");
        assert_eq!(refused(clusters, &alias).await, same);
        for command in ["verify", "status", "cleanup"] {
            let ended = clusters.run(&[&[command], &alias[..]].concat()).await;
            assert_eq!(ended.exited(3).error(), same, "{command}");
        }
        called(clusters, "cluster1").await;
        let equal = refused(clusters, &BOTH).await;
        called(clusters, "cluster2").await;
        assert_eq!(
            equal,
            "\
[AK1301] contexts cluster1 and cluster2 have the same Istio cluster id \"cluster1\": Kiali cannot tell them apart
  fix: set values.global.multiCluster.clusterName on one of them and reinstall its istiod
"
        );
    });
}

#[test]
fn fault_51_a_cluster_is_called_as_istiod_calls_it_and_never_as_its_context() {
    on_two_clusters(async |clusters| {
        called(clusters, "Kubernetes").await;
        let bad = refused(clusters, &BOTH).await;
        called(clusters, "cluster2").await;
        assert_eq!(
            bad,
            "\
[AK1203] context cluster2: cluster id \"Kubernetes\" is Istio's default for every cluster; set one
  fix: set values.global.multiCluster.clusterName to a name of letters, digits, - and _ and reinstall istiod
"
        );
        // Each context has the name of the other cluster.
        let file = kubeconfig(clusters, |config| {
            for (context, name) in ["cluster2", "cluster1"].into_iter().enumerate() {
                config["contexts"][context]["name"] = json!(name);
            }
        });
        let install = [
            "install",
            "--ctx1=cluster2",
            "--ctx2=cluster1",
            "--allow-loopback",
            "--kubeconfig",
            &file,
        ];
        let ended = clusters.run(&install).await.succeeded();
        let told = masked(&ended.stderr);
        let told = told.lines().take(2).collect::<Vec<_>>();
        assert_eq!(
            told,
            [
                "home    cluster1      context cluster2  https://127.0.0.1:PORT",
                "remote  cluster2      context cluster1  https://127.0.0.1:PORT",
            ]
        );
        named_everywhere(clusters).await;
        clusters
            .run(&["verify", "--probes", "none"])
            .await
            .succeeded();
        clusters.cleaned().await;
    });
}

/// Checks the name in Kiali's settings, its Secret and the scrape jobs.
async fn named_everywhere(clusters: &Clusters) {
    let home = clusters.home();
    let kiali = get(home, "kiali.io/v1alpha1", "Kiali", "kiali/kiali").await;
    let kiali = kiali.expect("Kiali's CR");
    let name = &kiali["spec"]["kubernetes_config"]["cluster_name"];
    assert_eq!(name, "cluster1");
    let secret = get(home, "v1", "Secret", "kiali/kiali-multi-cluster-secret").await;
    let secret = secret.expect("the remotes' Secret");
    let keys = secret["data"].as_object().expect("data").keys();
    assert_eq!(keys.collect::<Vec<_>>(), ["cluster2"]);
    let config = get(home, "v1", "ConfigMap", "kiali/prometheus-config").await;
    let config = config.expect("a configuration");
    let config = config["data"]["prometheus.yml"].as_str().expect("text");
    let config: Value = serde_yaml::from_str(config).expect("YAML");
    for (job, cluster) in clusters.sandbox.clusters().iter().enumerate() {
        let job = &config["scrape_configs"][job];
        assert_eq!(job["job_name"], format!("federate-{}", cluster.name()));
        let gateway = "istio-system/prometheus-gateway";
        let gateway = get(cluster, "gateway.networking.k8s.io/v1", "Gateway", gateway).await;
        let gateway = gateway.expect("the Gateway");
        let address = gateway["status"]["addresses"][0]["value"].as_str();
        let address = format!("{}:9090", address.expect("an address"));
        assert_eq!(job["static_configs"][0]["targets"], json!([address]));
    }
}
