use std::collections::BTreeMap;

use super::*;
use crate::standin::sample::{Ends, Failure, Named, Workload};
use crate::standin::ztunnel::telemetry::reports;

const OLD: Option<(u32, u32)> = Some((1, 28));
const NEW: Option<(u32, u32)> = Some((1, 32));

type Switches = (Option<(u32, u32)>, bool);

fn page(ztunnel: &Ztunnel) -> String {
    let runtime = Runtime {
        queue: 0,
        tasks: 9,
        workers: vec![Worker {
            busy: 1.5,
            parks: 2,
            parks_and_unparks: 4,
        }],
    };
    let process = Process {
        tag: "1.32".into(),
        proxies: 2,
        open_fds: 20,
        max_fds: 1024,
        runtime,
    };
    render(ztunnel, &process)
}

/// The sample's apps.
fn ends() -> Ends {
    Ends {
        sender: Workload::curl(),
        service: Named::helloworld(),
        answerer: Workload {
            named: Named::new("sample", "helloworld-v2"),
            app: "helloworld".into(),
            revision: "v2".into(),
            account: "default".into(),
        },
    }
}

/// Returns the pages of both ends after one connection from cluster1.
fn pages(sender: Switches, receiver: Switches, to: &str, failure: Option<Failure>) -> [String; 2] {
    let sender = Ztunnel::new("cluster1", sender.0, sender.1);
    let receiver = match to {
        "cluster1" => sender.clone(),
        to => Ztunnel::new(to, receiver.0, receiver.1),
    };
    for report in reports(&sender, Some(&receiver), &ends(), failure) {
        report.opened();
        if failure.is_none() {
            report.transferred(91, 200);
        }
        report.closed();
    }
    [page(&sender), page(&receiver)]
}

/// Returns the labels and the value of each series of that name.
fn series(page: &str, name: &str) -> Vec<(BTreeMap<String, String>, String)> {
    let start = format!("{name}{{");
    let lines = page.lines().filter_map(|line| line.strip_prefix(&start));
    let read = |line: &str| {
        let (labels, value) = line.split_once("} ").expect("labels and a value");
        let labels = labels.split(',').map(|pair| {
            let (name, value) = pair.split_once('=').expect("a label");
            (name.to_owned(), value.trim_matches('"').to_owned())
        });
        (labels.collect(), value.to_owned())
    };
    lines.map(read).collect()
}

fn only(page: &str, name: &str) -> BTreeMap<String, String> {
    let found = series(page, name);
    assert_eq!(found.len(), 1, "{name} in {page}");
    found[0].0.clone()
}

const RECEIVED: &str = "istio_tcp_received_bytes_total";
const FAILED: &str = "istio_tcp_connections_failed_total";

fn of(labels: &BTreeMap<String, String>, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| labels[*name].clone()).collect()
}

#[test]
fn every_label_is_there_and_what_is_unknown_says_so() {
    let [page, _] = pages((NEW, true), (NEW, true), "cluster2", None);
    let labels = only(&page, RECEIVED);
    assert_eq!(labels.len(), 27);
    assert!(labels.values().all(|value| !value.is_empty()));
    for locality in [
        "source_region",
        "source_zone",
        "destination_region",
        "destination_zone",
    ] {
        assert_eq!(labels[locality], "unknown");
    }
    assert_eq!(labels["destination_service_namespace"], "sample");
}

#[test]
fn between_clusters_each_end_knows_what_the_other_tells() {
    let ends = ["source_cluster", "destination_cluster"];
    let workload = ["destination_workload_namespace", "destination_app"];
    for (sender, receiver, at_source, named, at_destination) in [
        (
            (NEW, true),
            (NEW, true),
            ["cluster1", "cluster2"],
            ["sample", "helloworld-v2"],
            ["cluster1", "cluster2"],
        ),
        (
            (NEW, false),
            (NEW, true),
            ["cluster1", "cluster2"],
            ["sample", "helloworld-v2"],
            ["cluster1", "cluster2"],
        ),
        (
            (NEW, true),
            (NEW, false),
            ["cluster1", "unknown"],
            ["unknown", "unknown"],
            ["unknown", "cluster2"],
        ),
        (
            (NEW, true),
            (OLD, true),
            ["cluster1", "unknown"],
            ["unknown", "unknown"],
            ["cluster1", "cluster2"],
        ),
        (
            (OLD, true),
            (NEW, true),
            ["cluster1", "Kubernetes"],
            ["istio-system", "unknown"],
            ["cluster1", "cluster2"],
        ),
        (
            (OLD, true),
            (OLD, true),
            ["cluster1", "Kubernetes"],
            ["istio-system", "unknown"],
            ["cluster1", "cluster2"],
        ),
    ] {
        let [source, destination] = pages(sender, receiver, "cluster2", None);
        let (source, destination) = (only(&source, RECEIVED), only(&destination, RECEIVED));
        let what = format!("{sender:?} to {receiver:?}");
        assert_eq!(of(&source, &ends), at_source, "{what}");
        assert_eq!(of(&source, &workload), named, "{what}");
        assert_eq!(of(&destination, &ends), at_destination, "{what}");
        assert_eq!(
            of(&destination, &workload),
            ["sample", "helloworld"],
            "{what}"
        );
        // The principal comes from TLS, and the Service is the one that was requested.
        for labels in [&source, &destination] {
            assert_eq!(labels["destination_service_namespace"], "sample", "{what}");
            assert!(
                labels["destination_principal"].starts_with("spiffe://"),
                "{what}"
            );
            assert!(labels["source_principal"].ends_with("/sa/curl"), "{what}");
        }
    }
}

