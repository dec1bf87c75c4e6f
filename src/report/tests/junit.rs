//! The report for CI against a schema of our own: the elements and attributes that readers of JUnit's format know.

use roxmltree::{Document, Node};

use super::{Format, parsed, rendered, samples};

/// What an attribute holds, and whether it must be there.
#[derive(Clone, Copy)]
enum Kind {
    Words,
    Count,
    Seconds,
    Time,
}

struct Element {
    name: &'static str,
    required: &'static [(&'static str, Kind)],
    optional: &'static [(&'static str, Kind)],
    children: &'static [&'static str],
    /// Whether it may hold text.
    text: bool,
}

use Kind::{Count, Seconds, Time, Words};

const COUNTS: [&str; 4] = ["tests", "failures", "errors", "skipped"];
const SCHEMA: [Element; 7] = [
    Element {
        name: "testsuites",
        required: &[
            ("name", Words),
            ("tests", Count),
            ("failures", Count),
            ("errors", Count),
            ("skipped", Count),
        ],
        optional: &[("time", Seconds)],
        children: &["testsuite"],
        text: false,
    },
    Element {
        name: "testsuite",
        required: &[
            ("name", Words),
            ("tests", Count),
            ("failures", Count),
            ("errors", Count),
            ("skipped", Count),
            ("timestamp", Time),
        ],
        optional: &[],
        children: &["testcase"],
        text: false,
    },
    Element {
        name: "testcase",
        required: &[("classname", Words), ("name", Words)],
        optional: &[("time", Seconds)],
        children: &["failure", "error", "skipped", "system-out"],
        text: false,
    },
    Element {
        name: "failure",
        required: &[("type", Words), ("message", Words)],
        optional: &[],
        children: &[],
        text: true,
    },
    Element {
        name: "error",
        required: &[("type", Words), ("message", Words)],
        optional: &[],
        children: &[],
        text: true,
    },
    Element {
        name: "skipped",
        required: &[("message", Words)],
        optional: &[],
        children: &[],
        text: false,
    },
    Element {
        name: "system-out",
        required: &[],
        optional: &[],
        children: &[],
        text: true,
    },
];

fn fits(kind: Kind, value: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    match kind {
        Words => !value.trim().is_empty(),
        Count => digits(value),
        Seconds => value.split('.').count() <= 2 && value.split('.').all(digits),
        Time => {
            let shape = value
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c });
            shape.collect::<String>() == "0000-00-00T00:00:00"
        }
    }
}

fn valid(document: &Document<'_>) -> Result<(), String> {
    let root = document.root_element();
    match root.tag_name().name() {
        "testsuites" => element(root),
        other => Err(format!("the root is {other}")),
    }
}

fn element(node: Node<'_, '_>) -> Result<(), String> {
    let name = node.tag_name().name();
    let schema = SCHEMA.iter().find(|element| element.name == name);
    let schema = schema.ok_or_else(|| format!("unknown element {name}"))?;
    for (required, _) in schema.required {
        if node.attribute(*required).is_none() {
            return Err(format!("{name} has no {required}"));
        }
    }
    for attribute in node.attributes() {
        let mut known = schema.required.iter().chain(schema.optional);
        let known = known.find(|(known, _)| *known == attribute.name());
        match known {
            Some((_, kind)) if fits(*kind, attribute.value()) => {}
            _ => return Err(format!("{name} has {attribute:?}")),
        }
    }
    for child in node.children() {
        if child.is_element() {
            if !schema.children.contains(&child.tag_name().name()) {
                return Err(format!("{child:?} in {name}"));
            }
            element(child)?;
        } else if !schema.text && child.text().is_some_and(|text| !text.trim().is_empty()) {
            return Err(format!("text in {name}"));
        }
    }
    if name.starts_with("testsuite") {
        sums(node)?;
    }
    if name == "testcase" && node.children().filter(Node::is_element).count() != 1 {
        return Err("a case has more than one outcome, or none".into());
    }
    Ok(())
}

/// The counts of a suite are those of its cases.
fn sums(node: Node<'_, '_>) -> Result<(), String> {
    let outcomes = ["testcase", "failure", "error", "skipped"];
    for (count, outcome) in COUNTS.iter().zip(outcomes) {
        let found = node
            .descendants()
            .filter(|n| n.has_tag_name(outcome))
            .count();
        if node.attribute(*count) != Some(&found.to_string()) {
            return Err(format!("{count} are {found}"));
        }
    }
    Ok(())
}

#[test]
fn it_is_valid_and_the_schema_refuses_what_is_not() {
    for ended in samples::all() {
        let text = rendered(Format::Junit, &ended);
        valid(&parsed(&text)).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    let text = rendered(Format::Junit, &samples::broken());
    for (right, wrong) in [
        ("testsuites", "suites"),
        ("tests=\"", "test=\""),
        ("failures=\"", "failures=\"1"),
        (
            "timestamp=\"2026-11-30T12:00:00\"",
            "timestamp=\"2026-11-30T12:00:00Z\"",
        ),
        ("time=\"75.3\"", "time=\"75.3s\""),
        ("classname=", "class="),
        ("<skipped ", "<skipped type=\"x\" "),
        ("<system-out>", "x<system-out>"),
        ("system-out", "system-in"),
    ] {
        assert!(text.contains(right), "{right}");
        let broken = text.replace(right, wrong);
        assert!(valid(&parsed(&broken)).is_err(), "{wrong}");
    }
}

#[test]
fn each_hop_and_each_flow_is_a_case_of_its_own() {
    let text = rendered(Format::Junit, &samples::broken());
    let parsed = parsed(&text);
    let cases = parsed.descendants().filter(|n| n.has_tag_name("testcase"));
    let told = cases.map(|case| {
        let outcome = case.first_element_child().expect("an outcome");
        let words = outcome.attribute("message").or(outcome.text());
        let words = words.and_then(|words| words.lines().next()).expect("words");
        let name = case.attribute("name").expect("a name");
        format!("{name}: {}: {words}", outcome.tag_name().name())
    });
    let told = told.collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            "components eu-central: system-out: 11 ready",
            "scrape target ap-south: failure: [AK1209] https://192.0.2.77:9090/federate is down: server returned HTTP status 503 Service Unavailable",
            "exposure ap-south: failure: [AK1209] one",
            "exposure ap-south (2): failure: another",
            "flow all: skipped: disabled by --probes none",
            "eu-central to eu-central: system-out: ok 24 requests",
            "eu-central to us-east: system-out: ok 24 requests",
            "eu-central to ap-south: failure: broken at destination ztunnel",
            "us-east to eu-central: system-out: ok 24 requests",
            "us-east to us-east: system-out: ok 24 requests",
            "us-east to ap-south: system-out: ok 24 requests",
            "ap-south to eu-central: failure: unproven at destination ztunnel",
            "ap-south to us-east: skipped: skipped at destination ztunnel",
            "ap-south to ap-south: system-out: ok 24 requests",
        ]
    );
}

#[test]
fn a_run_without_a_result_is_an_error() {
    let text = rendered(Format::Junit, &samples::failed());
    let parsed = parsed(&text);
    let root = parsed.root_element();
    assert_eq!(root.attribute("errors"), Some("1"));
    let error = root.descendants().find(|n| n.has_tag_name("error"));
    let error = error.expect("an error");
    assert!(
        error
            .attribute("message")
            .expect("words")
            .starts_with("no answer <script>")
    );
    assert!(
        error
            .text()
            .expect("words")
            .contains("fix: kubectl version")
    );
}
