//! Secrets of many kinds, planted in clusters: none of them is in a bundle.

use ambikiali_sandbox::fault::{Action, Answer, Fault, Proxy, Verb, When};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::{bundled, file, missing, only_file, unpacked};
use crate::output::schema;
use crate::support::{Foreign, from_an_install, merge};

/// What must be nowhere. Those without a shape can only be found by where they stand.
const PLANTED: [&str; 26] = [
    "opaque-canary-one",
    "basic-canary-two",
    "docker-canary-three",
    "env-canary-four",
    "flag-canary-five",
    "pem-canary-six",
    "applied-canary-seven",
    "url-canary-eight",
    "kubeconfig-canary-nine",
    "bearer-canary-ten",
    "AKIACANARYELEVEN0000",
    "cr-canary-twelve",
    "annotation-canary-thirteen",
    "policy-canary-fourteen",
    "header-canary-fifteen",
    "logged-canary-sixteen",
    "json-canary-seventeen",
    "block-canary-eighteen",
    "query-canary-nineteen",
    "cookie-canary-twenty",
    "ghp_Canary21aB3dE5gH7jK9mN1pQ3",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImNhbmFyeTIyIn0",
    "c2VjcmV0LWNhbmFyeS1zaWduYXR1cmUtMjM",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARY24",
    "escaped-canary-25",
    "5f4dcc3b5aa765d61d8327deb882cf99",
];

fn objects() -> String {
    let encode = |text: &str| STANDARD.encode(text);
    let docker = json!({"auths": {"registry": {"auth": encode("user:docker-canary-three")}}});
    let applied = json!({"spec": {"a": "applied-canary-seven"}});
    let kubeconfig = "apiVersion: v1\nkind: Config\nusers:\n- name: a\n  user:\n    token: kubeconfig-canary-nine\n";
    let pem = "-----BEGIN PRIVATE KEY-----\npem-canary-six\n-----END PRIVATE KEY-----\n";
    let all = [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted", "namespace": "kiali"},
            "stringData": {"a": "opaque-canary-one"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth",
            "metadata": {"name": "planted", "namespace": "istio-system"},
            "stringData": {"username": "a", "password": "basic-canary-two"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "planted-docker", "namespace": "kiali"},
            "stringData": {".dockerconfigjson": docker.to_string()}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "planted", "namespace": "istio-system", "annotations": {
            "example.com/chain": pem, "kubectl.kubernetes.io/last-applied-configuration": applied.to_string(),
            "example.com/build": "ghp_Canary21aB3dE5gH7jK9mN1pQ3",
        }},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "planted"}}, "template": {
            "metadata": {"labels": {"app": "planted"}},
            "spec": {"containers": [{"name": "a", "image": "example.com/a",
                "args": ["--token", "flag-canary-five"],
                "env": [{"name": "HARMLESS", "value": "env-canary-four"}]}]},
        }}}),
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "planted", "namespace": "kiali", "annotations": {
                "example.com/api-token": "annotation-canary-thirteen",
                "example.com/note": format!("{} {}", encode("opaque-canary-one"), "5f4dcc3b5aa765d61d8327deb882cf99"),
            }},
            "spec": {"ports": [{"port": 80}]}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "planted", "namespace": "kiali", "annotations": {
                "example.com/note": "use password=policy-canary-fourteen"}},
            "spec": {"podSelector": {"matchLabels": {"app": "planted"}}}}),
        json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "planted", "namespace": "istio-system"},
            "spec": {"selector": {"matchLabels": {"app": "planted"}}, "rules": [{"when": [
                {"key": "request.headers[x-api-key]", "values": ["header-canary-fifteen"]}]}]}}),
        event("planted-1", &format!("cannot read {kubeconfig}")),
        event(
            "planted-2",
            "sent Authorization: Bearer bearer-canary-ten and AKIACANARYELEVEN0000",
        ),
    ];
    all.map(|object| object.to_string()).join("\n---\n")
}

fn event(name: &str, message: &str) -> serde_json::Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "kiali"}, "type": "Warning",
        "reason": "Planted", "message": message, "lastTimestamp": now, "firstTimestamp": now, "count": 1,
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "planted", "namespace": "kiali"},
    })
}

