use serde_json::{Value, json};

use super::*;

const JWT: &str =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4";
const RANDOM: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// Each secret in its text, which is gone after a reading, and the reading of the reading.
#[test]
fn what_is_secret_is_removed_wherever_it_stands() {
    let pem = "-----BEGIN PRIVATE KEY-----\nTUlJRXZR\nhunter2\n-----END PRIVATE KEY-----";
    let escaped = pem.replace('\n', "\\n");
    let halves = JWT.split_at(74);
    for (secret, text) in [
        ("hunter2", format!("a\n{pem}\nb")),
        ("hunter2", format!("{{\"tls\": \"{escaped}\"}}")),
        ("hunter2", "-----BEGIN RSA PRIVATE KEY-----\nhunter2".into()),
        ("hunter2", "at https://user:hunter2@example.com/path".into()),
        ("hunter2", "at https://user:hun/hunter2@example.com".into()),
        ("hunter2", "at postgres://hunter2@example.com".into()),
        ("hunter2", "Authorization: Bearer hunter2".into()),
        ("hunter2", "authorization: Token hunter2".into()),
        ("hunter2", "\"Authorization\":[\"Token hunter2\"]".into()),
        (
            "hunter2",
            "curl -H 'Authorization: Custom a hunter2' https://x".into(),
        ),
        ("dXNlcjpwYXNz", "sent Basic dXNlcjpwYXNz".into()),
        ("hunter2", "password=hunter2".into()),
        ("hunter2", "level=info password=hunter2, user=x".into()),
        ("horse", "  password: correct horse battery".into()),
        ("horse", "PGPASSWORD=correct horse".into()),
        ("hunter2", "DB_PASSWORD: hunter2".into()),
        ("hunter2", "{\"clientSecret\":\"hunter2\"}".into()),
        ("hunter2", "{\\\"clientSecret\\\": \\\"hunter2\\\"}".into()),
        ("hunter2", "msg: {'token': 'hunter2'}".into()),
        ("hunter2", "{\"password\":\"a\\\"hunter2\"}".into()),
        ("hunter2", "\"api_key\" => \"hunter2\"".into()),
        ("hunter2", "tokens: [hunter2, b]".into()),
        ("hunter2", "run --client-secret hunter2 --port 80".into()),
        ("hunter2", "run --token='hunter2 b'".into()),
        ("hunter2", "[\"--token\", \"hunter2\"]".into()),
        (
            "hunter2",
            "https://example.com/?a=b&access_token=hunter2&c=d".into(),
        ),
        ("hunter2", "password: |\n  a\n  hunter2\nb: c".into()),
        (
            "hunter2",
            "- password: >-\n    hunter2\n\n    b\n- c".into(),
        ),
        ("hunter2", "password:\n  hunter2\nb: c".into()),
        ("hunter2", "example.com/api-token: hunter2".into()),
        ("hunter2", "password=|hunter2".into()),
        ("hunter2", "a \"password: |\\n  hunter2\" b".into()),
        ("hunter2", "Cookie: a=b; c=hunter2".into()),
        ("hunter2", "<password>hunter2</password>".into()),
        ("hunter2", "{User:a Password:hunter2}".into()),
        ("hunter2", "token={hunter2}".into()),
        ("hunter2", "Password : \"hunter2\"".into()),
        ("hunter2", "X-Auth-Token: hunter2".into()),
        (
            "TUlJQ2",
            "users:\n- user:\n    client-key-data: TUlJQ2\n".into(),
        ),
        (JWT, format!("refused {JWT}, again")),
        (
            "c2lnbmF0dXJlLW9mLWEtdG9rZW4",
            format!("refused {JWT}, again"),
        ),
        (halves.0, format!("line {}\n{} next", halves.0, halves.1)),
        (halves.1, format!("line {}\n{} next", halves.0, halves.1)),
        (RANDOM, format!("got {RANDOM}.")),
        ("aHVudGVyMg", "data aHVudGVyMg== end".into()),
        ("AKIAIOSFODNN7EXAMPLE", "id AKIAIOSFODNN7EXAMPLE".into()),
        (
            "0123456789abcdef",
            format!("hex {}", "0123456789abcdef".repeat(2)),
        ),
        ("abc1d", format!("is {}", "abc1d2e3f4".repeat(3))),
    ] {
        let read = super::text(&text);
        assert!(!read.contains(secret), "{text}\n{read}");
        assert!(read.contains("[removed: "), "{text}\n{read}");
        assert_eq!(super::text(&read), read, "{text}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "Secret kiali/kiali-multi-cluster-secret: not found",
        "Pod prometheus-gateway-istio-7d5f8c9b4-x2k9q in istio-system is ready",
        "/api/v1/namespaces/istio-system/pods/prometheus-7d5f8c9b4-x2k9q/log",
        "uid 3b9d1a2c-1111-4222-8333-9a8b7c6d5e4f",
        "2026-11-30T13:26:23.123456Z info IstioGatewayClassControllerReconciler started",
        "quay.io/kiali/kiali@sha256:9b9d1a2c9b9d1a2c9b9d1a2c9b9d1a2c9b9d1a2c9b9d1a2c9b9d1a2c9b9d1a2c",
        "ValidatingWebhookConfiguration istio-validator-istio-system",
        "Deployment/istio-system/prometheus-gateway-istio-7d5f8c9b4",
        "https://127.0.0.1:6443/version and http://10.0.0.1:9090/federate?match%5B%5D=%7Bjob%3D%22a%22%7D",
        "automountServiceAccountToken: true",
        "image_pull_secrets: []",
        "secrets: {}",
        "terminationMessagePolicy: FallbackToLogsOnError",
        "ambikiali install --auth openid",
        "basic authentication is refused; send a bearer token",
        "outbound|15012||istiod.istio-system.svc.cluster.local",
        "https://proxy.golang.org/istio.io/istio/@v/list",
        "clusterName=\"east\" secretName: kiali-cabundle, token",
        "",
    ] {
        assert_eq!(super::text(text), text);
    }
}

#[test]
fn a_long_line_is_cut_and_a_long_text_takes_no_long_time() {
    let cut = super::text(&"a ".repeat(5000));
    assert!(cut.ends_with(" [cut: 1808 bytes]"), "{}", cut.len());
    for part in [
        "token=",
        "://",
        "Basic ",
        "\"token\": \"",
        "eyJ.",
        "password: |\n ",
        "--token ",
        "'",
    ] {
        let long = part.repeat((1 << 20) / part.len());
        assert!(super::text(&long).len() < 40 << 20);
    }
}

#[test]
fn fields_of_objects_are_removed_by_what_they_are() {
    let mut object = json!({
        "kind": "Deployment",
        "metadata": {"name": "a", "managedFields": [1], "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{\"x\": \"y\"}", "example.com/api-token": "hunter2",
        }},
        "spec": {
            "containers": [{
                "args": ["--token", "hunter2", "--port", "80", "--password=hunter2"],
                "env": [{"name": "A", "value": "literal"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            }],
            "auth": {"openid": {"client_secret": "hunter2", "client_id": "kiali"}, "strategy": "openid"},
            "custom_headers": {"X-Key": "hunter2"},
            "list": [{"name": "Authorization", "value": "hunter2"}, {"name": "plain", "value": "seen"}],
            "when": [{"key": "request.headers[x-api-key]", "values": ["hunter2"]}],
            "volumes": [{"secret": {"secretName": "kiali"}}], "pin_token": 1234,
            "imagePullSecrets": [{"name": "pull"}], "automountServiceAccountToken": false,
            "hunter2 https://a:hunter2@b": 1,
        },
    });
    value(&mut object);
    let text = object.to_string();
    let kept = [
        "secretKeyRef",
        "client_id",
        "\"kiali\"",
        "seen",
        "\"pull\"",
        "false",
        "--port",
        "\"80\"",
        "strategy",
    ];
    for kept in kept {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    for gone in [
        ":hunter2",
        "\"hunter2\"",
        "=hunter2",
        "literal",
        "managedFields",
        "last-applied",
        "1234",
    ] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    let mut secret = json!({"kind": "Secret", "data": {"a": "b"}, "stringData": {"c": "d"}});
    value(&mut secret);
    let hidden = "[removed: secret]";
    assert_eq!(
        secret,
        json!({"kind": "Secret", "data": hidden, "stringData": hidden})
    );
}

#[test]
fn whatever_a_log_says_is_read_or_refused() {
    let samples = [
        "level=info token=\"a\\\"b\" url=https://user:pass@host/x\n-----BEGIN KEY-----\nYQ==\n-----END KEY-----\npassword: |\n  a\n  b\n",
        "{\"kind\": \"Pod\", \"spec\": {\"env\": [{\"name\": \"A\", \"value\": \"b\"}], \"args\": [\"--token\", \"c\"], \"é\": \"\u{1f600}: =\"}}",
        "users:\n- name: a\n  user: {token: eyJhbGciOiJSUzI1NiJ9.e30.c2ln, client-key-data: TUlJ}\n",
    ];
    crate::fuzz::fuzz("the scrubber", &samples, |input| {
        let read = super::text(&String::from_utf8_lossy(input));
        assert!(!read.contains("-----BEGIN "));
        if let Ok(mut object) = serde_json::from_slice::<Value>(input) {
            value(&mut object);
        }
    });
}
