//! `-f FILE` is parsed strictly, errors name the position and what was expected, and the published schema agrees.

use std::fs;

use boon::{Compiler, Schemas};
use serde_json::Value;

use super::KUBECONFIG;
use crate::support::{Ended, ambikiali};

const HEAD: &str = "apiVersion: ambikiali.dev/v1alpha1\nkind: Fleet\n";

/// Valid files without their head.
const GOOD: [&str; 5] = [
    "home: {context: east}\nremotes: [{context: west}]\n",
    "namespace: view\nhome: {context: east, name: eu}\nremotes:\n- context: west\n  kubeconfig: ./config\n  \
     name: us\n  apiServer: https://10.1.0.4:6443\n  ca: system\n  tlsServerName: api.example.com\n  prometheus: 10.1.0.4:9090\n",
    "namespace: null\nhome: {context: \"no\", name: ~}\nremotes: [{context: 'arn:aws:eks:1/x'}]\n",
    "home: {context: east, prometheus: \"[fd00::1]:9090\"}\nremotes: [{context: a}, {context: b}, {context: c}]\n",
    "home: {context: east, apiServer: 'https://[fd00::1]/k8s/clusters/c-1', prometheus: default}\nremotes: [{context: \"5\", prometheus: p.example.com:65535}]\n",
];

/// Invalid files without their head, and the expected error.
const BAD: [(&str, &str); 23] = [
    ("", "missing field `home` at line 2, column 1"),
    (
        "home: {context: east}\n",
        "missing field `remotes` at line 3, column 1",
    ),
    (
        "home: {context: east}\nremotes: []\n",
        "invalid length 0, expected 1 to 15 remotes at line 4, column 1",
    ),
    (
        "home: {context: east}\nremotes: {context: west}\n",
        "expected sequence start at line 4, column 10",
    ),
    (
        "home: east\nremotes: [{context: west}]\n",
        "expected mapping start at line 3, column 7",
    ),
    (
        "home: {context: ''}\nremotes: [{context: west}]\n",
        "must not be empty at line 3, column 17",
    ),
    (
        "home: {}\nremotes: [{context: west}]\n",
        "missing field `context` at line 3, column 7",
    ),
    (
        "home: {context: 5}\nremotes: [{context: west}]\n",
        "The string value [5] must be quoted at line 3, column 17",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, contxt: x}]\n",
        "unknown field `contxt`, expected one of context, kubeconfig, name, apiServer, ca, tlsServerName, prometheus at line 4, column 27",
    ),
    (
        "spec: {}\nhome: {context: east}\nremotes: [{context: west}]\n",
        "unknown field `spec`, expected one of apiVersion, kind, namespace, home, remotes at line 3, column 1",
    ),
    (
        "namespace: Kiali\nhome: {context: east}\nremotes: [{context: west}]\n",
        "\"Kiali\" is not a valid name (lower-case letters, digits and '-') at line 3, column 12",
    ),
    (
        "namespace: istio-system\nhome: {context: east}\nremotes: [{context: west}]\n",
        "istio-system belongs to Istio and has a Prometheus of the same name at line 3, column 12",
    ),
    (
        "home: {context: east, name: East/1}\nremotes: [{context: west}]\n",
        "cluster id \"East/1\" cannot be a key of Kiali's Secret (letters, digits, '-', '_' and '.', at most 253) at line 3, column 29",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, apiServer: 10.0.0.1}]\n",
        "the address must be https://HOST[:PORT][/PATH]: it must start with https://, because a token is sent to it at line 4, column 38",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, apiServer: 'https://a b'}]\n",
        "the address must be https://HOST[:PORT][/PATH]: its host is neither a name nor an IP address at line 4, column 38",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, apiServer: 'http://h'}]\n",
        "the address must be https://HOST[:PORT][/PATH]: it must start with https://, because a token is sent to it at line 4, column 38",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, apiServer: 'https://u:p@h'}]\n",
        "the address must be https://HOST[:PORT][/PATH]: it has a user or a password at line 4, column 38",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, apiServer: 'https://h?a=b'}]\n",
        "the address must be https://HOST[:PORT][/PATH]: it has a query or a fragment at line 4, column 38",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, ca: ''}]\n",
        "must not be empty at line 4, column 31",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, tlsServerName: 'a b'}]\n",
        "it is neither a DNS name nor an IP address at line 4, column 42",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, prometheus: 10.0.0.1}]\n",
        "\"10.0.0.1\" is not HOST:PORT, like prometheus.example.com:9090 or [fd00::1]:9090, and not https://HOST:PORT/PATH at line 4, column 39",
    ),
    (
        "home: {context: east}\nremotes: [{context: west, prometheus: 'h:65536'}]\n",
        "\"h:65536\" is not HOST:PORT, like prometheus.example.com:9090 or [fd00::1]:9090, and not https://HOST:PORT/PATH at line 4, column 39",
    ),
    (
        "home: {context: east, kubeconfig: ''}\nremotes: [{context: west}]\n",
        "must not be empty at line 3, column 35",
    ),
];

