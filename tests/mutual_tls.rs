//! Mutual TLS between the federating Prometheus and the Gateways: whom a real Envoy lets in, what is told when somebody
//! changes a certificate, and how an install moves from plain HTTP and back.

use std::time::{SystemTime, UNIX_EPOCH};

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::standin::service;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use serde_json::{Value, json};

use crate::support::tls_client::{CLIENT_SECRET, GATEWAY_SECRET, Identity, asked};
use crate::support::{
    BOTH, Clusters, Foreign, exposed, get, masked, merge, on_an_install, on_two_clusters, until,
    unwritten,
};

const FEDERATE: &str = "/federate?match[]=up";
const CLIENT: &str = "federating-prometheus.ambikiali.dev";
const SERVER: &str = "prometheus-gateway.ambikiali.dev";
const VERIFY: [&str; 3] = ["verify", "--probes", "none"];

async fn home(clusters: &Clusters) -> Identity {
    Identity::held(clusters.home(), CLIENT_SECRET, "client").await
}

async fn gateway(cluster: &Cluster) -> Identity {
    Identity::held(cluster, GATEWAY_SECRET, "tls").await
}

/// Gives the remote's Gateway another value, as somebody would.
async fn changed(clusters: &Clusters, name: &str, value: Option<String>) {
    let change = json!({"data": {name: value}});
    merge(clusters.remote(), "v1", "Secret", GATEWAY_SECRET, &change).await;
}

/// What `status` says of the Secret of the remote's Gateway.
async fn told(clusters: &Clusters) -> Vec<String> {
    let shown = masked(&clusters.run(&["status"]).await.exited(1).stdout);
    let lines = shown.lines().filter_map(|line| {
        let (_, said) = line.split_once("expose prometheus   ")?;
        let said = said.replacen(&format!("Secret {GATEWAY_SECRET}: "), "", 1);
        (said != line && !said.starts_with("ready ")).then(|| said.trim().to_string())
    });
    lines.collect()
}

#[test]
fn envoy_lets_in_the_federating_prometheus_and_nobody_else() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let remote = clusters.remote();
        let home = home(clusters).await;
        assert_eq!(asked(remote, Some(&home), FEDERATE).await, Some(200));
        let private = "/api/v1/status/config";
        assert_eq!(asked(remote, Some(&home), private).await, Some(404));
        let others = [
            ("no certificate", None),
            (
                "another one of that name",
                Some(Identity::made(CLIENT, ClientAuth, 9)),
            ),
            ("its own", Some(gateway(remote).await)),
            (
                "that of the other Gateway",
                Some(gateway(clusters.home()).await),
            ),
        ];
        for (what, other) in &others {
            assert_eq!(
                asked(remote, other.as_ref(), FEDERATE).await,
                None,
                "{what}"
            );
        }
        for (trusted, why) in [
            (Identity::made(CLIENT, ClientAuth, -1), "ca.crt has expired"),
            (
                Identity::made(SERVER, ServerAuth, 9),
                "ca.crt is not for a client alone",
            ),
        ] {
            changed(clusters, "ca.crt", Some(trusted.data())).await;
            until("Envoy refuses the one before", async || {
                asked(remote, Some(&home), FEDERATE).await.is_none()
            })
            .await;
            assert_eq!(asked(remote, Some(&trusted), FEDERATE).await, None, "{why}");
            let failed = format!("failed     {why}: run install again");
            let drifted = "drifted    changed by somebody at TIME: .data.ca.crt".to_string();
            assert_eq!(told(clusters).await, [failed, drifted]);
        }
        let refused = clusters.run(&VERIFY).await.exited(5).stdout;
        // Home's connection is older than the change, and goes on.
        let broken =
            "broken    components     cluster2      Secret istio-system/prometheus-gateway-tls: ";
        assert!(refused.contains(broken), "{refused}");
        let exposed = "broken    exposure       cluster2      ";
        let others =
            "also lets in a client with another certificate than that of the federating Prometheus";
        let mut lines = refused.lines().filter(|line| line.starts_with(exposed));
        assert!(lines.any(|line| line.contains(others)), "{refused}");
        mended(clusters, &home).await;
        a_broken_secret_is_told_and_mended(clusters, &home).await;
        clusters.cleaned().await;
    });
}

