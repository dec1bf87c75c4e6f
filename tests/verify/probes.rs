//! Probes of our own: a server and a client in each cluster while `verify` runs, and nothing of them afterwards.

use std::path::PathBuf;
use std::time::Duration;

use ambikiali_sandbox::Cluster;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::last_lines;
use crate::support::{
    Clusters, Foreign, ambikiali, get, masked, on_an_install, on_two_clusters, output, scale,
    until, until_refused, unwritten,
};

const OWN: [&str; 3] = ["verify", "--probes", "own"];
const NAMESPACE: &str = "ambikiali-probes";
const APPS: [&str; 2] = ["sample/curl", "sample/helloworld"];

/// Refuses the pods of the probes.
const NO_PODS: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-probes}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  validations:
    - expression: "!has(object.metadata.labels) || !('app' in object.metadata.labels) || !object.metadata.labels.app.startsWith('probe-')"
      message: no probes here
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-probes}
spec: {policyName: no-probes, validationActions: [Deny]}
"#;

const REFUSED: &str = "
apiVersion: v1
kind: Pod
metadata: {name: any, namespace: kiali, labels: {app: probe-server}}
spec: {containers: [{name: any, image: any}]}
";

/// A namespace of somebody else under our name.
const THEIRS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: ambikiali-probes}
";

/// May see everything but Secrets.
const VIEWER: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: viewer}
rules:
  - {apiGroups: [""], resources: [configmaps, namespaces, nodes, pods, services], verbs: [get, list, watch]}
  - {apiGroups: [apps], resources: ["*"], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: viewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: viewer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
"#;

async fn is_there(cluster: &Cluster) -> bool {
    get(cluster, "v1", "Namespace", NAMESPACE).await.is_some()
}

/// Checks that neither a namespace nor an entry of a record is left.
async fn nothing_is_left(clusters: &Clusters) {
    for cluster in clusters.sandbox.clusters() {
        assert!(!is_there(cluster).await, "{}", cluster.name());
        let record = get(cluster, "v1", "ConfigMap", "kiali/ambikiali-record").await;
        let record = record.map(|record| record["data"]["record.json"].to_string());
        let names = record.is_some_and(|record| record.contains(NAMESPACE));
        assert!(!names, "the record of {}", cluster.name());
    }
}

async fn scaled(cluster: &Cluster, replicas: i64) {
    for app in APPS {
        let version = if cluster.name() == "cluster1" {
            "v1"
        } else {
            "v2"
        };
        let name = match app {
            "sample/helloworld" => format!("{app}-{version}"),
            app => app.to_owned(),
        };
        scale(cluster, &name, replicas).await;
    }
}

/// Waits until both Deployments of a cluster exist, or the command ends.
async fn placed(cluster: &Cluster) {
    until("the probes are there", async || {
        let name = format!("{NAMESPACE}/probe-client");
        get(cluster, "apps/v1", "Deployment", &name).await.is_some()
    })
    .await;
}

async fn signal(child: &Child, signal: &str) {
    let pid = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().await;
    assert!(sent.expect("kill").success());
}

#[test]
fn own_probes_prove_the_flows_without_the_sample_and_leave_nothing() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        for cluster in clusters.sandbox.clusters() {
            scaled(cluster, 0).await;
        }
        let before = clusters.snapshots().await;
        let verified = clusters.run(&OWN).await.succeeded();
        assert_eq!(
            last_lines(&verified.stdout, 6),
            "\
ok        probes         cluster1      server and client ran in ambikiali-probes, and are gone
ok        probes         cluster2      server and client ran in ambikiali-probes, and are gone
from \\ to  cluster1  cluster2
cluster1   ok        ok
cluster2   ok        -
Verified in TIME: 12 ok; flows: 3 ok
"
        );
        clusters.assert_unchanged(&before).await;
        nothing_is_left(clusters).await;
        chosen_by_the_sample(clusters).await;
        clusters.cleaned().await;
    });
}