#[test]
fn inside_a_cluster_no_baggage_is_needed() {
    for switches in [(NEW, true), (NEW, false), (OLD, true)] {
        let [page, _] = pages(switches, switches, "cluster1", None);
        let found = series(&page, RECEIVED);
        assert_eq!(found.len(), 2);
        for (labels, value) in found {
            let ends = ["source_cluster", "destination_cluster", "destination_app"];
            assert_eq!(of(&labels, &ends), ["cluster1", "cluster1", "helloworld"]);
            assert_eq!(value, "91");
        }
    }
}

#[test]
fn a_failed_connection_is_opened_without_a_flag_and_ends_with_one() {
    let ends = ["source_cluster", "destination_cluster", "response_flags"];
    let [source, _] = pages((NEW, true), (NEW, true), "cluster2", Some(Failure::Connect));
    assert_eq!(series(&source, RECEIVED)[0].1, "0");
    let opened = only(&source, "istio_tcp_connections_opened_total");
    assert_eq!(of(&opened, &ends), ["cluster1", "Kubernetes", "-"]);
    for name in [FAILED, "istio_tcp_connections_closed_total"] {
        let ended = only(&source, name);
        assert_eq!(of(&ended, &ends), ["cluster1", "Kubernetes", "CONNECT"]);
    }
    let denied = Some(Failure::Deny);
    let [_, destination] = pages((NEW, true), (NEW, true), "cluster2", denied);
    let failed = only(&destination, FAILED);
    assert_eq!(of(&failed, &ends), ["cluster1", "cluster2", "DENY"]);
    let [_, old] = pages((NEW, true), (OLD, true), "cluster2", denied);
    assert_eq!(series(&old, FAILED).len(), 0);
    assert_eq!(series(&old, "istio_tcp_sockets_open").len(), 0);
}

#[test]
fn the_page_is_in_the_form_of_openmetrics() {
    let [page, _] = pages((NEW, true), (NEW, true), "cluster2", None);
    assert!(page.ends_with("# EOF\n"), "{page}");
    for line in page.lines() {
        let described = line
            .strip_prefix("# TYPE ")
            .or(line.strip_prefix("# HELP "));
        if let Some(described) = described {
            let name = described.split(' ').next().unwrap_or_default();
            assert!(!name.ends_with("_total"), "{line}");
        }
    }
    assert!(page.contains("\n# TYPE istio_tcp_received_bytes counter\n"));
    assert!(page.contains("\nworkload_manager_active_proxy_count 2\n"));
    assert!(page.contains("\ntokio_worker_park_count_total{worker=\"0\"} 2\n"));
    assert!(page.contains("\nprocess_max_fds 1024\n"));
    for missing in ["process_cpu", "process_resident", "_created"] {
        assert!(!page.contains(missing), "{missing} in {page}");
    }
}

#[test]
fn before_the_first_connection_there_is_no_series_of_any() {
    let page = page(&Ztunnel::new("cluster1", NEW, true));
    assert!(!page.contains("istio_tcp_"), "{page}");
    assert!(!page.contains("istio_dns_"), "{page}");
    assert!(page.contains("\nistio_build{component=\"ztunnel\",tag=\"1.32\"} 1\n"));
}

#[test]
fn the_form_is_called_as_it_is_asked_for() {
    let asked = |accept: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().expect("a header"));
        content_type(&headers)
    };
    let prometheus =
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.3";
    assert_eq!(
        asked(prometheus),
        "application/openmetrics-text;charset=utf-8;version=1.0.0"
    );
    assert_eq!(asked("*/*"), "text/plain; charset=utf-8");
}

#[test]
fn the_version_is_that_of_the_environment_or_of_the_image() {
    let of = |image: &str, env: serde_json::Value| {
        let spec = serde_json::json!({"name": "istio-proxy", "image": image, "env": env});
        version(&serde_json::from_value(spec).expect("a container"))
    };
    let none = serde_json::json!([]);
    assert_eq!(
        of("istio/ztunnel:1.28.3-distroless", none.clone()),
        "1.28.3"
    );
    assert_eq!(
        of("istio/ztunnel:1.31-alpha@sha256:00", none.clone()),
        "1.31-alpha"
    );
    assert_eq!(of("localhost:5000/ztunnel", none), "unknown");
    let set = serde_json::json!([{"name": "ISTIO_META_ISTIO_VERSION", "value": "1.29.1"}]);
    assert_eq!(of("istio/ztunnel:1.28.3", set), "1.29.1");
    assert_eq!(number("1.31-alpha"), Some((1, 31)));
    assert_eq!(number("latest"), None);
}
