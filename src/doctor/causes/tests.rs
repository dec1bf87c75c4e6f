//! Cases that the tests on clusters do not make.

mod kiali;
mod path;
mod scrape;
mod store;
mod workloads;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::doctor::Question;
use crate::doctor::evidence::{
    Effect, Flow, Home, LeftOut, Metrics, Namespace, Policy, Redirection, Reporter, Server,
    Service, Sight, Token, Traffic,
};
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::k8s::look::Component;
use crate::progress::Hop;
use crate::progress::ObjectId;
use crate::status::Row;
use crate::steps::ScrapeTarget;
use crate::steps::aggregate_metrics::ActiveTarget;

const URL: &str = "http://prometheus.kiali:9090";
const NAMES: [&str; 2] = ["cluster1", "cluster2"];

fn target(pool: &str, cluster: &str, health: &str) -> ActiveTarget {
    serde_json::from_value(json!({
        "scrapePool": pool, "scrapeUrl": format!("http://{cluster}:9090/federate"), "lastError": "",
        "lastScrape": "", "health": health, "labels": {"cluster": cluster},
    }))
    .unwrap()
}

fn flow(reporter: Reporter, source: &str, destination: &str) -> Flow {
    let cluster = match reporter {
        Reporter::Source => source,
        Reporter::Destination => destination,
    };
    Flow {
        cluster: cluster.into(),
        reporter,
        source: source.into(),
        destination: destination.into(),
        flags: String::new(),
        count: 1.0,
    }
}

fn flows() -> Vec<Flow> {
    let [home, remote] = NAMES;
    vec![
        flow(Reporter::Source, home, remote),
        flow(Reporter::Destination, home, remote),
    ]
}

fn labels(app: &str) -> BTreeMap<String, String> {
    [("app".to_string(), app.to_string())].into()
}

fn service(is_global: bool) -> Service {
    Service {
        namespace: "sample".into(),
        name: "helloworld".into(),
        is_global,
        selector: labels("helloworld"),
        waypoint: None,
    }
}

fn policy(namespace: &str, effect: Effect) -> Policy {
    Policy {
        namespace: namespace.into(),
        name: "policy".into(),
        selector: BTreeMap::new(),
        effect,
    }
}

/// A finding of `check` about a cluster.
fn finding(name: &str, code: Code, (kind, cause): (&str, &str)) -> Finding {
    Finding {
        code,
        severity: code.severity(),
        cluster: ClusterName::new(name).unwrap(),
        object: ObjectId::new(kind, "istio-system", "one"),
        cause: cause.into(),
        fix: "fix it".into(),
        skipped: false,
    }
}

fn cluster(name: &str) -> ClusterEvidence {
    ClusterEvidence {
        name: ClusterName::new(name).unwrap(),
        kubectl: format!("kubectl --context {name}"),
        has_own_prometheus: false,
        ahead: Some(SignedDuration::ZERO),
        findings: Ok(Vec::new()),
        rows: Ok(Vec::new()),
        exposed: Ok(Some(ScrapeTarget {
            cluster: ClusterName::new(name).unwrap(),
            address: format!("{name}:9090"),
            mutual_tls: false,
            https: None,
        })),
        trust: Ok(None),
        namespaces: Ok(vec![Namespace {
            name: "sample".into(),
            is_ambient: true,
            has_sidecars: false,
            waypoint: None,
        }]),
        services: Ok(vec![service(true)]),
        left_out: Ok(Vec::new()),
        redirection: Ok(Redirection::default()),
        policies: Ok(Vec::new()),
        ztunnel: Ok(Some(ObjectId::new("DaemonSet", "istio-system", "ztunnel"))),
        token: (name != NAMES[0]).then_some(Ok(Token::Accepted)),
    }
}

fn metrics() -> Metrics {
    let targets = NAMES.map(|name| target(&format!("federate-{name}"), name, "up"));
    Metrics {
        targets: Ok(targets.into()),
        server: Ok(Server {
            age: Some(Duration::from_secs(3600)),
            retention: "15d".into(),
        }),
        series: Ok(NAMES.map(|name| (Some(name.into()), 10.0)).into()),
        renamed: Ok(Vec::new()),
        ages: Ok(BTreeMap::new()),
        covered: Ok(NAMES.map(Into::into).into()),
        ztunnels: Ok(NAMES.map(Into::into).into()),
        waypoints: Ok(Vec::new()),
        slowest: Ok(BTreeMap::new()),
        ends: Ok(flows()),
        traffic: Ok(Traffic {
            moved: flows(),
            failed: Vec::new(),
            counted: 9.0,
            new: 0.0,
        }),
    }
}

fn healthy() -> Evidence {
    Evidence {
        question: Question {
            window: Duration::from_secs(300),
            namespace: None,
            service: None,
        },
        namespace: "kiali".into(),
        has_store: false,
        interval: Duration::from_secs(15),
        clusters: NAMES.map(cluster).into(),
        absent: Vec::new(),
        metrics: Ok(metrics()),
        home: Home {
            federation: Ok(Some(true)),
            sight: Ok(Sight::All),
            queried: Ok(Some((URL.into(), URL.into()))),
        },
        stored: Ok(Vec::new()),
        install: "ambikiali install".into(),
    }
}

