//! For CI: a test case for each hop and each flow.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::template;
use super::view::{FindingView, FlowView, View};

#[derive(Serialize)]
struct Suites {
    started: String,
    time: Option<f64>,
    counts: Counts,
    suites: Vec<Suite>,
}

#[derive(Serialize)]
struct Suite {
    name: &'static str,
    counts: Counts,
    cases: Vec<Case>,
}

#[derive(Serialize)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

#[derive(Serialize)]
struct Case {
    class: String,
    name: String,
    time: Option<f64>,
    /// Name of the element that says that the case did not pass.
    outcome: Option<&'static str>,
    kind: &'static str,
    message: String,
    /// More lines.
    details: Vec<String>,
}

pub fn suites(view: &View) -> Result<String> {
    let command = view.errors.iter().map(|error| Case {
        class: "ambikiali".into(),
        name: "verify".into(),
        time: None,
        outcome: Some("error"),
        kind: "error",
        message: error.message.clone(),
        details: error.fix.iter().map(|fix| format!("fix: {fix}")).collect(),
    });
    let suites = [
        suite("command", command.collect()),
        suite("hops", view.findings.iter().map(finding).collect()),
        suite("flows", view.flows.iter().map(flow).collect()),
    ];
    let suites = Suites {
        // The attribute of a suite has no time zone.
        started: view.started.trim_end_matches('Z').into(),
        time: view.took,
        counts: Counts::of(suites.iter().flat_map(|suite| &suite.cases)),
        suites: suites.into_iter().filter(|s| !s.cases.is_empty()).collect(),
    };
    template::render(include_str!("junit.xml"), suites)
}

fn suite(name: &'static str, mut cases: Vec<Case>) -> Suite {
    number_equal_names(&mut cases);
    Suite {
        name,
        counts: Counts::of(&cases),
        cases,
    }
}

impl Counts {
    fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Counts {
        let outcomes = cases.into_iter().map(|case| case.outcome);
        let outcomes = outcomes.collect::<Vec<_>>();
        let count = |wanted| outcomes.iter().filter(|o| **o == Some(wanted)).count();
        Counts {
            tests: outcomes.len(),
            failures: count("failure"),
            errors: count("error"),
            skipped: count("skipped"),
        }
    }
}

/// Readers take cases of one name for the same case.
fn number_equal_names(cases: &mut [Case]) {
    let mut seen = BTreeMap::new();
    for case in cases {
        let number = seen.entry((case.class.clone(), case.name.clone()));
        let number = number.and_modify(|n| *n += 1).or_insert(1);
        if *number > 1 {
            case.name = format!("{} ({number})", case.name);
        }
    }
}

fn finding(finding: &FindingView) -> Case {
    let code = finding.code.iter().map(|code| format!("[{code}] "));
    Case {
        class: "ambikiali.hop".into(),
        name: format!("{} {}", finding.hop, finding.cluster),
        time: None,
        outcome: outcome(finding.verdict, finding.fails),
        kind: finding.verdict,
        message: code.collect::<String>() + &finding.message,
        details: Vec::new(),
    }
}

fn flow(flow: &FlowView) -> Case {
    let details = flow.hops.iter().map(|hop| {
        let count = hop.count.iter().map(|count| format!(" {count}:"));
        let count = count.collect::<String>();
        format!("{} {}:{count} {}", hop.verdict, hop.hop, hop.message)
    });
    Case {
        class: "ambikiali.flow".into(),
        name: format!("{} to {}", flow.from, flow.to),
        time: flow.seconds,
        outcome: outcome(flow.verdict, flow.fails),
        kind: flow.verdict,
        message: format!("{} {}", flow.verdict, flow.note),
        details: details.collect(),
    }
}

fn outcome(verdict: &str, fails: bool) -> Option<&'static str> {
    match verdict {
        _ if fails => Some("failure"),
        "skipped" => Some("skipped"),
        _ => None,
    }
}