async fn mended(clusters: &Clusters, home: &Identity) {
    clusters.installed().await;
    until("Envoy lets in home again", async || {
        asked(clusters.remote(), Some(home), FEDERATE).await == Some(200)
    })
    .await;
    clusters.run(&VERIFY).await.succeeded();
    clusters.run(&["status"]).await.succeeded();
}

async fn a_broken_secret_is_told_and_mended(clusters: &Clusters, home: &Identity) {
    let other = gateway(clusters.home()).await;
    let none = "bm9uZQ==";
    for (name, value, why) in [
        ("ca.crt", None, "ca.crt has no ca.crt"),
        (
            "ca.crt",
            Some(String::new()),
            "ca.crt has no PEM certificate",
        ),
        ("ca.crt", Some(none.into()), "ca.crt has no PEM certificate"),
        (
            "tls.crt",
            Some(other.data()),
            "tls.crt has a key that does not fit it",
        ),
        (
            "tls.key",
            Some(none.into()),
            "tls.crt has a key that does not fit it",
        ),
    ] {
        changed(clusters, name, value).await;
        let failed = format!("failed     {why}: run install again");
        assert_eq!(told(clusters).await.first(), Some(&failed), "{name}");
    }
    mended(clusters, home).await;
}

/// The sandbox gives the first cluster another version of the Gateway API than the second one.
#[test]
fn envoy_is_scraped_with_mutual_tls_by_gateway_api_1_4_as_by_1_5() {
    on_an_install(async |clusters| {
        let home = home(clusters).await;
        for (cluster, version) in [(clusters.home(), "v1.5."), (clusters.remote(), "v1.4.")] {
            let (api, kind) = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");
            let crd = get(cluster, api, kind, "gateways.gateway.networking.k8s.io").await;
            let crd = crd.expect("a CRD");
            let bundle =
                &crd["metadata"]["annotations"]["gateway.networking.k8s.io/bundle-version"];
            let bundle = bundle.as_str().expect("a version");
            assert!(bundle.starts_with(version), "{bundle}");
            assert_eq!(asked(cluster, Some(&home), FEDERATE).await, Some(200));
            assert_eq!(asked(cluster, None, FEDERATE).await, None);
        }
        let verified = clusters.run(&VERIFY).await.succeeded().stdout;
        for cluster in ["cluster1", "cluster2"] {
            let line = format!("ok        scrape target  {cluster}      https://");
            assert!(verified.contains(&line), "{verified}");
        }
    });
}

/// The targets of home, and not what they send of their own targets.
const UP: &str = "up{job=~%22federate-.*%22}";
const ROTATED: &str = "\
rotated       cluster2      Secret kiali/kiali-2: it was N minutes old
removed       cluster2      Secret kiali/kiali; its token is refused
rotated       cluster1      Secret kiali/prometheus-tls: it was N minutes old; it ends at TIME
rotated       cluster1      Secret istio-system/prometheus-gateway-tls: it was N minutes old; it ends at TIME
rotated       cluster2      Secret istio-system/prometheus-gateway-tls: it was N minutes old; it ends at TIME
Done in TIME: 1 token, 3 certificates replaced
";

/// How many scrapes of both targets home has tried so far, and how many of them succeeded.
async fn scrapes(clusters: &Clusters) -> [u64; 2] {
    let client = clusters.home().client();
    let pod = service::resolve(&client, "prometheus.kiali", 9090).await;
    let pod = pod.expect("the federating Prometheus");
    // A scrape between both queries counts for neither.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let time = now.as_secs_f64() - 2.0;
    let count = async |function: &str| {
        let url = format!("http://{pod}/api/v1/query?query=sum({function}({UP}[1h]))&time={time}");
        let client = reqwest::Client::builder().no_proxy().build();
        let answer = client.expect("a client").get(url).send().await;
        let text = answer.expect("an answer").text().await.expect("JSON");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let number = answer["data"]["result"][0]["value"][1].as_str();
        // None before the first scrape.
        number.map_or(0, |number| number.parse().expect("a number"))
    };
    [count("count_over_time").await, count("sum_over_time").await]
}

