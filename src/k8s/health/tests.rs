//! What each judgement says of objects as clusters really show them.

use serde::de::DeserializeOwned;

use super::*;

mod kiali;
mod pods;
mod routes;

fn read<T: DeserializeOwned>(yaml: &str) -> T {
    crate::manifests::from_yaml(yaml).unwrap()
}

fn waits(why: &str) -> Health {
    Health::InProgress(why.into())
}

fn fails(why: &str) -> Health {
    Health::Failed(why.into())
}

#[test]
fn what_is_missing_is_waited_for() {
    let missing = [
        deployment(None),
        crd(None),
        gateway(None),
        http_route(None),
        token(None, Some("u1")),
        present::<Pod>(None),
        KialiFence::default().judge(None),
    ];
    for health in missing {
        assert_eq!(health, waits("not found"));
    }
}

#[test]
fn a_crd_is_ready_when_it_is_established() {
    let judged = |conditions: &str| {
        crd(Some(&read(&format!(
            "spec: {{group: kiali.io, scope: Namespaced, names: {{kind: Kiali, plural: kialis}}, versions: []}}
status: {{conditions: [{conditions}]}}"
        ))))
    };
    let accepted = "{type: NamesAccepted, status: 'True'}";
    assert_eq!(judged(""), waits("not established"));
    assert_eq!(
        judged(&format!(
            "{accepted}, {{type: Established, status: 'False'}}"
        )),
        waits("not established")
    );
    assert_eq!(
        judged(&format!(
            "{accepted}, {{type: Established, status: 'True'}}"
        )),
        Health::Ready
    );
    let taken = "{type: NamesAccepted, status: 'False', message: '\"kialis\" is already in use'}";
    assert_eq!(
        judged(&format!("{taken}, {{type: Established, status: 'False'}}")),
        fails("\"kialis\" is already in use")
    );
}

#[test]
fn a_token_is_ready_when_token_and_ca_are_filled_for_the_account_that_is_there() {
    let of = "metadata: {annotations: {kubernetes.io/service-account.uid: u1}}";
    let secret = |data: &str| read(&format!("{of}\ndata: {{{data}}}"));
    let judged = |data: &str| token(Some(&secret(data)), Some("u1"));
    let empty = waits("the token controller of kube-controller-manager has not filled it yet");
    assert_eq!(token(Some(&read("type: Opaque")), Some("u1")), empty);
    for half in [
        "",
        "token: dA==",
        "ca.crt: Yw==",
        "token: '', ca.crt: Yw==",
        "token: dA==, ca.crt: ''",
    ] {
        assert_eq!(judged(half), empty, "{half}");
    }
    let filled = "token: dA==, ca.crt: Yw==";
    assert_eq!(judged(filled), Health::Ready);
    assert_eq!(
        token(Some(&secret(filled)), None),
        waits("its ServiceAccount does not exist")
    );
    assert_eq!(
        token(Some(&secret(filled)), Some("u2")),
        waits("it belongs to a ServiceAccount that was deleted and recreated: run install again")
    );
}
