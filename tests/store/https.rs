//! A store with https whose certificate is of a CA of its own: a real VictoriaMetrics, the real Prometheus of each cluster
//! and promtool, and Kiali's stand-in, which trusts the mounted bundle alone.

use std::fs;
use std::path::Path;

use ambikiali_sandbox::victoria_metrics::{Start, VictoriaMetrics};
use serde_json::{Value, json};

use super::{about_store, preset};
use crate::support::{BOTH, Clusters, Ended, Foreign, ambikiali, from_an_install, get, unwritten};

const BUNDLE: &str = "kiali/kiali-cabundle";

#[test]
fn store_with_a_ca_of_its_own_is_trusted_by_the_flag_and_by_nothing_else() {
    from_an_install(async |clusters| {
        let start = Start {
            https: true,
            ..Start::default()
        };
        let store = VictoriaMetrics::start_with(&clusters.sandbox, start).await;
        let store = store.expect("a store");
        let preset = preset(&store);
        let ca = store.ca_file().expect("a CA").display().to_string();
        is_refused_beside_a_bundle_of_others(clusters, &preset, &ca).await;
        is_not_trusted(clusters, &preset).await;
        is_proven(clusters, &preset, &ca).await;
        is_not_trusted_by_kiali(clusters, &store, &ca).await;
        clusters.cleaned().await;
    });
}

/// An install that must not wait for long.
async fn short(clusters: &Clusters, flags: &[&str]) -> Ended {
    let soon = ["--timeout", "60s", "--scrape-interval", "5s"];
    let install = [&["install"], &BOTH[..], &soon, flags];
    clusters.run(&install.concat()).await
}

async fn is_refused_beside_a_bundle_of_others(clusters: &Clusters, preset: &str, ca: &str) {
    let bundle = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "kiali-cabundle", "namespace": "kiali"},
        "data": {"additional-ca-bundle.pem": "of others"},
    });
    let foreign = Foreign::apply(clusters.home(), &bundle.to_string()).await;
    let flags = ["--store", preset, "--store-ca", ca];
    let refused = clusters.install(&flags).await.exited(3).stderr;
    let line = "error[AK1401]: cluster1: ConfigMap kiali/kiali-cabundle: already exists";
    assert!(refused.contains(line), "{refused}");
    assert!(refused.ends_with("nothing was written\n"), "{refused}");
    foreign.removed().await;
    // One that has the same CA, and another one for somebody else, is used as it is.
    let pem = fs::read_to_string(ca).expect("a CA");
    let mut bundle = bundle;
    bundle["data"] = json!({"additional-ca-bundle.pem": pem, "openid-server-ca.crt": "of others"});
    let foreign = Foreign::apply(clusters.home(), &bundle.to_string()).await;
    let plan = [&["plan"], &BOTH[..], &flags].concat();
    let planned = clusters.run(&plan).await.succeeded().stdout;
    assert!(
        planned.contains("ConfigMap kiali/ambikiali-record"),
        "{planned}"
    );
    let changed = planned
        .lines()
        .filter(|line| line.contains("kiali-cabundle"));
    assert!(
        changed.clone().all(|line| line.contains("reuse")),
        "{planned}"
    );
    foreign.removed().await;
}

async fn is_not_trusted(clusters: &Clusters, preset: &str) {
    let unknown =
        "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    let without = short(clusters, &["--store", preset]).await.exited(4).stderr;
    assert!(
        without.contains("AK1462") && without.contains(unknown),
        "{without}"
    );
    assert!(without.contains("--store-ca FILE"), "{without}");
    let wrong = clusters.state().join("wrong.pem");
    fs::write(&wrong, clusters.home().ca()).expect("a file");
    let wrong = wrong.display().to_string();
    let flags = ["--store", preset, "--store-ca", &wrong];
    let wrong = short(clusters, &flags).await.exited(4).stderr;
    assert!(
        wrong.contains("AK1462") && wrong.contains(unknown),
        "{wrong}"
    );
    let hint = "the certificate of the store is not of the CA in --store-ca";
    assert!(wrong.contains(hint), "{wrong}");
}