/// `auto` uses the sample only if every cluster has it: a Service answers for another cluster only where both have it.
async fn chosen_by_the_sample(clusters: &Clusters) {
    let auto = ["verify", "--probes", "auto"];
    scaled(clusters.home(), 1).await;
    let verified = clusters.run(&auto).await.succeeded();
    let placed =
        "probes         cluster1      server and client ran in ambikiali-probes, and are gone";
    assert!(verified.stdout.contains(placed), "{verified:#?}");
    nothing_is_left(clusters).await;
    scaled(clusters.remote(), 1).await;
    let marks = clusters.marks();
    let verified = clusters.run(&auto).await.succeeded();
    assert!(!verified.stdout.contains(NAMESPACE), "{verified:#?}");
    unwritten(&marks);
}

#[test]
fn probes_that_fail_or_run_out_of_time_are_removed() {
    on_an_install(async |clusters| {
        let policy = Foreign::apply(clusters.remote(), NO_PODS).await;
        until_refused(clusters.remote(), REFUSED, true).await;
        let broken = clusters.run(&OWN).await.exited(5);
        let said = masked(&broken.stdout);
        let why = "probes         cluster2      cluster2: Deployment ambikiali-probes/probe-";
        assert!(said.contains(why), "{said}");
        assert!(said.contains("no probes here"), "{said}");
        nothing_is_left(clusters).await;
        policy.removed().await;
        // No pod becomes ready in time.
        let world = clusters.sandbox.world();
        world.change_delays(|delays| delays.pod = Duration::from_secs(600));
        let short = [&OWN[..], &["--timeout", "20s"]].concat();
        let late = clusters.run(&short).await.exited(5);
        world.change_delays(|delays| delays.pod = Duration::ZERO);
        let why =
            "broken    probes         cluster1      cluster1: Deployment ambikiali-probes/probe-";
        assert!(late.stdout.contains(why), "{late:#?}");
        nothing_is_left(clusters).await;
    });
}

#[test]
fn an_interrupted_run_removes_its_probes_first() {
    on_an_install(async |clusters| {
        for (name, code) in [("-INT", 130), ("-TERM", 143)] {
            let verify = clusters.start(&OWN);
            placed(clusters.remote()).await;
            if code == 130 {
                is_restricted(clusters.remote()).await;
            }
            signal(&verify, name).await;
            let ended = output(verify).await.exited(code);
            let said = "interrupted; removing the probes; a second signal leaves that to the next ambikiali cleanup, install or verify --probes own\n";
            assert!(ended.stderr.contains(said), "{ended:#?}");
            assert_eq!(ended.stdout, "");
            nothing_is_left(clusters).await;
        }
    });
}

/// The API server itself refuses pods there that may do more than ours.
async fn is_restricted(cluster: &Cluster) {
    // Without this account, the pod would be refused for another reason.
    let account = format!("{NAMESPACE}/default");
    until("the account of pods", async || {
        get(cluster, "v1", "ServiceAccount", &account)
            .await
            .is_some()
    })
    .await;
    let refused = created(cluster, NAMESPACE, &json!({"privileged": true})).await;
    let why = refused.expect_err("a privileged pod");
    assert!(
        why.contains("violates PodSecurity \"restricted:latest\""),
        "{why}"
    );
}

/// Creates a pod as a dry run.
async fn created(cluster: &Cluster, namespace: &str, security: &Value) -> Result<(), String> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "any", "namespace": namespace},
        "spec": {"containers": [{"name": "any", "image": "any", "securityContext": security}]},
    });
    let kind = kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
    let api = Api::<DynamicObject>::namespaced_with(cluster.client(), namespace, &kind);
    let params = PatchParams::apply("somebody").dry_run();
    let created = api.patch("any", &params, &Patch::Apply(&pod)).await;
    created.map(drop).map_err(|error| error.to_string())
}

