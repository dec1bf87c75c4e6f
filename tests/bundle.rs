//! `bundle`: what is in the archive, what is missing and why, and which requests it costs.

mod canaries;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ambikiali_sandbox::audit::Mark;
use serde_json::Value;

use crate::output::schema;
use crate::rules::rights::acting_as_limited;
use crate::support::{
    Clusters, Ended, Foreign, ambikiali, command, entry, kubeconfig, on_an_install,
    on_two_clusters, output, unwritten,
};

const FOLDER: &str = "ambikiali-bundle/";

/// The files of an archive by their names, in its order.
fn unpacked(path: &Path) -> Vec<(String, String)> {
    let file = File::open(path).expect("an archive");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let entries = archive.entries().expect("entries").map(|entry| {
        let mut entry = entry.expect("an entry");
        let header = entry.header();
        assert_eq!(header.mode().expect("a mode"), 0o600);
        assert_eq!(header.mtime().expect("a time"), 0);
        assert_eq!(header.uid().expect("a user"), 0);
        let name = entry.path().expect("a name").display().to_string();
        let name = name.strip_prefix(FOLDER).expect("the folder").to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        (name, text)
    });
    entries.collect()
}

fn names(files: &[(String, String)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

fn document(ended: &Ended) -> Value {
    let said = schema::read("json", ended);
    said.document.expect("a document")
}

/// The names and sizes that a document tells.
fn told(document: &Value) -> Vec<(String, u64)> {
    let files = document["files"].as_array().expect("files");
    let told = files.iter().map(|file| {
        let name = file["name"].as_str().expect("a name");
        (name.to_string(), file["bytes"].as_u64().expect("a size"))
    });
    told.collect()
}

fn missing(document: &Value) -> Vec<String> {
    let missing = document["missing"].as_array().expect("a list");
    // Only pods that really run have a log in the sandbox.
    let is_of_sandbox = |one: &&Value| {
        let reason = one["reason"].as_str().expect("a reason");
        reason.starts_with("no logs found for container ")
    };
    let missing = missing.iter().filter(|one| !is_of_sandbox(one));
    let text = |value: &Value| value.as_str().unwrap_or("all").to_string();
    let line = |one: &Value| {
        [&one["cluster"], &one["what"], &one["reason"]]
            .map(text)
            .join(": ")
    };
    missing.map(line).collect()
}

fn file<'a>(files: &'a [(String, String)], name: &str) -> &'a str {
    let found = files.iter().find(|(other, _)| other == name);
    let found = found.unwrap_or_else(|| panic!("{name} is not among {:#?}", names(files)));
    &found.1
}

/// Runs a bundle in a folder of its own, which is returned with it.
async fn bundled(clusters: &Clusters, kubeconfig: &Path, more: &[&str]) -> (Ended, PathBuf) {
    let folder = tempfile::tempdir_in(clusters.state())
        .expect("a folder")
        .keep();
    let mut bundle = command(&[&["bundle"], more].concat(), kubeconfig, clusters.state());
    let child = bundle.current_dir(&folder).spawn();
    (output(child.expect("the binary starts")).await, folder)
}

fn only_file(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).expect("a folder");
    let files = files
        .map(|file| file.expect("a file").path())
        .collect::<Vec<_>>();
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next().expect("a file")
}

#[test]
fn a_bundle_has_what_a_maintainer_asks_for_and_is_written_as_it_was_told() {
    on_an_install(async |clusters| {
        let config = clusters.sandbox.kubeconfig();
        let marks = clusters.marks();
        let (dry, folder) = bundled(clusters, config, &["--dry-run", "-o", "json"]).await;
        let dry = document(&dry.succeeded());
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0);
        assert_eq!(dry["archive"], Value::Null);
        let (ended, folder) = bundled(clusters, config, &["-o", "json"]).await;
        let said = document(&ended.succeeded());
        let path = only_file(&folder);
        is_named_by_the_time(&path);
        let files = unpacked(&path);
        let sizes = files
            .iter()
            .map(|(name, text)| (name.clone(), text.len() as u64));
        assert_eq!(told(&said), sizes.collect::<Vec<_>>());
        assert_eq!(missing(&said), [""; 0]);
        // A log and an answer of a server may have grown meanwhile.
        let (before, now) = (told(&dry), told(&said));
        let names_of =
            |told: &[(String, u64)]| told.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        assert_eq!(names_of(&before), names_of(&now));
        let is_still = |(name, _): &&(String, u64)| name.contains("/objects/cluster/");
        let still =
            |told: &[(String, u64)]| told.iter().filter(is_still).cloned().collect::<Vec<_>>();
        assert_eq!(still(&before), still(&now));
        assert!(!still(&now).is_empty());
        holds_all(&files);
        unwritten(&marks);
        is_told_in_lines(clusters).await;
        asks_for_little(clusters).await;
    });
}

