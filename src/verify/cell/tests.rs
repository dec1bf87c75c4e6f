use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Instant;

use serde_json::json;

use super::super::Hop;
use super::super::counters::Row;
use super::super::edges::Reported;
use super::super::evidence::{Metrics, Pages, Sources};
use super::super::flow::{Flow, FlowHop, Pairs};
use super::super::probe::{Ends, Probes, Server};
use super::super::requests::{Failure, Round};
use super::*;
use crate::prometheus::Reporter;

fn name(name: &str) -> ClusterName {
    ClusterName::new(name).unwrap()
}

fn series(cluster: &str, reporter: &str, value: f64) -> Row {
    let labels = json!({
        "__name__": "istio_tcp_received_bytes_total", "cluster": cluster, "reporter": reporter,
        "source_cluster": "a", "destination_cluster": "b",
    });
    (serde_json::from_value(labels).unwrap(), value)
}

fn with_sources(
    known: Vec<crate::verify::Finding>,
    metrics: Metrics,
    test: impl FnOnce(Evidence<'_>),
) {
    let clusters = [name("a"), name("b"), name("c")];
    let server = |instance: &str| Server {
        instance: instance.into(),
        node: "n".into(),
    };
    let ends = |client: &str, instance: &str| Ends {
        client: Err(client.into()),
        servers: Ok(vec![server(instance)]),
    };
    let probes = Probes::from([
        (name("a"), ends("no pod", "x")),
        (name("b"), ends("no pod", "y")),
    ]);
    let ztunnels = BTreeMap::from([(name("a"), Err("may not list pods".to_string()))]);
    let found = OnceLock::new();
    found.get_or_init(|| known);
    test(Evidence::new(&Sources {
        clusters: &clusters,
        probes: &probes,
        services: BTreeSet::new(),
        ztunnels: &ztunnels,
        metrics,
        without_graph: None,
        known: &found,
        patience: Duration::from_secs(90),
        lag: Duration::from_secs(30),
    }));
}

fn cell<'a>(evidence: &'a Evidence<'a>, from: &'a ClusterName, to: &'a ClusterName) -> Cell<'a> {
    Cell {
        evidence,
        from,
        to,
        requests: None,
    }
}

#[test]
fn without_a_sender_or_its_cluster_nothing_is_claimed() {
    with_sources(Vec::new(), Metrics::Federation, |evidence| {
        for (from, why) in [("a", "a: no pod"), ("c", "this machine does not reach c")] {
            let hops = judge(&evidence, &name(from), &name("b"));
            assert!(
                hops.iter()
                    .all(|hop| hop.settled && hop.verdict == Verdict::Unproven)
            );
            assert_eq!(hops[0].text, why);
            assert_eq!(hops[4].text, "no requests were sent");
        }
    });
}

#[test]
fn metrics_hold_only_with_what_both_ends_report() {
    let within = |names: &str| {
        format!(" within 90 s of traffic; the Prometheus of {names} must scrape the ztunnels there")
    };
    let missing = |names: &str| {
        let within = within(names);
        format!("the federating Prometheus has no bytes that ztunnel of {names} counts{within}")
    };
    let still = format!(
        "in the federating Prometheus, the bytes that ztunnel of b counts stay at 5 B{}",
        within("b")
    );
    let (source, destination) = (("a", "source"), ("b", "destination"));
    for (grown, standing, verdict, text) in [
        (
            vec![source, destination],
            None,
            Verdict::Holds,
            "91 B in the federating Prometheus".into(),
        ),
        (vec![source], None, Verdict::Broken, missing("b")),
        (vec![destination], None, Verdict::Broken, missing("a")),
        (vec![], None, Verdict::Broken, missing("a and b")),
        (vec![source], Some(destination), Verdict::Broken, still),
    ] {
        with_sources(Vec::new(), Metrics::Federation, |mut evidence| {
            for value in [9.0, 100.0] {
                let rows = grown
                    .iter()
                    .map(|(cluster, end)| series(cluster, end, value));
                let standing = standing.map(|(cluster, end)| series(cluster, end, 5.0));
                evidence.add_metrics(Ok(rows.chain(standing).collect()));
            }
            let found = cell(&evidence, &name("a"), &name("b")).metrics();
            assert_eq!((found.verdict, found.text), (verdict, text));
            assert_eq!(found.settled, verdict == Verdict::Holds);
        });
    }
}

#[test]
fn what_another_hop_explains_is_not_waited_for() {
    let broken = |hop, cluster: &str| {
        crate::verify::Finding::on(hop, &name(cluster), Err("it is down".into()))
    };
    let known = vec![broken(Hop::ScrapeTarget, "b"), broken(Hop::Kiali, "a")];
    with_sources(known, Metrics::Federation, |mut evidence| {
        let (a, b) = (name("a"), name("b"));
        // What comes from the other end is waited for.
        assert!(!cell(&evidence, &a, &b).metrics().settled);
        for value in [9.0, 100.0] {
            evidence.add_metrics(Ok(vec![series("a", "source", value)]));
        }
        let metrics = cell(&evidence, &a, &b).metrics();
        assert!(
            metrics.settled && metrics.text.ends_with("; see scrape target of b"),
            "{metrics:?}"
        );
        assert!(!cell(&evidence, &a, &a).metrics().settled);
        assert!(cell(&evidence, &a, &a).kiali().settled);
    });
    let why = Metrics::Nothing("no pod of it is ready".into());
    with_sources(Vec::new(), why, |evidence| {
        let (a, b) = (name("a"), name("b"));
        let metrics = cell(&evidence, &a, &b).metrics();
        assert!(metrics.settled);
        assert_eq!(metrics.text, "no pod of it is ready");
    });
}

#[test]
fn a_store_is_asked_through_kiali_alone() {
    let silent = Metrics::Store("; it hides the newest 30 s".into());
    with_sources(Vec::new(), silent, |mut evidence| {
        let (a, b) = (name("a"), name("b"));
        assert_eq!(cell(&evidence, &a, &b).metrics().verdict, Verdict::Skipped);
        let kiali = cell(&evidence, &a, &b).kiali();
        let text = "no edge in Kiali's graph within 90 s of traffic; it hides the newest 30 s";
        assert_eq!(
            (kiali.verdict, kiali.text.as_str()),
            (Verdict::Broken, text)
        );
        evidence.add_graph(Err(anyhow::anyhow!("answered 503")));
        let kiali = cell(&evidence, &a, &b).kiali();
        assert_eq!(kiali.text, "Kiali's graph cannot be read: answered 503");
    });
}

#[test]
fn a_page_counts_from_nothing_and_a_prometheus_does_not() {
    with_sources(Vec::new(), Metrics::Federation, |mut evidence| {
        let (a, b) = (name("a"), name("b"));
        for rows in [vec![], vec![series("a", "source", 91.0)]] {
            let now = Instant::now();
            evidence.add_pages(&a, pages(now, now, rows.clone()));
            evidence.add_metrics(Ok(rows));
        }
        let source = cell(&evidence, &a, &b).source();
        // Nobody knows whether it was the receiver that answered.
        assert_eq!(
            (source.verdict, source.text.as_str()),
            (Verdict::Holds, "91 B to b")
        );
        assert_eq!(source.count, Some(91));
        assert_eq!(
            evidence.in_metrics(&a, &b).reported(Reporter::Source),
            Reported::Nothing
        );
    });
}

#[test]
fn a_flow_is_what_its_first_broken_hop_is() {
    let flow = |verdicts: [Verdict; 5]| {
        let hops = Place::ALL
            .into_iter()
            .zip(verdicts)
            .map(|(hop, verdict)| FlowHop {
                hop,
                verdict,
                message: "seen".into(),
                count: None,
                unit: None,
                seconds: None,
            });
        Flow::new(name("a"), name("b"), hops.collect())
    };
    use Verdict::{Broken, Holds, Skipped, Unproven};
    for (verdicts, verdict, failing) in [
        ([Holds; 5], Holds, None),
        ([Holds, Holds, Holds, Holds, Skipped], Holds, None),
        ([Skipped; 5], Skipped, None),
        (
            [Holds, Unproven, Holds, Holds, Holds],
            Unproven,
            Some(Place::Source),
        ),
        (
            [Holds, Unproven, Holds, Broken, Broken],
            Broken,
            Some(Place::Metrics),
        ),
        (
            [Broken, Broken, Unproven, Holds, Broken],
            Broken,
            Some(Place::Requests),
        ),
    ] {
        let flow = flow(verdicts);
        assert_eq!(flow.verdict, verdict, "{verdicts:?}");
        assert_eq!(flow.failing().map(|hop| hop.hop), failing, "{verdicts:?}");
        let broken = flow.hops.iter().filter(|hop| hop.verdict == Broken);
        assert!(broken.count() <= 1, "{verdicts:?}");
    }
    let followed = flow([Broken, Broken, Holds, Holds, Holds]);
    assert_eq!(followed.hops[1].message, "hop requests is broken");
}

#[test]
fn pairs_are_those_of_home_or_all() {
    let clusters = [name("a"), name("b"), name("c")];
    let asked = |pairs: Pairs| {
        let pairs = pairs.of(&clusters).into_iter();
        pairs
            .map(|(from, to)| format!("{from}{to}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(asked(Pairs::Home), "aa ab ac ba ca");
    assert_eq!(asked(Pairs::All), "aa ab ac ba bb bc ca cb cc");
}

fn pages(began: Instant, ended: Instant, rows: Vec<Row>) -> Pages {
    Pages {
        began,
        ended,
        rows: Ok(rows),
    }
}

#[test]
fn a_page_lacks_a_flow_only_after_a_round_between_two_reads() {
    with_sources(Vec::new(), Metrics::Federation, |mut evidence| {
        let (a, b) = (name("a"), name("b"));
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let answer = |evidence: &mut Evidence<'_>, (began, ended)| {
            let requests = evidence.requests.entry(name("a")).or_default();
            let round = Round {
                began: at(began),
                ended: at(ended),
                ..round(&["b", "b"], 0, false)
            };
            requests.add(round, |_| Some(&b));
        };
        answer(&mut evidence, (0, 1));
        for (began, ended) in [(0, 2), (3, 12)] {
            evidence.add_pages(&a, pages(at(began), at(ended), Vec::new()));
        }
        // The first page may already have counted all of it.
        assert!(!evidence.pages_would_show(&a, &a, &b));
        answer(&mut evidence, (2, 4));
        assert!(!evidence.pages_would_show(&a, &a, &b));
        evidence.add_pages(&a, pages(at(13), at(14), Vec::new()));
        assert!(evidence.pages_would_show(&a, &a, &b));
        assert!(!evidence.pages_would_show(&b, &a, &b), "it was not read");
    });
}

/// A round of requests, of which the unanswered ones failed like this.
fn round(answers: &[&str], failed: usize, closed: bool) -> Round {
    Round {
        began: Instant::now(),
        ended: Instant::now(),
        sent: answers.len() + failed,
        answers: answers.iter().map(ToString::to_string).collect(),
        error: (failed > 0).then(|| Failure {
            why: "it failed".into(),
            closed,
        }),
    }
}

/// The hop requests of the flows from `a`, after these rounds.
fn answered(rounds: Vec<Round>) -> Vec<(Verdict, String, bool)> {
    let clusters = [name("a"), name("b"), name("c")];
    let by = |answer: &str| clusters.iter().find(|name| name.as_str() == answer);
    let mut requests = Requests::default();
    rounds.into_iter().for_each(|round| requests.add(round, by));
    let mut found = Vec::new();
    with_sources(Vec::new(), Metrics::Federation, |evidence| {
        found.extend(clusters.iter().map(|to| {
            let cell = Cell {
                evidence: &evidence,
                from: &clusters[0],
                to,
                requests: Some(&requests),
            };
            let hop = cell.requests();
            (hop.verdict, hop.text, hop.settled)
        }));
    });
    found
}

#[test]
fn failed_requests_are_those_to_the_cluster_that_does_not_answer() {
    let failed = "1 of 3 requests failed: it failed".to_string();
    let found = answered(vec![round(&["a", "c"], 1, true)]);
    assert_eq!(
        found[0],
        (Verdict::Holds, "1 requests answered".into(), true)
    );
    // The reason may come yet.
    assert_eq!(found[1], (Verdict::Broken, failed.clone(), false));
    assert_eq!(found[2].0, Verdict::Holds);
    // All that this machine reaches have answered, so any flow may have failed.
    let found = answered(vec![round(&["a", "b"], 1, true)]);
    for flow in found {
        assert_eq!(flow, (Verdict::Broken, failed.clone(), false));
    }
    let in_vain = || round(&[], 3, false);
    let found = answered(vec![in_vain(), in_vain(), in_vain()]);
    assert_eq!(
        found[0],
        (
            Verdict::Broken,
            "9 of 9 requests failed: it failed".into(),
            true
        )
    );
}

#[test]
fn an_answer_of_somebody_else_proves_no_flow() {
    let found = answered(vec![round(&["a", "who", "a"], 0, false)]);
    assert_eq!(
        found[0],
        (Verdict::Holds, "2 requests answered".into(), true)
    );
    let none = "3 requests answered, none by b, 1 by pods that are not known, the last one with \"who\"; its Service needs the label istio.io/global=true";
    assert_eq!(found[1], (Verdict::Broken, none.into(), false));
    let unknown =
        "3 requests answered; which ones by c is not known: this machine does not reach c";
    assert_eq!(found[2], (Verdict::Unproven, unknown.into(), true));
}

#[test]
fn a_page_that_cannot_be_read_proves_nothing() {
    with_sources(Vec::new(), Metrics::Federation, |evidence| {
        let (a, b) = (name("a"), name("b"));
        let cell = cell(&evidence, &a, &b);
        for (hop, why) in [
            (cell.source(), "may not list pods"),
            (cell.destination(), "this machine does not reach b"),
        ] {
            assert_eq!((hop.verdict, hop.text.as_str()), (Verdict::Unproven, why));
            assert!(hop.settled);
        }
    });
}