/// The log of each container: what programs print that should not.
fn log() -> String {
    let (jwt, signature) = (PLANTED[21], PLANTED[22]);
    let remote = STANDARD.encode("users:\n- user: {token: kubeconfig-canary-nine}\n");
    [
        "harmless words stay",
        "level=info msg=\"login\" token=logged-canary-sixteen",
        "{\"user\":\"a\",\"clientSecret\":\"json-canary-seventeen\"}",
        "{\"config\":\"{\\\"password\\\": \\\"escaped-canary-25\\\"}\"}",
        "auth:\n  password: |\n    block-canary-eighteen",
        "GET https://example.com/callback?code=1&access_token=query-canary-nineteen&x=y 200",
        "Cookie: a=b; session=cookie-canary-twenty",
        &format!("refused {jwt}.\n{signature} of somebody"),
        &format!("data: {{cluster2: {remote}}}"),
        &format!("secret access key is {}", PLANTED[23]),
        "-----BEGIN PRIVATE KEY-----\npem-canary-six\n-----END PRIVATE KEY-----",
        "proxy at https://user:url-canary-eight@proxy.example.com:3128",
    ]
    .join("\n")
}

#[test]
fn no_secret_that_was_planted_in_a_cluster_is_in_a_bundle() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        let foreign = Foreign::apply(home, &objects()).await;
        let kiali = json!({"spec": {"auth": {"openid": {"client_secret": "cr-canary-twelve"}}}});
        merge(home, "kiali.io/v1alpha1", "Kiali", "kiali/kiali", &kiali).await;
        let map = json!({"data": {"note": "from https://user:url-canary-eight@example.com"}});
        merge(home, "v1", "ConfigMap", "istio-system/prometheus", &map).await;
        let proxy = Proxy::start(home, "ambikiali").await.expect("a proxy");
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
                body: log(),
            }),
        });
        let (ended, folder) = bundled(clusters, &behind, &["-v", "-o", "json"]).await;
        let ended = ended.succeeded();
        let files = unpacked(&only_file(&folder));
        let said = [("stdout", &ended.stdout), ("stderr", &ended.stderr)];
        let all = files
            .iter()
            .map(|(name, text)| (name.as_str(), text))
            .chain(said);
        for (name, text) in all {
            for planted in PLANTED {
                let encoded = [STANDARD.encode(planted), URL_SAFE_NO_PAD.encode(planted)];
                for form in encoded.iter().map(String::as_str).chain([planted]) {
                    assert!(!text.contains(form), "{planted} is in {name}:\n{text}");
                }
            }
        }
        were_read(&files);
        let document = schema::read("json", &ended).document.expect("a document");
        assert_eq!(missing(&document), [""; 0]);
        let journal = proxy.journal();
        let of_planted = journal
            .iter()
            .filter(|entry| entry.uri.contains("secrets/planted"));
        assert_eq!(of_planted.count(), 0);
        proxy.heal();
        let back = json!({"spec": {"auth": {"openid": null}}});
        merge(home, "kiali.io/v1alpha1", "Kiali", "kiali/kiali", &back).await;
        foreign.removed().await;
        clusters.cleaned().await;
    });
}

/// Checks that what was planted was read, so that it was removed and not missed.
fn were_read(files: &[(String, String)]) {
    let of = |name: &str| file(files, &format!("clusters/cluster1/{name}"));
    let deployments = of("objects/istio-system/deployments.yaml");
    for said in [
        "name: planted",
        "[removed: environment value]",
        "[removed: PEM]",
        "[removed: token]",
    ] {
        assert!(deployments.contains(said), "{said}: {deployments}");
    }
    assert!(of("objects/kiali/kialis.yaml").contains("client_secret: \"[removed: secret]\""));
    assert!(
        of("objects/kiali/services.yaml").contains("example.com/api-token: \"[removed: token]\"")
    );
    assert!(of("objects/kiali/networkpolicies.yaml").contains("use password=[removed: password]"));
    assert!(
        of("objects/istio-system/authorizationpolicies.yaml")
            .contains("values: \"[removed: key]\"")
    );
    assert!(
        of("objects/istio-system/configmaps.yaml")
            .contains("https://[removed: credentials]@example.com")
    );
    let events = of("events/kiali.txt");
    assert!(
        events.contains("Authorization: [removed: credentials]"),
        "{events}"
    );
    let is_log =
        |(name, _): &&(String, String)| name.contains("cluster1/logs/kiali/kiali-operator");
    let (_, log) = files.iter().find(is_log).expect("a log");
    assert_eq!(
        log,
        "harmless words stay\n\
         level=info msg=\"login\" token=[removed: token]\n\
         {\"user\":\"a\",\"clientSecret\":\"[removed: secret]\"}\n\
         {\"config\":\"{\\\"password\\\": \\\"[removed: password]\\\"}\"}\n\
         auth:\n  password: |\n    [removed: password]\n\
         GET https://example.com/callback?code=1&access_token=[removed: token]&x=y 200\n\
         Cookie: [removed: credentials]\n\
         refused [removed: token].\n[removed: token] of somebody\n\
         data: {cluster2: [removed: token]}\n\
         secret access key is [removed: token]\n\
         [removed: PEM]\n\
         proxy at https://[removed: credentials]@proxy.example.com:3128\n"
    );
}