#[test]
fn what_others_put_beside_the_probes_stays_until_they_move_it() {
    on_an_install(async |clusters| {
        let verify = clusters.start(&OWN);
        placed(clusters.remote()).await;
        let theirs = "{apiVersion: v1, kind: ConfigMap, metadata: {name: theirs, namespace: ambikiali-probes}}";
        let theirs = Foreign::apply(clusters.remote(), theirs).await;
        let broken = output(verify).await.exited(5);
        let why = "broken    probes         cluster2      cluster2: Namespace ambikiali-probes stays: it holds ConfigMap ambikiali-probes/theirs; the next ambikiali cleanup, install or verify --probes own removes what is left\n";
        assert!(broken.stdout.contains(why), "{broken:#?}");
        assert!(!is_there(clusters.home()).await);
        // The pods and everything else of ours are gone.
        let name = format!("{NAMESPACE}/probe-server");
        for (version, kind) in [("apps/v1", "Deployment"), ("v1", "Service")] {
            let left = get(clusters.remote(), version, kind, &name).await;
            assert_eq!(left, None);
        }
        let marks = clusters.marks();
        let told = clusters.run(&["verify", "--probes", "none"]).await;
        assert!(!told.succeeded().stderr.contains("removing the probes"));
        unwritten(&marks);
        theirs.removed().await;
        let installed = clusters.install(&[]).await.succeeded();
        let said = "removing the probes that an earlier verify left";
        assert!(installed.stderr.contains(said), "{installed:#?}");
        nothing_is_left(clusters).await;
    });
}

#[test]
fn probes_are_refused_before_anything_is_written() {
    on_two_clusters(async |clusters| {
        let marks = clusters.marks();
        let both = [&OWN[..], &["--ctx1", "cluster1", "--ctx2", "cluster2"]].concat();
        let ended = clusters.run(&both).await.exited(3);
        assert_eq!(
            ended.error(),
            "\
cluster1: nothing is installed here, so probes could not be recorded
  fix: run ambikiali install first; or verify with --probes sample
"
        );
        unwritten(&marks);
        clusters.installed().await;
        let theirs = Foreign::apply(clusters.remote(), THEIRS).await;
        let marks = clusters.marks();
        let ended = clusters.run(&OWN).await.exited(9);
        assert_eq!(
            ended.error(),
            "\
cluster2: Namespace ambikiali-probes exists and is not of this install, so no probes can be put there
  fix: if nobody needs it, kubectl --context cluster2 delete namespace ambikiali-probes; or verify with --probes sample
"
        );
        unwritten(&marks);
        theirs.removed().await;
        by_a_viewer(clusters).await;
        clusters.cleaned().await;
    });
}

async fn by_a_viewer(clusters: &Clusters) {
    let mut foreign = Vec::new();
    for cluster in clusters.sandbox.clusters() {
        foreign.push(Foreign::apply(cluster, VIEWER).await);
    }
    let marks = clusters.marks();
    let ended = ambikiali(&OWN, &as_viewer(clusters), clusters.state()).await;
    let error = ended.exited(3).error();
    let needed = |cluster: &str| {
        [
            "create, delete, patch namespaces",
            "create, delete, patch deployments.apps in ambikiali-probes",
            "create, get pods/exec in ambikiali-probes",
        ]
        .map(|right| format!("\n  | {cluster}: {right}\n"))
    };
    for line in [needed("cluster1"), needed("cluster2")].concat() {
        assert!(error.contains(&line), "{line} in {error}");
    }
    assert!(error.starts_with("[AK1003] "), "{error}");
    unwritten(&marks);
    for foreign in foreign {
        foreign.removed().await;
    }
}

/// Returns a kubeconfig in which every user impersonates one who may only look.
fn as_viewer(clusters: &Clusters) -> PathBuf {
    let text = std::fs::read_to_string(clusters.sandbox.kubeconfig()).expect("a file");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    for user in config["users"].as_array_mut().expect("users") {
        user["user"]["as"] = json!("viewer");
    }
    let file = clusters.state().join("viewer");
    std::fs::write(&file, config.to_string()).expect("a file");
    file
}