/// Runs a check with this file and a kubeconfig of two unreachable contexts, `east` and `west`.
async fn check(text: &str, more: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, file) = (
        folder.path().join("config"),
        folder.path().join("fleet.yaml"),
    );
    fs::write(&kubeconfig, KUBECONFIG).unwrap();
    fs::write(&file, text).unwrap();
    let arguments = [&["check", "-f", file.to_str().unwrap()], more].concat();
    let mut ended = ambikiali(&arguments, &kubeconfig, folder.path()).await;
    let path = folder.path().display().to_string();
    ended.stderr = ended.stderr.replace(&path, "FOLDER");
    ended
}

#[tokio::test]
async fn what_is_wrong_in_a_file_is_named_with_its_place() {
    for (rest, said) in BAD {
        let ended = check(&format!("{HEAD}{rest}"), &[]).await.exited(2);
        let fix = "see docs/schema/fleet.schema.json, or ambikiali help install";
        let all = format!("error: FOLDER/fleet.yaml: {said}\n  fix: {fix}\n");
        assert_eq!(ended.stderr, all, "{rest}");
    }
}

#[tokio::test]
async fn the_published_schema_agrees_with_the_program() {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/fleet.schema.json");
    let schema = compiler.compile(path, &mut schemas).unwrap();
    let good = GOOD.map(|rest| (format!("{HEAD}{rest}"), true));
    let bad = BAD.map(|(rest, _)| (format!("{HEAD}{rest}"), false));
    let heads = [
        "kind: Fleet\n",
        "apiVersion: ambikiali.dev/v1alpha1\n",
        "apiVersion: ambikiali.dev/v2\nkind: Fleet\n",
        "apiVersion: ambikiali.dev/v1alpha1\nkind: Mesh\n",
    ];
    let heads = heads.map(|head| (format!("{head}{}", GOOD[0]), false));
    for (text, is_good) in good.into_iter().chain(bad).chain(heads) {
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(schemas.validate(&value, schema).is_ok(), is_good, "{text}");
        // With a valid file, the command continues to the contexts, which are unreachable.
        let ended = check(&text, &[]).await;
        assert_eq!(ended.code != 2, is_good, "{text}{ended:#?}");
    }
}

#[tokio::test]
async fn a_file_and_contexts_exclude_each_other() {
    let text = format!("{HEAD}{}", GOOD[0]);
    for flags in [
        &["--ctx1", "east", "--ctx2", "west"][..],
        &["--ctx2", "west"],
        &["--kubeconfig2", "config"],
    ] {
        let ended = check(&text, flags).await.exited(2);
        assert_eq!(ended.stdout, "", "{ended:#?}");
    }
}

#[tokio::test]
async fn a_file_names_contexts_kubeconfigs_and_namespace_and_flags_win() {
    let own = format!(
        "{HEAD}home: {{context: east}}\nremotes: [{{context: north, kubeconfig: config}}]\n"
    );
    let ended = check(&own, &[]).await.exited(3);
    assert_eq!(
        ended.stderr,
        "\
error: no context \"north\" in kubeconfig FOLDER/config; it has: east, west
  fix: kubectl --kubeconfig FOLDER/config config get-contexts
"
    );
    let missing = own.replace("config}", "./nowhere}");
    let ended = check(&missing, &[]).await.exited(3);
    let said = "error[AK1012]: kubeconfig FOLDER/./nowhere: No such file or directory\n  fix: name an existing file\n";
    assert_eq!(ended.stderr, said);
    // A kubeconfig from the command line applies to all clusters.
    let ended = check(&missing, &["--kubeconfig", "/nowhere/config"]).await;
    let said = "error[AK1012]: kubeconfig /nowhere/config: No such file or directory\n  fix: name an existing file\n";
    assert_eq!(ended.exited(3).stderr, said);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let nowhere = ["check", "-f", "/nowhere/fleet.yaml"];
    let folder = tempfile::tempdir().unwrap();
    let ended = ambikiali(&nowhere, folder.path(), folder.path()).await;
    assert_eq!(
        ended.exited(2).stderr,
        "\
error: /nowhere/fleet.yaml: No such file or directory
  fix: give the path of an existing file: -f FILE
"
    );
}