#[test]
fn envoy_and_prometheus_take_new_certificates_without_a_scrape_that_fails() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let remote = clusters.remote();
        let old = home(clusters).await;
        let before = gateway(remote).await;
        let marks = clusters.marks();
        let kept = ["rotate", "--certificates", "--if-older", "30d"];
        let kept = clusters.run(&kept).await.succeeded();
        unwritten(&marks);
        assert!(
            kept.stdout
                .ends_with(": 0 tokens, 0 certificates replaced\n"),
            "{kept:#?}"
        );

        let [tried, succeeded] = scrapes(clusters).await;
        let ended = clusters
            .run(&["rotate", "--certificates"])
            .await
            .succeeded();
        assert_eq!(masked(&ended.stdout), ROTATED);
        let new = home(clusters).await;
        assert!(old.data() != new.data() && before.data() != gateway(remote).await.data());
        for cluster in clusters.sandbox.clusters() {
            assert_eq!(asked(cluster, Some(&old), FEDERATE).await, None);
            assert_eq!(asked(cluster, Some(&new), FEDERATE).await, Some(200));
        }
        clusters.run(&VERIFY).await.succeeded();
        let [tried, succeeded] = match scrapes(clusters).await {
            [now, up] => [now - tried, up - succeeded],
        };
        println!("rotate --certificates: {tried} scrapes meanwhile, {succeeded} succeeded");
        assert!(tried > 2, "{tried} scrapes");
        assert_eq!(tried, succeeded, "a scrape failed");
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        clusters.cleaned().await;
    });
}

async fn is_plain(clusters: &Clusters) -> bool {
    let mut plain = true;
    for cluster in clusters.sandbox.clusters() {
        let url = format!("http://{}{FEDERATE}", exposed(cluster).await);
        let client = reqwest::Client::builder().no_proxy().build();
        let answer = client.expect("a client").get(url).send().await;
        plain &= answer.is_ok_and(|answer| answer.status() == 200);
    }
    plain
}

async fn secrets(clusters: &Clusters) -> usize {
    let mut found = 0;
    for (cluster, name) in [
        (clusters.home(), CLIENT_SECRET),
        (clusters.home(), GATEWAY_SECRET),
        (clusters.remote(), GATEWAY_SECRET),
    ] {
        found += usize::from(get(cluster, "v1", "Secret", name).await.is_some());
    }
    found
}

#[test]
fn envoy_serves_plain_http_only_when_the_user_asks_for_it() {
    on_two_clusters(async |clusters| {
        a_secret_of_others_stays(clusters).await;
        clusters.install(&["--exposure", "http"]).await.succeeded();
        assert!(is_plain(clusters).await);
        assert_eq!(secrets(clusters).await, 0);
        clusters.run(&VERIFY).await.succeeded();

        let secure = ["--exposure", "mtls"];
        let planned = clusters
            .run(&[&["plan"], &BOTH[..], &secure].concat())
            .await;
        let planned = planned.succeeded().stdout;
        for change in [
            "  create   expose prometheus   Secret istio-system/prometheus-gateway-tls",
            "  change   expose prometheus   Gateway istio-system/prometheus-gateway",
            "  create   aggregate metrics   Secret kiali/prometheus-tls",
        ] {
            assert!(planned.contains(change), "{change}: {planned}");
        }
        assert!(!planned.contains("LS0t"), "{planned}");
        clusters.install(&secure).await.succeeded();
        assert!(!is_plain(clusters).await);
        assert_eq!(secrets(clusters).await, 3);
        clusters.run(&VERIFY).await.succeeded();

        clusters.install(&["--exposure", "http"]).await.succeeded();
        until("the Gateways serve plain HTTP again", async || {
            is_plain(clusters).await
        })
        .await;
        assert_eq!(secrets(clusters).await, 0);
        clusters.run(&VERIFY).await.succeeded();
        clusters.cleaned().await;
    });
}

async fn a_secret_of_others_stays(clusters: &Clusters) {
    let theirs = json!({
        "apiVersion": "v1", "kind": "Secret", "data": {"tls.crt": "bm9uZQ=="},
        "metadata": {"name": "prometheus-gateway-tls", "namespace": "istio-system"},
    });
    let theirs = Foreign::apply(clusters.remote(), &theirs.to_string()).await;
    let before = theirs.all().await;
    let refused = clusters.install(&[]).await.exited(9);
    let named = "error: expose prometheus: cluster2: Secret istio-system/prometheus-gateway-tls already exists, created \
                 by somebody, and differs from what is needed at .data.tls.crt; it was not changed\n";
    assert!(refused.stderr.contains(named), "{refused:#?}");
    assert_eq!(theirs.all().await, before);
    clusters.cleaned().await;
    assert_eq!(theirs.all().await, before);
    theirs.removed().await;
}
