use serde_json::{Value, json};

use super::*;
use crate::prometheus::Sample;

fn sample(labels: Value, value: &str) -> Sample {
    serde_json::from_value(json!({"metric": labels, "value": [1764.5, value]})).unwrap()
}

fn rows(samples: Vec<Sample>) -> Vec<Row> {
    let rows = samples.into_iter().filter_map(|sample| {
        let count = sample.count()?;
        Some((sample.metric, count))
    });
    rows.collect()
}

fn put(flows: &mut Counters, samples: Vec<Sample>) -> Result<()> {
    flows.add(rows(samples), First::Unknown)
}

fn labels(name: &str) -> Value {
    json!({
        "__name__": name, "cluster": "a", "reporter": "source", "source_cluster": "a",
        "destination_cluster": "b", "response_flags": "-",
    })
}

fn grown(flows: &Counters) -> f64 {
    flows.grown(Counter::Bytes, "a", Reporter::Source, |_, _| true)
}

#[test]
fn only_what_is_added_counts_and_a_counter_may_begin_anew() {
    let mut flows = Counters::default();
    for (value, added) in [("100", 0.0), ("160", 60.0), ("5", 0.0), ("12", 7.0)] {
        put(&mut flows, vec![sample(labels(RECEIVED), value)]).unwrap();
        assert_eq!(grown(&flows), added, "{value}");
    }
    let last = |cluster, reporter, to: &str| flows.last(cluster, reporter, |_, other| other == to);
    assert_eq!(last("a", Reporter::Source, "b"), Some(12.0));
    assert_eq!(last("a", Reporter::Source, "c"), None);
    assert_eq!(last("a", Reporter::Destination, "b"), None);
    assert_eq!(last("b", Reporter::Source, "b"), None);
}

#[test]
fn a_series_that_was_not_there_before_began_at_nothing() {
    for (new, counted) in [(First::Unknown, 0.0), (First::Growth, 91.0)] {
        let mut flows = Counters::default();
        flows.add(Vec::new(), First::Unknown).unwrap();
        flows
            .add(rows(vec![sample(labels(RECEIVED), "91")]), new)
            .unwrap();
        assert_eq!(grown(&flows), counted, "{new:?}");
    }
}

#[test]
fn a_query_selects_by_each_service() {
    let service = |name: &str| Service {
        name: name.into(),
        namespace: "sample".into(),
    };
    let query = query(&[service("a"), service("b")].into());
    let selected = r#"destination_service_name=~"a|b", destination_service_namespace=~"sample"}"#;
    assert!(query.contains(selected), "{query}");
}

#[test]
fn failed_connections_are_no_bytes_and_keep_their_flag() {
    let mut flows = Counters::default();
    let mut failed = labels(FAILED);
    failed["response_flags"] = json!("CONNECT");
    for value in ["1", "3"] {
        put(&mut flows, vec![sample(failed.clone(), value)]).unwrap();
    }
    assert_eq!(grown(&flows), 0.0);
    assert_eq!(
        flows.flags("a", Reporter::Source, |from, _| from == "a"),
        ["CONNECT"]
    );
    assert_eq!(
        flows.flags("a", Reporter::Source, |from, _| from == "b"),
        [""; 0]
    );
    assert_eq!(flows.flags("b", Reporter::Source, |_, _| true), [""; 0]);
}

#[test]
fn what_no_counter_can_have_proves_nothing() {
    let mut flows = Counters::default();
    put(&mut flows, vec![sample(labels(RECEIVED), "1")]).unwrap();
    for value in [
        "NaN",
        "+Inf",
        "-Inf",
        "-1",
        "1e400",
        "",
        "ten",
        "0x7f",
        "1\u{1b}[2J",
    ] {
        put(&mut flows, vec![sample(labels(RECEIVED), value)]).unwrap();
        assert_eq!(grown(&flows), 0.0, "{value}");
    }
    put(&mut flows, vec![sample(labels(RECEIVED), "1e308")]).unwrap();
    assert_eq!(bytes(grown(&flows)), "more than 9 PB");
    assert_eq!(bytes(f64::INFINITY), "more than 9 PB");
    assert_eq!(bytes(f64::NAN), "more than 9 PB");
    assert_eq!(bytes(1764.0), "1764 B");
    // A sum that is too large is none that grew.
    let twice = vec![
        sample(labels(RECEIVED), "1e308"),
        sample(labels(RECEIVED), "1e308"),
    ];
    put(&mut flows, twice).unwrap();
    assert!(grown(&flows) > 0.0);
    put(&mut flows, vec![sample(labels(RECEIVED), "2")]).unwrap();
    assert_eq!(grown(&flows), 1.0);
}

#[test]
fn labels_that_are_missing_or_strange_are_nobodys() {
    let mut flows = Counters::default();
    for name in [
        "__name__",
        "cluster",
        "reporter",
        "source_cluster",
        "destination_cluster",
    ] {
        for strange in [
            json!(null),
            json!(""),
            json!("\u{1b}]0;x\u{7}"),
            json!("x".repeat(1 << 16)),
        ] {
            let mut labels = labels(RECEIVED);
            labels[name] = strange;
            if labels[name].is_null() {
                labels.as_object_mut().unwrap().remove(name);
            }
            for value in ["1", "9"] {
                put(&mut flows, vec![sample(labels.clone(), value)]).unwrap();
            }
            let between = |from: &str, to: &str| from == "a" && to == "b";
            let grown = flows.grown(Counter::Bytes, "a", Reporter::Source, between);
            assert_eq!(grown, 0.0, "{name}");
        }
    }
}

#[test]
fn a_prometheus_that_makes_up_clusters_without_end_is_left() {
    let mut flows = Counters::default();
    let many = (0..=MOST).map(|n| {
        let mut labels = labels(RECEIVED);
        labels["destination_cluster"] = json!(format!("c{n}"));
        sample(labels, "1")
    });
    let error = put(&mut flows, many.collect()).unwrap_err();
    assert!(error.to_string().contains("more than 10000"), "{error}");
}

#[test]
fn whatever_the_samples_say_is_counted_or_left() {
    let samples = [
        json!([{"metric": labels(RECEIVED), "value": [1767225600.123, "1764"]}]).to_string(),
        json!([{"metric": labels(FAILED), "value": [1767225600, "NaN"]}, {"metric": {}, "value": [0, "1"]}])
            .to_string(),
    ];
    let samples = samples.each_ref().map(String::as_str);
    crate::fuzz::fuzz("samples of flows", &samples, |input| {
        let mut flows = Counters::default();
        for _ in 0..2 {
            if let Ok(read) = serde_json::from_slice::<Vec<Sample>>(input) {
                let _ = put(&mut flows, read);
            }
        }
        let _ = bytes(grown(&flows));
        let _ = flows.flags("a", Reporter::Source, |_, _| true);
    });
}
