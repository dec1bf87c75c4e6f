use serde_json::{Value, json};

use super::*;

fn sample(labels: Value, value: &str) -> Sample {
    serde_json::from_value(json!({"metric": labels, "value": [1764.5, value]})).unwrap()
}

fn labels(name: &str) -> Value {
    json!({
        "__name__": name, "cluster": "a", "reporter": "source", "source_cluster": "a",
        "destination_cluster": "b", "response_flags": "-",
    })
}

fn grown(flows: &Flows) -> f64 {
    flows.grown(Counter::Bytes, "a", Reporter::Source, |_, _| true)
}

#[test]
fn only_what_is_added_counts_and_a_counter_may_begin_anew() {
    let mut flows = Flows::default();
    for (value, added) in [("100", 0.0), ("160", 60.0), ("5", 0.0), ("12", 7.0)] {
        flows.add(vec![sample(labels(RECEIVED), value)]).unwrap();
        assert_eq!(grown(&flows), added, "{value}");
    }
    assert_eq!(flows.last("a", Reporter::Source), Some(12.0));
    assert_eq!(flows.last("a", Reporter::Destination), None);
    assert_eq!(flows.last("b", Reporter::Source), None);
}

#[test]
fn failed_connections_are_no_bytes_and_keep_their_flag() {
    let mut flows = Flows::default();
    let mut failed = labels(FAILED);
    failed["response_flags"] = json!("CONNECT");
    for value in ["1", "3"] {
        flows.add(vec![sample(failed.clone(), value)]).unwrap();
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
    let mut flows = Flows::default();
    flows.add(vec![sample(labels(RECEIVED), "1")]).unwrap();
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
        flows.add(vec![sample(labels(RECEIVED), value)]).unwrap();
        assert_eq!(grown(&flows), 0.0, "{value}");
    }
    flows.add(vec![sample(labels(RECEIVED), "1e308")]).unwrap();
    assert_eq!(bytes(grown(&flows)), "more than 9 PB");
    assert_eq!(bytes(f64::INFINITY), "more than 9 PB");
    assert_eq!(bytes(f64::NAN), "more than 9 PB");
    assert_eq!(bytes(1764.0), "1764 B");
    // A sum that is too large is none that grew.
    let twice = vec![
        sample(labels(RECEIVED), "1e308"),
        sample(labels(RECEIVED), "1e308"),
    ];
    flows.add(twice).unwrap();
    assert!(grown(&flows) > 0.0);
    flows.add(vec![sample(labels(RECEIVED), "2")]).unwrap();
    assert_eq!(grown(&flows), 1.0);
}

#[test]
fn labels_that_are_missing_or_strange_are_nobodys() {
    let mut flows = Flows::default();
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
                flows.add(vec![sample(labels.clone(), value)]).unwrap();
            }
            let between = |from: &str, to: &str| from == "a" && to == "b";
            let grown = flows.grown(Counter::Bytes, "a", Reporter::Source, between);
            assert_eq!(grown, 0.0, "{name}");
        }
    }
}

#[test]
fn a_prometheus_that_makes_up_clusters_without_end_is_left() {
    let mut flows = Flows::default();
    let many = (0..=MOST).map(|n| {
        let mut labels = labels(RECEIVED);
        labels["destination_cluster"] = json!(format!("c{n}"));
        sample(labels, "1")
    });
    let error = flows.add(many.collect()).unwrap_err();
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
        let mut flows = Flows::default();
        for _ in 0..2 {
            if let Ok(read) = serde_json::from_slice::<Vec<Sample>>(input) {
                let _ = flows.add(read);
            }
        }
        let _ = bytes(grown(&flows));
        let _ = flows.flags("a", Reporter::Source, |_, _| true);
    });
}
