//! Cases that the tests on clusters do not make.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::doctor::Question;
use crate::doctor::evidence::{
    Effect, Flow, Home, LeftOut, Metrics, Namespace, Policy, Reporter, Server, Service, Sight,
    Token, Traffic,
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
        }]),
        services: Ok(vec![service(true)]),
        left_out: Ok(Vec::new()),
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
    let of_metrics = vec![1508, 1522, 1521, 1501, 1505, 1506, 1507, 1512, 1509, 1510];
    assert_eq!(judged(&evidence), (vec![], of_metrics));
    let mut evidence = healthy();
    let remote = evidence.clusters.remove(1);
    evidence.absent = vec![(remote.name, "no answer".into())];
    let of_clusters = vec![
        1004, 1208, 1511, 1516, 1514, 1515, 1213, 1214, 1210, 1302, 1211, 1212, 1304, 1209, 1230,
        1522, 1217, 1216, 1502, 1503, 1437, 1504, 1523, 1513,
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

#[test]
fn what_is_not_readable_is_not_ruled_out() {
    let hidden = |kind| {
        let mut evidence = healthy();
        let finding = finding(NAMES[1], Code::NotLookedAt, (kind, "may not be listed"));
        evidence.clusters[1].findings = Ok(vec![finding]);
        judged(&evidence)
    };
    assert_eq!(hidden("Gateways"), (vec![], vec![1211, 1212]));
    assert_eq!(hidden("Secrets"), (vec![], vec![1213, 1214]));
    assert_eq!(hidden("Namespace"), (vec![], vec![1210, 1302]));
    assert_eq!(hidden("ConfigMap"), (vec![], vec![1304]));
    assert_eq!(hidden("DaemonSets"), (vec![], vec![1208, 1209, 1230, 1513]));
    assert_eq!(hidden("NetworkPolicies"), (vec![], vec![1217]));
    assert_eq!(hidden("AuthorizationPolicies"), (vec![], vec![1216]));
    let mut evidence = healthy();
    let unknown = finding(NAMES[1], Code::SyncUnknown, ("Pod", "does not tell"));
    evidence.clusters[1].findings = Ok(vec![unknown]);
    assert_eq!(judged(&evidence), (vec![], vec![1214]));
}

#[test]
fn what_explains_that_connections_fail_is_seen_and_told_alone() {
    let mut failed = flow(Reporter::Source, "cluster1", "Kubernetes");
    failed.flags = "CONNECT".into();
    let failing =
        || with(|metrics| metrics.traffic.as_mut().unwrap().failed = vec![failed.clone()]);
    assert_eq!(judged(&failing()).0, [1508]);
    let mut evidence = failing();
    let no_address = finding(
        NAMES[1],
        Code::EastWestGatewayWithoutAddress,
        ("Gateway", "has no address"),
    );
    evidence.clusters[1].findings = Ok(vec![no_address.clone()]);
    assert_eq!(judged(&evidence).0, [1212]);
    // Nothing is told of what home receives.
    let mut evidence = failing();
    evidence.clusters[0].findings = Ok(vec![no_address]);
    assert_eq!(judged(&evidence).0, [1212, 1508]);
    let seen = judge(&failing())
        .into_iter()
        .flat_map(|(_, one)| one.likely);
    assert_eq!(
        seen.map(|one| one.likelihood).collect::<Vec<_>>(),
        [Likelihood::Seen]
    );
}

#[test]
fn a_policy_denies_a_service_only_if_no_other_allows_it() {
    let held = |policies: Vec<Policy>| {
        let mut evidence = healthy();
        evidence.clusters[1].policies = Ok(policies);
        judged(&evidence).0
    };
    let nobody = policy("istio-system", Effect::AllowsNone);
    assert_eq!(held(vec![nobody.clone()]), [1514]);
    assert_eq!(
        held(vec![nobody.clone(), policy("sample", Effect::AllowsSome)]),
        [0; 0]
    );
    assert_eq!(
        held(vec![nobody.clone(), policy("other", Effect::AllowsSome)]),
        [1514]
    );
    assert_eq!(held(vec![policy("other", Effect::DeniesAll)]), [0; 0]);
    let all = policy("sample", Effect::DeniesAll);
    assert_eq!(
        held(vec![all.clone(), policy("sample", Effect::AllowsSome)]),
        [1514]
    );
    let for_others = Policy {
        selector: labels("other"),
        ..all
    };
    assert_eq!(held(vec![for_others]), [0; 0]);
    // Nobody expects traffic to a Service that is not global, unless it is asked for.
    let mut evidence = healthy();
    for cluster in &mut evidence.clusters {
        cluster.services = Ok(vec![service(false)]);
        cluster.policies = Ok(vec![nobody.clone()]);
    }
    assert_eq!(judged(&evidence).0, [0; 0]);
    evidence.question.service = Some("helloworld".into());
    assert_eq!(judged(&evidence).0, [1514, 1514]);
}

#[test]
fn a_service_is_compared_with_that_of_the_same_name() {
    let mut evidence = healthy();
    evidence.clusters[1].services = Ok(vec![service(false)]);
    assert_eq!(judged(&evidence), (vec![1515], vec![]));
    evidence.clusters[1].services = Ok(vec![]);
    assert_eq!(judged(&evidence), (vec![], vec![]));
    evidence.clusters[1].services = Err("403".into());
    assert_eq!(judged(&evidence), (vec![], vec![1516, 1514, 1515, 1515]));
}

#[test]
fn pods_that_are_left_out_count_only_behind_a_service_of_the_mesh() {
    let pod = |namespace: &str, app| LeftOut {
        namespace: namespace.into(),
        labels: labels(app),
    };
    let mut evidence = healthy();
    evidence.clusters[1].left_out = Ok(vec![pod("sample", "job"), pod("other", "helloworld")]);
    assert_eq!(judged(&evidence), (vec![], vec![]));
    evidence.clusters[1].left_out = Ok(vec![pod("sample", "helloworld")]);
    assert_eq!(judged(&evidence), (vec![1516], vec![]));
}

#[test]
fn the_better_answer_to_what_kiali_does_not_see_is_told() {
    let blind = || {
        let mut evidence = healthy();
        evidence.home.sight = Ok(Sight::Blind("it cannot reach cluster2".into()));
        evidence
    };
    let cluster = |evidence: &Evidence| {
        let likely = judge(evidence).into_iter().flat_map(|(_, one)| one.likely);
        likely
            .filter_map(|one| one.cluster)
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(judged(&blind()), (vec![1517], vec![]));
    assert_eq!(cluster(&blind()), ["cluster2"]);
    let mut evidence = blind();
    evidence.clusters[1].token = Some(Ok(Token::Refused("401".into())));
    assert_eq!(judged(&evidence), (vec![1504], vec![]));
    evidence.clusters[1].token = None;
    assert_eq!(judged(&evidence), (vec![1523], vec![]));
    let mut evidence = healthy();
    evidence.home.sight = Ok(Sight::Silent("no answer in 10 s".into()));
    assert_eq!(judged(&evidence), (vec![], vec![1517]));
    let remote = evidence.clusters.remove(1);
    evidence.absent = vec![(remote.name, "no answer".into())];
    assert_eq!(judged(&evidence).0, [1517]);
    assert_eq!(cluster(&evidence), ["cluster2"]);
}

#[test]
fn a_url_that_kiali_asks_is_told_without_credentials() {
    let mut evidence = healthy();
    evidence.home.queried = Ok(Some((
        "https://me:secret@thanos.example".into(),
        URL.into(),
    )));
    let mut likely = judge(&evidence).into_iter().flat_map(|(_, one)| one.likely);
    assert_eq!(
        likely.next().unwrap().seen,
        "the Kiali CR has Kiali ask https://thanos.example for metrics, and not http://prometheus.kiali:9090"
    );
}

#[test]
fn series_under_another_name_may_be_of_the_ztunnels_that_are_missed() {
    let missed = |series: [(Option<String>, f64); 2]| {
        with(|metrics| {
            metrics.ztunnels = Ok(vec![NAMES[0].into()]);
            metrics.series = Ok(series.into());
        })
    };
    let [home, remote] = NAMES.map(|name| (Some(name.to_string()), 1.0));
    assert_eq!(
        judged(&missed([home.clone(), remote])),
        (vec![1522], vec![])
    );
    let unnamed = missed([home, (None, 1.0)]);
    assert_eq!(judged(&unnamed), (vec![1505], vec![1522]));
}

#[test]
fn a_fleet_with_a_store_has_no_federation_and_its_own_causes() {
    let mut evidence = healthy();
    evidence.has_store = true;
    evidence.metrics = Err("the metrics are in the store".into());
    evidence.home.federation = Ok(None);
    let row = |code| Row {
        cluster: ClusterName::new(NAMES[1]).unwrap(),
        step: Step::RemoteWrite,
        component: Component {
            note: Some("the store refused 3 samples".into()),
            code: Some(code),
            ..Component::new(
                ObjectId::cluster_wide("Store", "http://store"),
                Health::Ready,
            )
        },
        drifted: false,
    };
    assert_eq!(judged(&evidence).0, [0; 0]);
    evidence.clusters[1].rows = Ok(vec![row(Code::SamplesRefused)]);
    assert_eq!(judged(&evidence).0, [1468]);
    evidence.clusters[1].rows = Ok(vec![row(Code::NotWritten)]);
    assert_eq!(judged(&evidence).0, [1462]);
    // The store tells the same, with less of the reason.
    let name = evidence.clusters[1].name.clone();
    let stored = |code| crate::verify::Finding {
        code: Some(code),
        ..crate::verify::Finding::on(Hop::Store, &name, Err("it lacks".into()))
    };
    evidence.stored = Ok(vec![stored(Code::NotWritten)]);
    assert_eq!(judged(&evidence).0, [1462]);
    evidence.clusters[1].rows = Ok(Vec::new());
    assert_eq!(judged(&evidence).0, [1462]);
    let of_store = [Code::WrittenTwice, Code::TooManyLabels].map(stored);
    evidence.stored = Ok(of_store.into());
    assert_eq!(judged(&evidence).0, [1469, 1461]);
    evidence.stored = Err("promtool did not run".into());
    assert!(
        judged(&evidence)
            .1
            .ends_with(&[1462, 1469, 1461, 1505, 1506, 1507, 1512, 1509, 1510])
    );
    evidence.stored = Ok(Vec::new());
    evidence.clusters[1].rows = Ok(vec![row(Code::NotWritten)]);
    // What a row says without a store is of another time.
    evidence.has_store = false;
    assert_eq!(judged(&evidence).0, [0; 0]);
}
