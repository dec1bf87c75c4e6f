//! A Prometheus of the user's that serves https below a path, to those who log in.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tokio::process::{Child, Command};

use ambikiali_sandbox::standin::service;

use crate::doctor::comes_first;
use crate::support::{BOTH, Clusters, Foreign, from_an_install, until, unwritten};

const PASSWORD: &str = "of-the-user";
/// A bcrypt hash of the password.
const HASH: &str = "$2b$04$77/YfwDETfy5DiNAefBGJOhgUrrz4C1oA/ryWD8HuB7oohFX0IhH.";

/// A real Prometheus that scrapes itself, as job mesh.
struct Theirs {
    url: String,
    /// Its certificate as PEM.
    certificate: String,
    _server: Child,
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

fn started(clusters: &Clusters, folder: &Path) -> Theirs {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let at = free.expect("a free port");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["127.0.0.1".to_string()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let certificate = pem("CERTIFICATE", certificate.der());
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        std::fs::write(&file, text).expect("a file");
        file.display().to_string()
    };
    write("tls.crt", &certificate);
    write("tls.key", &pem("PRIVATE KEY", &key.serialize_der()));
    let web = format!(
        "tls_server_config: {{cert_file: tls.crt, key_file: tls.key}}\nbasic_auth_users: {{home: \"{HASH}\"}}\n"
    );
    let itself = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: mesh\n  scheme: https\n  \
         metrics_path: /prom/metrics\n  tls_config: {{insecure_skip_verify: true}}\n  \
         basic_auth: {{username: home, password: {PASSWORD}}}\n  static_configs: [{{targets: ['{at}']}}]\n"
    );
    let home = clusters.home();
    let program = home.command(&clusters.sandbox.tools().prometheus);
    let server = Command::from(program)
        .arg(format!("--config.file={}", write("p.yml", &itself)))
        .arg(format!("--web.config.file={}", write("web.yml", &web)))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address={at}"))
        .arg("--web.route-prefix=/prom")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    Theirs {
        url: format!("https://{at}/prom"),
        certificate,
        _server: server.expect("Prometheus starts"),
    }
}

/// The objects of the user, in Kiali's namespace of home.
fn objects(theirs: &Theirs) -> String {
    let ca = theirs.certificate.replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: west-ca, namespace: kiali}}\ndata:\n  ca.crt: |\n    {ca}\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {{name: west-login, namespace: kiali}}\n\
         stringData: {{username: home, password: {PASSWORD}}}\n"
    )
}

/// Whether home has series of the user's Prometheus.
async fn has_series(clusters: &Clusters) -> bool {
    let client = clusters.home().client();
    let Ok(pod) = service::resolve(&client, "prometheus.kiali", 9090).await else {
        return false;
    };
    let url =
        format!("http://{pod}/api/v1/query?query=count({{cluster=%22cluster2%22,job=%22mesh%22}})");
    let client = reqwest::Client::builder().no_proxy().build();
    let Ok(answer) = client.expect("a client").get(url).send().await else {
        return false;
    };
    let text = answer.text().await.unwrap_or_default();
    let answer = serde_json::from_str::<Value>(&text).unwrap_or_default();
    answer["data"]["result"][0]["value"][1].is_string()
}

#[test]
fn a_prometheus_of_the_user_is_scraped_over_https_with_its_ca_and_a_login() {
    from_an_install(async |clusters| {
        let folder = tempfile::tempdir().expect("a folder");
        let theirs = started(clusters, folder.path());
        let flags = [
            "--prometheus2",
            &theirs.url,
            "--prometheus-ca",
            "cluster2=west-ca",
            "--prometheus-auth",
            "cluster2=basic:west-login",
        ];
        let marks = clusters.marks();
        let refused = clusters.install(&flags).await.exited(3).stderr;
        for lacks in [
            "error[AK1453]: cluster1: ConfigMap kiali/west-ca: lacks ca.crt, with which home scrapes the Prometheus of cluster2\n  fix: create it with ca.crt\n",
            "error[AK1453]: cluster1: Secret kiali/west-login: lacks username, password, with which home scrapes the Prometheus of cluster2\n  fix: create it with username and password\n",
        ] {
            assert!(refused.contains(lacks), "{refused}");
        }
        unwritten(&marks);
        let plain = [&["check"], &BOTH[..], &flags[2..4]].concat();
        let checked = clusters.run(&plain).await.exited(3).stdout;
        let useless = "ConfigMap kiali/west-ca: is for the Prometheus of cluster2, which is not scraped over https";
        assert!(checked.contains(useless), "{checked}");

        let nobody = ["--prometheus-selector", r#"cluster1={job="mesh"}"#];
        let nobody = [&["check"], &BOTH[..], &nobody].concat();
        let checked = clusters.run(&nobody).await.exited(3).stdout;
        let not_theirs = "error[AK1453]: cluster1: Prometheus of cluster1: is not one of yours, and --prometheus-selector is only for those\n";
        assert!(checked.contains(not_theirs), "{checked}");

        let own = Foreign::apply(clusters.home(), &objects(&theirs)).await;
        let ended = clusters.install(&flags).await.succeeded();
        let used = format!("{}/federate is somebody else's, used\n", theirs.url);
        assert!(ended.stderr.contains(&used), "{ended:#?}");
        assert!(!format!("{ended:?}").contains(PASSWORD));
        // It has nothing of the mesh.
        let cause = comes_first(clusters, "AK1522", Some("cluster2")).await;
        let fix = cause["fix"].as_str().expect("a text");
        assert!(fix.starts_with("have your Prometheus scrape"), "{fix}");
        // A selector that nothing matches is noticed by the next check.
        let other = ["--prometheus-selector", r#"cluster2={job="none"}"#];
        clusters.install(&other).await.succeeded();
        let check = [&["check"], &BOTH[..]].concat();
        let checked = clusters.run(&check).await.succeeded().stdout;
        let nothing = "warning[AK1452]: cluster2: Prometheus of the user: sends no series to home: none match {job=\"none\"}\n  \
             fix: name series that it has: --prometheus-selector 'cluster2={job=\"JOB\"}'\n";
        assert!(checked.contains(nothing), "{checked}");
        let mesh = ["--prometheus-selector", r#"cluster2={job="mesh"}"#];
        clusters.install(&mesh).await.succeeded();
        until("home has their series", async || has_series(clusters).await).await;
        let marks = clusters.marks();
        clusters.install(&[]).await.succeeded();
        unwritten(&marks);
        let status = clusters.run(&["status"]).await.succeeded().stdout;
        let options =
            "--prometheus-auth cluster2=basic:west-login --prometheus-ca cluster2=west-ca";
        assert!(status.contains(options), "{status}");
        own.removed().await;
        clusters.cleaned().await;
    });
}
