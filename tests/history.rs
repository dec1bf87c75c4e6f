//! The history of the federating Prometheus in a claim, which outlives its pod and the install.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use ambikiali_sandbox::standin::{service, storage::PROVISIONER};
use serde_json::{Value, json};

use crate::support::{BOTH, Clusters, Foreign, from_an_install, get, remove, until, unwritten};

const CLAIM: &str = "kiali/prometheus-data";
const KIND: &str = "PersistentVolumeClaim";
/// The default class makes a volume once the scheduler has chosen a node.
const CLASSES: &str = r#"
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: folder
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: PROVISIONER
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: nowhere}
provisioner: example.com/nobody
"#;
const OF_OTHERS: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: prometheus-data, namespace: kiali}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
";
const ANEW: &str = "to give up the history, install with --storage default, delete the claim, and install with --storage again: kubectl --context cluster1 -n kiali delete persistentvolumeclaim prometheus-data";
const UNBOUND: &str = "no volume is bound to it yet: Waiting for a volume to be created either by the external provisioner 'example.com/nobody'";
const KEPT: &str = "\
kept  cluster1      Namespace kiali: it holds PersistentVolumeClaim kiali/prometheus-data
kept  cluster1      PersistentVolumeClaim kiali/prometheus-data: it holds the history of the metrics; to delete it: ambikiali cleanup --delete-data -n kiali
Clean in ";

async fn claim(clusters: &Clusters) -> Option<Value> {
    get(clusters.home(), "v1", KIND, CLAIM).await
}

async fn deployment(clusters: &Clusters) -> Value {
    let found = get(clusters.home(), "apps/v1", "Deployment", "kiali/prometheus").await;
    found.expect("a Deployment")["spec"].clone()
}

async fn prometheus(clusters: &Clusters) -> Option<SocketAddr> {
    let client = clusters.home().client();
    service::resolve(&client, "prometheus.kiali", 9090)
        .await
        .ok()
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time").as_secs()
}

/// How many targets the federating Prometheus knows to have scraped at this time.
async fn scraped(clusters: &Clusters, at: u64) -> Option<usize> {
    let pod = prometheus(clusters).await?;
    let url = format!("http://{pod}/api/v1/query?time={at}&query=up{{job=~%22federate-.*%22}}==1");
    let client = reqwest::Client::builder().no_proxy().build();
    let answer = client.expect("a client").get(url).send().await.ok()?;
    let answer: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    answer["data"]["result"].as_array().map(Vec::len)
}

async fn knows_both(clusters: &Clusters, at: u64) {
    until("Prometheus knows what it scraped", async || {
        scraped(clusters, at).await == Some(2)
    })
    .await;
}

#[test]
fn the_history_outlives_its_pod_and_the_install_and_goes_only_on_demand() {
    from_an_install(async |clusters| {
        nothing_provides_a_volume(clusters).await;
        let classes = CLASSES.replace("PROVISIONER", PROVISIONER);
        let classes = Foreign::apply(clusters.home(), &classes).await;
        a_claim_of_others_is_not_used(clusters).await;
        a_claim_without_a_volume_is_the_cause(clusters).await;
        let at = a_pod_finds_the_history_of_the_one_before(clusters).await;
        the_claim_grows_and_does_not_shrink(clusters).await;
        the_next_install_has_the_history_again(clusters, at).await;
        the_pod_can_have_the_history_again(clusters).await;
        clusters.cleaned().await;
        let gone = clusters.run(&["cleanup", "--delete-data"]).await;
        let gone = gone.succeeded().stdout;
        assert!(gone.starts_with("Clean in "), "{gone}");
        assert!(
            gone.ends_with("s: nothing from ambikiali is left in cluster1, cluster2\n"),
            "{gone}"
        );
        until("the volume is gone too", async || {
            let volumes = std::fs::read_dir(clusters.home().dir().join("volumes"));
            volumes.is_ok_and(|mut left| left.next().is_none())
        })
        .await;
        classes.removed().await;
    });
}

async fn nothing_provides_a_volume(clusters: &Clusters) {
    let check = |class: &'static str| {
        [
            &["check"],
            &BOTH[..],
            &["--storage", "1Gi", "--storage-class", class],
        ]
        .concat()
    };
    let fix = "\n  fix: name one with --storage-class NAME, of these: kubectl --context cluster1 get storageclasses\n";
    for (class, cause) in [
        (
            "default",
            "StorageClasses of the cluster: none of them is the default, so nothing provides the volume for the history",
        ),
        (
            "fast",
            "StorageClass fast: does not exist, so nothing provides the volume for the history",
        ),
    ] {
        let checked = clusters.run(&check(class)).await.succeeded().stdout;
        let warning = format!("warning[AK1450]: cluster1: {cause}{fix}");
        assert!(checked.contains(&warning), "{checked}");
    }
}

async fn a_claim_of_others_is_not_used(clusters: &Clusters) {
    let theirs = Foreign::apply(clusters.home(), OF_OTHERS).await;
    let marks = clusters.marks();
    let error = clusters.install(&["--storage", "1Gi"]).await.exited(3);
    let consent = "kubectl --context cluster1 -n kiali annotate persistentvolumeclaim prometheus-data ambikiali.dev/use-for=history";
    assert_eq!(
        error.error(),
        format!(
            "[AK1401] cluster1: PersistentVolumeClaim {CLAIM}: already exists and was not created by this install, so it is not used: it may hold data of others\n  \
             fix: to have it used, say so on it: {consent}; else choose another namespace with --namespace\nnothing was written\n"
        )
    );
    unwritten(&marks);
    theirs.removed().await;
}