fn is_named_by_the_time(path: &Path) {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    let time = name
        .strip_prefix("ambikiali-bundle-")
        .and_then(|n| n.strip_suffix(".tar.gz"));
    let masked = time.expect(name).replace(|c: char| c.is_ascii_digit(), "9");
    assert_eq!(masked, "99999999-999999");
    let mode = fs::metadata(path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn holds_all(files: &[(String, String)]) {
    let index = &files[0];
    assert_eq!(index.0, "index.md");
    for (name, _) in &files[1..] {
        assert!(
            index.1.contains(&format!("| {name} | ")),
            "{name}: {}",
            index.1
        );
    }
    let head = "# ambikiali bundle\n\nMade by ambikiali 0.1.0 from cluster1, cluster2. Events and logs are of the last 1h.\n";
    assert!(index.1.starts_with(head), "{}", index.1);
    for kind in ["check", "status", "verify", "version"] {
        let document = file(files, &format!("results/{kind}.json"));
        schema::assert_valid(&serde_json::from_str(document).expect("JSON"));
    }
    assert!(file(files, "results/verify.json").contains("\"verdict\": \"ok\""));
    for cluster in ["cluster1", "cluster2"] {
        let of = |name: &str| file(files, &format!("clusters/{cluster}/{name}"));
        assert!(of("version.json").contains("\"gitVersion\""));
        assert!(of("objects/istio-system/deployments.yaml").contains("name: istiod"));
        assert!(of("objects/istio-system/gateways.yaml").contains("prometheus-gateway"));
        assert!(of("objects/istio-system/configmaps.yaml").contains("rootNamespace"));
        assert!(of("objects/kiali/kialis.yaml").contains("view_only_mode: true"));
        assert!(of("objects/kiali/configmaps.yaml").contains("ambikiali-record"));
        assert!(of("objects/cluster/namespaces.yaml").contains("topology.istio.io/network"));
        assert!(of("objects/cluster/gatewayclasses.yaml").contains("istio"));
        assert!(of("prometheus/cluster/targets.json").contains("\"activeTargets\""));
        assert!(of("prometheus/cluster/buildinfo.json").contains("\"version\""));
        let logs = names(files).into_iter().filter(|name| {
            name.starts_with(&format!("clusters/{cluster}/logs/kiali/kiali-operator-"))
        });
        assert_eq!(logs.count(), 1);
    }
    let federation = file(
        files,
        "clusters/cluster1/prometheus/federation/targets.json",
    );
    assert!(federation.contains("federate-cluster2"), "{federation}");
    assert!(file(files, "clusters/cluster1/kiali/server/status.json").contains("Kiali"));
    for (name, text) in files {
        assert!(!text.contains("managedFields"), "{name}");
        assert!(!format!("\n{text}").contains("\nkind: Secret\n"), "{name}");
    }
}

/// Without the lines about logs that only the sandbox does not have.
fn of_every_cluster(said: &str) -> String {
    let lines = said.split_inclusive('\n');
    let kept = lines.filter(|line| !line.contains(": no logs found for container "));
    kept.collect()
}

/// As text, on both streams.
async fn is_told_in_lines(clusters: &Clusters) {
    let config = clusters.sandbox.kubeconfig();
    let (ended, folder) = bundled(clusters, config, &["--out", "a.tar.gz"]).await;
    let ended = ended.succeeded();
    let files = unpacked(&folder.join("a.tar.gz"));
    let (count, size) = (
        files.len(),
        fs::metadata(folder.join("a.tar.gz")).expect("a file").len(),
    );
    let whole = files.iter().map(|(_, text)| text.len()).sum::<usize>();
    assert_eq!(
        ended.stderr,
        format!(
            "reading cluster1, cluster2\nwriting {count} files, {whole} bytes, compressed {size}, to a.tar.gz\n"
        )
    );
    let kb = |bytes: usize| format!("{:.1} kB", bytes as f64 / 1e3);
    assert_eq!(
        of_every_cluster(&ended.stdout),
        format!(
            "Wrote a.tar.gz: {count} files, {}, compressed {}\n\
             It has no Secret, but names and addresses. Read it before you publish it: index.md says what is in it.\n",
            kb(whole),
            kb(size as usize),
        )
    );
    // It replaces nothing, and says so before it asks anything.
    let marks = clusters.marks();
    let out = folder.join("a.tar.gz");
    let out = out.to_str().expect("a path");
    let (again, _) = bundled(clusters, config, &["--out", out]).await;
    assert_eq!(
        again.exited(3).error(),
        format!("{out} exists\n  fix: name another file with --out, or remove this one\n")
    );
    for mark in marks {
        assert_eq!(
            mark.requests().expect("a log").by_agent("ambikiali").len(),
            0
        );
    }
    let (dry, _) = bundled(clusters, config, &["--dry-run", "-q"]).await;
    let dry = dry.succeeded();
    assert_eq!(dry.stderr, "");
    let said = of_every_cluster(&dry.stdout);
    let lines = said.lines().collect::<Vec<_>>();
    assert_eq!(lines.len(), files.len() + 1, "{}", dry.stdout);
    assert!(lines[0].ends_with("  index.md"), "{}", dry.stdout);
    assert!(lines[files.len()].ends_with(" before compression; nothing was written"));
}

/// Requests by verb and resource, and those for Secrets by their names.
fn asked(marks: &[Mark; 2]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut kinds, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for mark in marks {
        for request in mark.requests().expect("a log").by_agent("ambikiali").iter() {
            let sub = match request.subresource.as_str() {
                "" => String::new(),
                sub => format!("/{sub}"),
            };
            let resource = format!("{}{sub}.{}", request.resource, request.group);
            if request.resource == "secrets" {
                secrets.insert(request.uri.clone());
            }
            kinds.insert(format!("{} {resource}", request.verb));
        }
    }
    (kinds, secrets)
}

/// Checks that a bundle needs no more rights than the commands whose results it has, but for events and logs, and that it
/// asks for no Secret that those do not ask for.
async fn asks_for_little(clusters: &Clusters) {
    let marks = clusters.marks();
    let check = [&["check"], &crate::support::BOTH[..]].concat();
    clusters.run(&check).await.succeeded();
    clusters.run(&["status"]).await.succeeded();
    clusters
        .run(&["verify", "--probes", "none"])
        .await
        .succeeded();
    let (others, their_secrets) = asked(&marks);
    let marks = clusters.marks();
    let config = clusters.sandbox.kubeconfig();
    bundled(clusters, config, &["--dry-run"])
        .await
        .0
        .succeeded();
    let (own, secrets) = asked(&marks);
    let more = own.difference(&others).cloned().collect::<Vec<_>>();
    assert_eq!(more, ["get pods/log.", "list events."]);
    assert_eq!(
        secrets.difference(&their_secrets).count(),
        0,
        "{secrets:#?}"
    );
}

#[test]
fn a_cluster_that_does_not_answer_is_missing_and_the_others_are_read() {
    on_an_install(async |clusters| {
        let both = [
            "--ctx1",
            "cluster1",
            "--ctx2",
            "cluster2",
            "--dry-run",
            "-o",
            "json",
        ];
        let dead = |names: &[&str]| {
            let copy = clusters.state().join(names.join("-"));
            kubeconfig(clusters.sandbox.kubeconfig(), copy, |config| {
                for name in names {
                    entry(config, "cluster", name)["server"] = "https://127.0.0.1:1".into();
                }
            })
        };
        let why = |cluster: &str| {
            format!(
                "{cluster}: cluster: context {cluster} at https://127.0.0.1:1: Connection refused"
            )
        };
        let (ended, _) = bundled(clusters, &dead(&["cluster2"]), &both).await;
        let said = document(&ended.succeeded());
        assert_eq!(missing(&said), [why("cluster2")]);
        let files = told(&said)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>();
        assert!(files.contains(&"results/verify.json".into()));
        assert!(files.contains(&"clusters/cluster1/kiali/server/status.json".into()));
        let (ended, _) = bundled(clusters, &dead(&["cluster1"]), &both).await;
        let said = document(&ended.succeeded());
        let results = "all: results of check, status, verify and version: home does not answer";
        assert_eq!(missing(&said), [results.to_string(), why("cluster1")]);
        let files = told(&said)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>();
        assert!(files.contains(&"clusters/cluster2/objects/kiali/kialis.yaml".into()));
        let (ended, folder) = bundled(clusters, &dead(&["cluster1", "cluster2"]), &both[..4]).await;
        let error = ended.exited(8).error();
        assert!(
            error.starts_with(
                "[AK1001] context cluster1 at https://127.0.0.1:PORT: Connection refused"
            ),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder).expect("a folder").count(), 0);
    });
}

/// All that `bundle` may read but logs and events.
const READER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: limited}
rules:
  - apiGroups: ['', apps, gateway.networking.k8s.io, security.istio.io, networking.k8s.io, kiali.io,
      rbac.authorization.k8s.io, apiextensions.k8s.io, admissionregistration.k8s.io, storage.k8s.io]
    resources: [namespaces, pods, services, configmaps, serviceaccounts, secrets, deployments, daemonsets,
      gateways, gatewayclasses, httproutes, authorizationpolicies, networkpolicies, kialis, clusterroles,
      clusterrolebindings, roles, rolebindings, customresourcedefinitions, mutatingwebhookconfigurations,
      persistentvolumeclaims, storageclasses]
    verbs: [get, list]
  - {apiGroups: [''], resources: [pods/portforward, pods/exec], verbs: [get, create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: limited}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: limited}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: limited}]