async fn is_proven(clusters: &Clusters, preset: &str, ca: &str) {
    clusters
        .install(&["--store", preset, "--store-ca", ca])
        .await
        .succeeded();
    let url = preset.split_once('=').expect("a URL").1;
    let verified = clusters
        .run(&["verify", "--probes", "none"])
        .await
        .succeeded();
    assert_eq!(
        about_store(&verified.stdout),
        [
            format!("ok        remote write   cluster1      writes to {url}/api/v1/write"),
            format!("ok        remote write   cluster2      writes to {url}/api/v1/write"),
            format!("ok        store          cluster1      {url} answers Kiali"),
            "ok        store          cluster1      has its samples, N s old".into(),
            "ok        store          cluster2      has its samples, N s old".into(),
        ],
        "{verified:#?}"
    );
    let pem = fs::read_to_string(ca).expect("a CA");
    let bundle = get(clusters.home(), "v1", "ConfigMap", BUNDLE).await;
    let bundle = bundle.expect("a ConfigMap");
    assert_eq!(bundle["data"], json!({"additional-ca-bundle.pem": pem}));
    for cluster in clusters.sandbox.clusters() {
        let map = get(cluster, "v1", "ConfigMap", "istio-system/prometheus").await;
        assert_eq!(map.expect("a ConfigMap")["data"]["store-ca.pem"], pem);
    }
    // The next install has the CA without the file, and nothing to write.
    let marks = clusters.marks();
    let again = clusters.install(&[]).await.succeeded();
    unwritten(&marks);
    let shown = clusters.run(&["status"]).await.succeeded();
    let brief = pem.lines().nth(1).expect("base64");
    for text in [&again.stderr, &shown.stdout] {
        assert!(text.contains("--store-ca sha256:"), "{text}");
        assert!(!text.contains(brief), "{text}");
    }
}

/// Prometheus writes without TLS to the same store, so that only Kiali has to trust it.
async fn is_not_trusted_by_kiali(clusters: &Clusters, store: &VictoriaMetrics, ca: &str) {
    let write = format!("{}/api/v1/write", store.plain_url());
    let flags = ["--store-url", &store.url(), "--remote-write-url", &write];
    let refused = short(clusters, &flags).await.exited(4).stderr;
    assert!(refused.contains("AK1463"), "{refused}");
    assert!(
        refused.contains("x509: certificate signed by unknown authority"),
        "{refused}"
    );
    assert!(refused.contains("--store-ca FILE"), "{refused}");
    assert_eq!(get(clusters.home(), "v1", "ConfigMap", BUNDLE).await, None);
    let flags = [&flags[..], &["--store-ca", ca]].concat();
    clusters.install(&flags).await.succeeded();
}

#[tokio::test]
async fn store_ca_is_a_file_of_certificates_for_https_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let ca = params.self_signed(&key).expect("a CA");
    let pem = |label: &str, der: &[u8]| {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let (certificate, key) = (
        pem("CERTIFICATE", ca.der()),
        pem("PRIVATE KEY", &key.serialize_der()),
    );
    let out = folder.path().join("out").display().to_string();
    let render = async |store: &str, ca: &str| {
        let command = [
            "render", "--home", "east", "--remote", "west", "--out", &out,
        ];
        let flags = ["--store", store, "--store-ca", ca];
        let none = Path::new("/dev/null");
        ambikiali(&[&command[..], &flags].concat(), none, none).await
    };
    let (http, https) = (
        "prometheus=http://p.example.com",
        "prometheus=https://p.example.com",
    );
    let good = file("ca.pem", &certificate);
    for (store, ca, reason) in [
        (
            http,
            good.clone(),
            "--store-ca goes with a URL of the store that begins with https://",
        ),
        (
            https,
            file("key.pem", &format!("{certificate}{key}")),
            "it has something else than certificates",
        ),
        (https, file("none.pem", ""), "it has no PEM certificate"),
        (https, "/nowhere.pem".into(), "No such file or directory"),
    ] {
        let said = render(store, &ca).await.exited(2).stderr;
        assert!(said.contains(reason), "{said}");
        assert!(!said.contains("BEGIN"), "{said}");
    }
    render(https, &good).await.succeeded();
    let read = |path: &str| -> Value {
        let text = fs::read_to_string(folder.path().join("out").join(path)).expect("a file");
        serde_yaml::from_str(&text).expect("YAML")
    };
    let bundle = read("east/05-configmap-kiali-kiali-cabundle.yaml");
    let text = bundle["data"]["additional-ca-bundle.pem"]
        .as_str()
        .expect("PEM");
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 1);
    for cluster in ["east", "west"] {
        let map = read(&format!(
            "{cluster}/05-configmap-istio-system-prometheus.yaml"
        ));
        assert_eq!(map["data"]["store-ca.pem"], text);
        let config = map["data"]["prometheus.yml"]
            .as_str()
            .expect("a configuration");
        assert!(
            config.contains("ca_file: /etc/config/store-ca.pem"),
            "{config}"
        );
    }
    assert!(
        !folder
            .path()
            .join("out/west/05-configmap-kiali-kiali-cabundle.yaml")
            .exists()
    );
}