async fn a_claim_without_a_volume_is_the_cause(clusters: &Clusters) {
    let flags = ["--storage", "1Gi", "--storage-class", "nowhere"];
    let soon = [&["install", "--timeout", "15s"], &BOTH[..], &flags].concat();
    let error = clusters.run(&soon).await.exited(4).error();
    let start = format!("aggregate metrics: cluster1: {KIND} {CLAIM} is not ready: {UNBOUND}");
    assert!(error.starts_with(&start), "{error}");
    let look = "kubectl --context cluster1 -n kiali describe persistentvolumeclaim prometheus-data";
    assert!(error.ends_with(&format!("\n  fix: {look}\n")), "{error}");
    let status = clusters.run(&["status"]).await.exited(1).stdout;
    let row = format!("aggregate metrics   not ready  {KIND} {CLAIM}: {UNBOUND}");
    assert!(status.contains(&row), "{status}");

    let marks = clusters.marks();
    let other = ["--storage", "20Gi", "--storage-class", "folder"];
    let error = clusters.install(&other).await.exited(3).error();
    assert_eq!(
        error,
        format!(
            "[AK1451] cluster1: {KIND} {CLAIM}: has StorageClass nowhere, and a claim cannot move to folder\n  \
             fix: keep it with --storage-class nowhere; {ANEW}\nnothing was written\n"
        )
    );
    unwritten(&marks);
    // No pod uses it yet.
    remove(clusters.home(), "v1", KIND, CLAIM).await;
}

/// Returns a time from before the pod that runs now.
async fn a_pod_finds_the_history_of_the_one_before(clusters: &Clusters) -> u64 {
    let flags = [
        "--storage",
        "20Gi",
        "--storage-class",
        "default",
        "--retention",
        "30d",
    ];
    clusters.install(&flags).await.succeeded();
    let spec = deployment(clusters).await;
    assert_eq!(spec["strategy"], json!({"type": "Recreate"}));
    let args = [
        "--storage.tsdb.retention.time=30d",
        "--storage.tsdb.retention.size=16384MB",
    ];
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!(container["args"].as_array().expect("arguments")[2..], args);
    clusters.run(&["status"]).await.succeeded();
    let marks = clusters.marks();
    clusters.install(&[]).await.succeeded();
    unwritten(&marks);

    let at = now();
    knows_both(clusters, at).await;
    let pod = prometheus(clusters).await;
    let pods =
        kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(clusters.home().client(), "kiali");
    let ours = kube::api::ListParams::default().labels("app=prometheus");
    let deleted = pods.delete_collection(&Default::default(), &ours).await;
    deleted.expect("the pod is deleted");
    until("another pod runs", async || {
        let now = prometheus(clusters).await;
        now.is_some() && now != pod
    })
    .await;
    knows_both(clusters, at).await;
    at
}

async fn the_claim_grows_and_does_not_shrink(clusters: &Clusters) {
    let plan = [&["plan"], &BOTH[..], &["--storage", "40Gi"]].concat();
    let plan = clusters.run(&plan).await.succeeded().stdout;
    let lines = plan.lines().filter(|line| line.contains("aggregate"));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "  change   aggregate metrics   Deployment kiali/prometheus",
            "  change   aggregate metrics   PersistentVolumeClaim kiali/prometheus-data",
        ]
    );
    clusters.install(&["--storage", "40Gi"]).await.succeeded();
    until("the volume has grown", async || {
        let claim = claim(clusters).await.expect("a claim");
        claim["status"]["capacity"]["storage"] == "40Gi"
    })
    .await;
    let marks = clusters.marks();
    let error = clusters.install(&["--storage", "10Gi"]).await.exited(3);
    assert_eq!(
        error.error(),
        format!(
            "[AK1451] cluster1: {KIND} {CLAIM}: has 40Gi, and a claim cannot shrink to 10Gi\n  \
             fix: keep it with --storage 40Gi; {ANEW}\nnothing was written\n"
        )
    );
    unwritten(&marks);
}

async fn the_next_install_has_the_history_again(clusters: &Clusters, at: u64) {
    let uid = claim(clusters).await.expect("a claim")["metadata"]["uid"].clone();
    let dry = clusters.run(&["cleanup", "--dry-run"]).await.succeeded();
    let kept = format!("would keep    cluster1      {KIND} {CLAIM}: ");
    assert!(dry.stdout.contains(&kept), "{dry:#?}");
    let cleaned = clusters.run(&["cleanup"]).await.succeeded().stdout;
    assert!(cleaned.starts_with(KEPT), "{cleaned}");
    let record = get(clusters.home(), "v1", "ConfigMap", "kiali/ambikiali-record").await;
    assert_eq!(record, None);
    let ended = clusters.install(&["--storage", "40Gi"]).await.succeeded();
    assert!(!ended.stderr.contains("the record was"), "{ended:#?}");
    let now = claim(clusters).await.expect("a claim");
    assert_eq!(now["metadata"]["uid"], uid);
    knows_both(clusters, at).await;
}

async fn the_pod_can_have_the_history_again(clusters: &Clusters) {
    let ended = clusters
        .install(&["--storage", "default"])
        .await
        .succeeded();
    let note = format!(
        "{KIND} {CLAIM} is kept with the history so far; to delete it: kubectl --context cluster1 -n kiali delete persistentvolumeclaim prometheus-data\n"
    );
    assert!(ended.stderr.contains(&note), "{ended:#?}");
    let spec = deployment(clusters).await;
    assert_eq!(spec["strategy"]["type"], "RollingUpdate");
    let marks = clusters.marks();
    clusters.install(&[]).await.succeeded();
    unwritten(&marks);
    let status = clusters.run(&["status"]).await.succeeded().stdout;
    let row = format!("{KIND} {CLAIM}: kept, and not in use without --storage\n");
    assert!(status.contains(&row), "{status}");
}