fn with(change: impl FnOnce(&mut Metrics)) -> Evidence {
    let mut evidence = healthy();
    change(evidence.metrics.as_mut().unwrap());
    evidence
}

/// The codes of the likely causes, and of those that are unknown.
fn judged(evidence: &Evidence) -> (Vec<u16>, Vec<u16>) {
    let (mut likely, mut unknown) = (Vec::new(), Vec::new());
    for (code, judgement) in judge(evidence) {
        likely.extend(judgement.likely.iter().map(|_| code as u16));
        unknown.extend(judgement.unknown.iter().map(|_| code as u16));
    }
    (likely, unknown)
}

#[test]
fn nothing_is_found_in_healthy_evidence() {
    assert_eq!(judged(&healthy()), (vec![], vec![]));
}

#[test]
fn what_cannot_be_asked_is_neither_found_nor_ruled_out() {
    let mut evidence = healthy();
    evidence.metrics = Err("no pod is ready".into());
    let of_metrics = vec![
        1508, 1522, 1524, 1521, 1525, 1501, 1505, 1506, 1507, 1512, 1509, 1510,
    ];
    assert_eq!(judged(&evidence), (vec![], of_metrics));
    let mut evidence = healthy();
    let remote = evidence.clusters.remove(1);
    evidence.absent = vec![(remote.name, "no answer".into())];
    let of_clusters = vec![
        1004, 1208, 1511, 1516, 1514, 1515, 1213, 1214, 1210, 1302, 1211, 1212, 1304, 1209, 1230,
        1522, 1524, 1217, 1216, 1502, 1503, 1437, 1504, 1523, 1513,
    ];
    assert_eq!(judged(&evidence), (vec![], of_clusters));
}

#[test]
fn a_source_that_names_itself_is_found() {
    let evidence = with(|metrics| metrics.renamed = Ok(vec![("a".into(), "cluster2".into())]));
    assert_eq!(judged(&evidence), (vec![1506], vec![]));
}

#[test]
fn a_ztunnel_that_calls_its_cluster_otherwise_is_found_and_an_unknown_end_is_not() {
    let mut other = flow(Reporter::Source, "east", "cluster2");
    other.cluster = "cluster1".into();
    let evidence = with(|metrics| metrics.ends = Ok(vec![other]));
    assert_eq!(judged(&evidence), (vec![1507], vec![]));
    let mut unknown = flow(Reporter::Source, "unknown", "cluster2");
    unknown.cluster = "cluster1".into();
    let evidence = with(|metrics| metrics.ends = Ok(vec![unknown]));
    assert_eq!(judged(&evidence), (vec![], vec![]));
}

#[test]
fn old_counters_in_a_young_prometheus_are_no_burst() {
    let still = |new| {
        Ok(Traffic {
            moved: Vec::new(),
            failed: Vec::new(),
            counted: 9.0,
            new,
        })
    };
    let young = with(|metrics| {
        metrics.traffic = still(9.0);
        metrics.covered = Ok(Vec::new());
        metrics.server.as_mut().unwrap().age = Some(Duration::from_secs(60));
    });
    assert_eq!(judged(&young), (vec![1512, 1510], vec![]));
    let burst = with(|metrics| metrics.traffic = still(9.0));
    assert_eq!(judged(&burst), (vec![1509], vec![]));
    let silence = with(|metrics| metrics.traffic = still(0.0));
    assert_eq!(judged(&silence), (vec![1510], vec![]));
    let down = with(|metrics| {
        metrics.traffic = still(0.0);
        metrics.targets.as_mut().unwrap()[1] = target("federate-cluster2", "cluster2", "down");
    });
    assert_eq!(judged(&down), (vec![1501], vec![1509, 1510]));
}

#[test]
fn a_namespace_is_compared_with_itself_in_other_clusters() {
    let mut evidence = healthy();
    let outside = |name: &str, has_sidecars| Namespace {
        name: name.into(),
        is_ambient: false,
        has_sidecars,
        waypoint: None,
    };
    let only = vec![outside("default", false), outside("sample", true)];
    evidence.clusters[1].namespaces = Ok(only);
    assert_eq!(judged(&evidence), (vec![], vec![]));
    evidence.question.namespace = Some("default".into());
    assert_eq!(judged(&evidence), (vec![1511], vec![]));
}

#[test]
fn each_cause_is_judged_once_and_is_in_the_table_of_the_documentation() {
    let table = include_str!("../../../docs/doctor.md");
    let codes = judge(&healthy())
        .into_iter()
        .map(|(code, _)| code.to_string());
    let codes = codes.collect::<std::collections::BTreeSet<_>>();
    assert_eq!(codes.len(), COUNT);
    let rows = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.trim_start_matches('[').get(..6));
    let rows = rows.filter(|code| code.starts_with("AK"));
    assert_eq!(
        rows.map(Into::into)
            .collect::<std::collections::BTreeSet<String>>(),
        codes
    );
}
