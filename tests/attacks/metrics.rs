//! What a client can read through the Gateway in front of a Prometheus, and what a malicious remote can send to home
//! instead of metrics.

use serde_json::Value;

use crate::support::tls_client::page as federated;
use crate::support::web_server::{WebServer, page};
use crate::support::{Clusters, get, masked, on_an_install, on_two_clusters, until};

const VERIFY: [&str; 3] = ["verify", "--probes", "none"];
/// As in src/steps/aggregate_metrics/config.rs.
const SAMPLES: usize = 180_000;

fn series(count: usize) -> String {
    (0..count).map(|i| format!("a{{i=\"{i}\"}} 1\n")).collect()
}

/// An install with the remote's own Prometheus, which behaves well for now.
async fn scraping(clusters: &Clusters) -> WebServer {
    let server = WebServer::start(page(&series(3))).await;
    let at = server.address.to_string();
    clusters.install(&["--prometheus2", &at]).await.succeeded();
    server
}

/// The lines of `verify` about scrape targets.
async fn targets(clusters: &Clusters) -> String {
    let ended = clusters.run(&VERIFY).await.exited(5);
    let masked = masked(&ended.stdout);
    let lines = masked.lines().filter(|l| l.contains("  scrape target  "));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Asks for every series of the server.
const ALL: &str = "/federate?match[]={__name__=~%22.%2B%22}";
const HOME: &str = "ok        scrape target  cluster1      https://ADDRESS:9090/federate up\n";

#[test]
fn attack_08_federate_serves_the_job_of_the_mesh_alone_and_each_of_our_pods_is_bounded() {
    on_an_install(async |clusters| {
        clusters.run(&VERIFY).await.succeeded();
        for cluster in [clusters.home(), clusters.remote()] {
            // Wait until each of its pods was scraped.
            until("series of ztunnels", async || {
                let answer = federated(cluster, clusters.home(), ALL).await;
                let lines = answer.lines().filter(|line| line.contains('{'));
                let others = lines.filter(|l| !l.contains("job=\"kubernetes-pods\""));
                assert_eq!(others.collect::<Vec<_>>(), Vec::<&str>::new());
                answer.contains("app=\"ztunnel\"")
            })
            .await;
            let mut deployments = vec!["istio-system/prometheus", "kiali/kiali-operator"];
            if cluster.name() == "cluster1" {
                deployments.extend(["kiali/prometheus", "kiali/kiali"]);
            }
            for name in deployments {
                let deployment = get(cluster, "apps/v1", "Deployment", name).await;
                let deployment = deployment.expect("a Deployment");
                let container = &deployment["spec"]["template"]["spec"]["containers"][0];
                for (what, kind) in [
                    ("limits", "memory"),
                    ("limits", "cpu"),
                    ("requests", "memory"),
                ] {
                    let bound = &container["resources"][what][kind];
                    assert_ne!(*bound, Value::Null, "{name}: {what} {kind}");
                }
            }
        }
    });
}

#[test]
fn attack_08_a_page_of_too_many_series_or_labels_stops_one_target_and_no_other() {
    on_two_clusters(async |clusters| {
        // A response of that size takes long, and a scrape must end before the next one.
        clusters.scraped_as_configured(true);
        let server = scraping(clusters).await;
        clusters.scraped_as_configured(false);
        clusters.run(&VERIFY).await.succeeded();
        let at = server.address;
        for (body, why) in [
            (
                series(SAMPLES + 1),
                "sample limit exceeded; the Prometheus of cluster2 keeps more series than ConfigMap prometheus-config allows",
            ),
            (
                format!(
                    "a{{{}}} 1\n",
                    (0..200).map(|i| format!("l{i}=\"1\",")).collect::<String>()
                ),
                "label_limit exceeded",
            ),
            (
                format!("a{{l=\"{}\"}} 1\n", "x".repeat(5000)),
                "label_value_length_limit exceeded",
            ),
        ] {
            server.answers(page(&body));
            let said = targets(clusters).await;
            let (home, remote) = said.split_at(HOME.len());
            assert_eq!(home, HOME);
            assert!(
                remote.starts_with("broken    scrape target  cluster2 "),
                "{remote}"
            );
            assert!(remote.contains(why), "{remote}");
        }
        server.answers(page(&series(3)));
        clusters.run(&VERIFY).await.succeeded();
        assert_ne!(at.port(), 0);
        clusters.cleaned().await;
    });
}

#[test]
fn attack_09_a_remote_that_answers_with_a_redirect_sends_home_nowhere() {
    on_two_clusters(async |clusters| {
        let server = scraping(clusters).await;
        let inside = WebServer::start(page("secret 1\n")).await;
        for code in [
            "301 Moved Permanently",
            "302 Found",
            "307 Temporary Redirect",
        ] {
            server.answers(format!(
                "HTTP/1.1 {code}\r\nlocation: http://{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                inside.address
            ));
            let before = server.asked();
            let said = targets(clusters).await;
            let (home, remote) = said.split_at(HOME.len());
            assert_eq!(home, HOME);
            let named = format!(
                "/federate is down: server returned HTTP status {code}; redirects are not followed: the address is not that of a Prometheus\n"
            );
            assert!(remote.ends_with(&named), "{remote}");
            assert!(server.asked() > before);
        }
        assert_eq!(
            inside.asked(),
            0,
            "home was sent to an address of its own network"
        );
        clusters.cleaned().await;
    });
}
