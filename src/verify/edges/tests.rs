use serde_json::json;

use super::*;
use crate::prometheus::Sample;

const BYTES: &str = "istio_tcp_received_bytes_total";
const FAILED: &str = "istio_tcp_connections_failed_total";

/// Name, cluster, reporter, source and destination, flag.
type Series<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

/// As it is after some time in which each of the series grew.
fn flows(all: &[Series<'_>]) -> Flows {
    let mut flows = Flows::default();
    for value in ["0", "91"] {
        let samples = all.iter().map(|(name, cluster, reporter, from, to, flags)| {
            let labels = json!({
                "__name__": name, "cluster": cluster, "reporter": reporter, "source_cluster": from,
                "destination_cluster": to, "response_flags": flags,
            });
            serde_json::from_value::<Sample>(json!({"metric": labels, "value": [0, value]})).unwrap()
        });
        flows.add(samples.collect()).unwrap();
    }
    flows
}

fn name(name: &str) -> ClusterName {
    ClusterName::new(name).unwrap()
}

fn judged(all: &[Series<'_>]) -> (Verdict, String, bool) {
    let (home, clusters) = (name("a"), [name("a"), name("b")]);
    let flows = flows(all);
    let mut found = judge(&home, &clusters, &flows, Duration::from_secs(75));
    assert_eq!(found.len(), 1);
    let found = found.remove(0);
    assert_eq!(found.cluster, Some(name("b")));
    (
        found.verdict,
        found.text,
        are_reported(&home, &clusters, &flows),
    )
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
    let switch = "received bytes grew, but from cluster \"unknown\": Kiali shows no edge from a; ztunnel of b has ENABLE_RESPONSE_BAGGAGE=false (AK1230)";
    let grew = "received bytes from a grew by 91 B";
    let old_receiver = format!(
        "{grew}; ztunnel of b is older than 1.29 (AK1209): Kiali shows a second edge, inside a"
    );
    let old_sender = format!(
        "{grew}; ztunnel of a is older than 1.29 (AK1209): Kiali shows a second edge, to a cluster \"Kubernetes\" that does not exist"
    );
    for (to, from, verdict, text) in [
        ("b", "a", Verdict::Holds, grew),
        ("unknown", "unknown", Verdict::Broken, switch),
        ("unknown", "a", Verdict::Holds, &old_receiver),
        ("Kubernetes", "a", Verdict::Holds, &old_sender),
    ] {
        let all = [&HOME[..], &[source(to), destination(from)]].concat();
        assert_eq!(judged(&all), (verdict, text.to_owned(), true));
    }
}

#[test]
fn bytes_of_other_clusters_and_of_home_prove_no_edge() {
    let none = "no received bytes from a within 75 s of traffic";
    assert_eq!(judged(&HOME), (Verdict::Broken, none.into(), false));
    let others = [
        (BYTES, "b", "destination", "c", "b", "-"),
        (BYTES, "b", "destination", "b", "b", "-"),
        (BYTES, "c", "destination", "a", "b", "-"),
        (BYTES, "a", "source", "a", "c", "-"),
    ];
    assert_eq!(judged(&others), (Verdict::Broken, none.into(), false));
    let nothing = "neither a nor b reported anything within 75 s of traffic";
    assert_eq!(judged(&[]), (Verdict::Unproven, nothing.into(), false));
}

#[test]
fn one_end_that_names_both_is_enough_for_an_edge_and_not_for_an_end_of_the_wait() {
    let grew = "received bytes from a grew by 91 B";
    let source = [(BYTES, "a", "source", "a", "b", "-")];
    assert_eq!(judged(&source), (Verdict::Holds, grew.into(), false));
    let destination = [(BYTES, "b", "destination", "a", "b", "-")];
    assert_eq!(judged(&destination), (Verdict::Holds, grew.into(), false));
}

#[test]
fn failed_connections_are_told_by_their_flags() {
    let connect = (FAILED, "a", "source", "a", "Kubernetes", "CONNECT");
    let all = [&HOME[..], &[connect]].concat();
    let (verdict, text, _) = judged(&all);
    assert_eq!(verdict, Verdict::Broken);
    assert_eq!(
        text,
        "connections from a to another cluster fail (response_flags CONNECT): the east-west gateway or ztunnel of b is unreachable or refuses them"
    );
    let deny = (FAILED, "b", "destination", "a", "b", "DENY");
    let (verdict, text, _) = judged(&[&all[..], &[deny]].concat());
    assert_eq!(verdict, Verdict::Broken);
    assert_eq!(
        text,
        "b denies connections from a (response_flags DENY): an AuthorizationPolicy there does not allow them"
    );
    let (home, clusters) = (name("a"), [name("a"), name("b")]);
    let failed = |all: &[Series<'_>]| {
        let flows = flows(all);
        (
            have_failed(&home, &flows),
            is_denied(&home, &clusters, &flows),
        )
    };
    assert_eq!(failed(&[connect]), (true, false));
    assert_eq!(failed(&[connect, deny]), (true, true));
    assert_eq!(failed(&HOME), (false, false));
}

#[test]
fn a_flag_without_end_is_cut() {
    let flag = "X".repeat(5000);
    let (_, text, _) = judged(&[(FAILED, "a", "source", "a", "b", &flag)]);
    assert!(text.len() < 300, "{}", text.len());
}
