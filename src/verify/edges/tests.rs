use serde_json::json;

use super::super::counters::First;
use super::*;

const BYTES: &str = "istio_tcp_received_bytes_total";
const FAILED: &str = "istio_tcp_connections_failed_total";

/// Name, cluster, reporter, source and destination, flag.
type Series<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

/// As it is after some time in which each of the series grew.
fn counters(all: &[Series<'_>]) -> Counters {
    let mut counters = Counters::default();
    for value in [0.0, 91.0] {
        let rows = all.iter().map(|(name, cluster, reporter, from, to, flags)| {
            let labels = json!({
                "__name__": name, "cluster": cluster, "reporter": reporter, "source_cluster": from,
                "destination_cluster": to, "response_flags": flags,
            });
            (serde_json::from_value(labels).unwrap(), value)
        });
        counters.add(rows, First::Unknown).unwrap();
    }
    counters
}

fn edge<'a>(counters: &'a Counters, to: &'a str) -> Edge<'a> {
    Edge {
        from: "a",
        to,
        counters,
    }
}

fn reported(all: &[Series<'_>], to: &str) -> [Reported; 2] {
    let counters = counters(all);
    [Reporter::Source, Reporter::Destination].map(|end| edge(&counters, to).reported(end))
}

/// What stays at home is there in each case, and says nothing about another cluster.
const HOME: [Series<'_>; 2] = [
    (BYTES, "a", "source", "a", "a", "-"),
    (BYTES, "a", "destination", "a", "a", "-"),
];

#[test]
fn the_ends_of_an_edge_are_the_clusters_that_the_series_name() {
    let source = |to| (BYTES, "a", "source", "a", to, "-");
    let destination = |from| (BYTES, "b", "destination", from, "b", "-");
    let (named, unknown) = (Reported::Named(91.0), Reported::Unknown(91.0));
    let old_receiver = "ztunnel of b is older than 1.29: Kiali shows a second edge, inside a";
    let old_sender = "ztunnel of a is older than 1.29: Kiali shows a second edge, to a cluster \"Kubernetes\" that does not exist";
    for (to, from, ends, extra) in [
        ("b", "a", [named, named], None),
        ("unknown", "unknown", [unknown, unknown], None),
        ("unknown", "a", [unknown, named], Some(old_receiver)),
        (
            "Kubernetes",
            "a",
            [Reported::Gateway(91.0), named],
            Some(old_sender),
        ),
    ] {
        let all = [&HOME[..], &[source(to), destination(from)]].concat();
        assert_eq!(reported(&all, "b"), ends);
        let counters = counters(&all);
        let found = edge(&counters, "b").extra_edge();
        let extra = extra.map(|extra| (Code::OldZtunnel, extra.to_string()));
        assert_eq!(found, extra);
        // Within a cluster, both ends know each other.
        assert_eq!(reported(&all, "a"), [named, named]);
        assert_eq!(reported(&all[2..], "a"), [Reported::Nothing; 2]);
    }
}

#[test]
fn bytes_of_other_clusters_and_of_home_prove_no_edge() {
    assert_eq!(reported(&HOME, "b"), [Reported::Nothing; 2]);
    let others = [
        (BYTES, "b", "destination", "c", "b", "-"),
        (BYTES, "b", "destination", "b", "b", "-"),
        (BYTES, "c", "destination", "a", "b", "-"),
        (BYTES, "a", "source", "a", "c", "-"),
    ];
    assert_eq!(reported(&others, "b"), [Reported::Nothing; 2]);
    assert_eq!(edge(&counters(&others), "b").last(Reporter::Source), None);
    let source = [(BYTES, "a", "source", "a", "b", "-")];
    let counters = counters(&source);
    let last = edge(&counters, "b").last(Reporter::Source);
    assert_eq!(last.as_deref(), Some("91 B"));
}

#[test]
fn failed_connections_are_told_by_their_flags() {
    let connect = (FAILED, "a", "source", "a", "Kubernetes", "CONNECT");
    let all = [&HOME[..], &[connect]].concat();
    let cause = |all: &[Series<'_>], to| {
        let counters = counters(all);
        let edge = edge(&counters, to);
        (edge.cause(), edge.is_denied())
    };
    let failed = "connections from a to another cluster fail (response_flags CONNECT): the east-west gateway or ztunnel of b is unreachable or refuses them";
    assert_eq!(cause(&all, "b"), (Some(failed.into()), false));
    assert_eq!(cause(&all, "a"), (None, false));
    let deny = (FAILED, "b", "destination", "a", "b", "DENY");
    let denied = "b denies connections from a (response_flags DENY): an AuthorizationPolicy there does not allow them";
    let all = [&all[..], &[deny]].concat();
    assert_eq!(cause(&all, "b"), (Some(denied.into()), true));
    assert_eq!(cause(&HOME, "b"), (None, false));
}

#[test]
fn a_flag_without_end_is_cut() {
    let flag = "X".repeat(5000);
    let counters = counters(&[(FAILED, "a", "source", "a", "b", &flag)]);
    let text = edge(&counters, "b").cause().unwrap();
    assert!(text.len() < 300, "{}", text.len());
}