";

#[test]
fn what_a_user_may_not_read_is_missing() {
    on_an_install(async |clusters| {
        let limited = acting_as_limited(clusters);
        let mut foreign = Vec::new();
        for cluster in clusters.sandbox.clusters() {
            foreign.push(Foreign::apply(cluster, READER).await);
        }
        let (ended, folder) = bundled(clusters, &limited, &["-o", "json"]).await;
        let said = document(&ended.succeeded());
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for line in missing(&said) {
            let mut words = line.split(": ");
            let (cluster, what) = (
                words.next().unwrap_or_default(),
                words.next().unwrap_or_default(),
            );
            let what = what.split(' ').next().unwrap_or_default();
            assert!(line.contains("User \"limited\" cannot "), "{line}");
            *kinds.entry(format!("{cluster} {what}")).or_default() += 1;
        }
        let logs = |cluster: &str| {
            kinds
                .get(&format!("{cluster} pods/log"))
                .copied()
                .unwrap_or(0)
        };
        assert!(logs("cluster1") >= 5 && logs("cluster2") >= 4, "{kinds:?}");
        kinds.retain(|kind, _| !kind.ends_with(" pods/log"));
        let events = ["cluster1 events", "cluster2 events"].map(|kind| (kind.to_string(), 2));
        assert_eq!(kinds, BTreeMap::from(events));
        let files = unpacked(&only_file(&folder));
        assert!(names(&files).iter().all(|name| !name.contains("/logs/")));
        assert!(
            files[0]
                .1
                .contains("    cluster1: events istio-system/all: events is forbidden"),
            "{}",
            files[0].1
        );
        for foreign in foreign {
            foreign.removed().await;
        }
    });
}

#[test]
fn a_bundle_needs_no_install() {
    on_two_clusters(async |clusters| {
        let marks = clusters.marks();
        let named = ["--ctx1", "cluster1", "--ctx2", "cluster2", "-o", "json"];
        let (ended, folder) = bundled(clusters, clusters.sandbox.kubeconfig(), &named).await;
        let said = document(&ended.succeeded());
        assert_eq!(
            missing(&said),
            [
                "cluster1: Kiali: no Kiali pod is ready",
                "cluster1: Prometheus of the cluster: there is no Service istio-system/prometheus",
                "cluster1: federating Prometheus: no pod of the federating Prometheus is ready",
                "cluster2: Prometheus of the cluster: there is no Service istio-system/prometheus",
            ]
        );
        let files = unpacked(&only_file(&folder));
        assert!(
            file(
                &files,
                "clusters/cluster1/objects/istio-system/deployments.yaml"
            )
            .contains("istiod")
        );
        unwritten(&marks);
        let none = ambikiali(&["bundle"], clusters.sandbox.kubeconfig(), clusters.state()).await;
        assert!(
            none.exited(3)
                .error()
                .starts_with("no contexts given, and no install is remembered")
        );
    });
}
