//! What all reports show of a result, as text without control characters and invisible characters.

use serde::Serialize;

use crate::mesh::ClusterName;
use crate::result::{
    self, CommandResult, Ended, Failure, Flow, FlowHop, Place, VERSION, VerifyResult,
};
use crate::verify::{Finding, Verdict};
use crate::visible;

/// Limit for a text from a cluster. The document of the result has the whole text.
const LONGEST: usize = 2000;

#[derive(Debug, Default, Serialize)]
pub struct View {
    pub title: &'static str,
    /// How many hops hold; empty without a result.
    pub counts: String,
    pub verified: bool,
    /// The version of the program.
    pub client: &'static str,
    pub started: String,
    /// In seconds.
    pub took: Option<f64>,
    pub clusters: Vec<Cluster>,
    /// The clusters of the matrix, also those that did not answer.
    pub names: Vec<String>,
    pub rows: Vec<Row>,
    pub flows: Vec<FlowView>,
    pub findings: Vec<FindingView>,
    pub errors: Vec<Error>,
}

/// A cluster that answered.
#[derive(Debug, Serialize)]
pub struct Cluster {
    pub name: String,
    pub role: String,
    pub context: String,
    pub server: String,
    pub uid: String,
    pub versions: Vec<Version>,
}

#[derive(Debug, Serialize)]
pub struct Version {
    pub object: String,
    pub image: String,
}

/// The flows from one cluster.
#[derive(Debug, Serialize)]
pub struct Row {
    pub from: String,
    pub cells: Vec<Option<Cell>>,
}

#[derive(Debug, Serialize)]
pub struct Cell {
    /// Index of the flow.
    pub flow: usize,
    pub verdict: &'static str,
    pub note: String,
}

#[derive(Debug, Serialize)]
pub struct FlowView {
    pub from: String,
    pub to: String,
    pub verdict: &'static str,
    pub fails: bool,
    /// What the matrix says in addition to the verdict.
    pub note: String,
    /// When the last hop was seen, in seconds since the first request.
    pub seconds: Option<f64>,
    pub hops: Vec<HopView>,
}

#[derive(Debug, Serialize)]
pub struct HopView {
    pub hop: &'static str,
    pub verdict: &'static str,
    pub count: Option<String>,
    pub seconds: Option<f64>,
    pub message: String,
}

#[derive(Debug, Serialize)]
pub struct FindingView {
    pub hop: &'static str,
    /// "all" if the finding is not about a single cluster.
    pub cluster: String,
    pub verdict: &'static str,
    pub fails: bool,
    pub code: Option<String>,
    pub message: String,
}

/// Why the command failed, where no finding says it.
#[derive(Debug, Serialize)]
pub struct Error {
    pub code: Option<String>,
    pub message: String,
    pub fix: Option<String>,
}

impl View {
    pub fn of(ended: &Ended, now: &str) -> View {
        match ended {
            Ended::Done(result) => match result.as_ref() {
                CommandResult::Verify(result) => View::of_result(result),
                _ => View::without_result(&[], now),
            },
            Ended::Failed { errors, .. } => View::without_result(errors, now),
            Ended::Interrupted { .. } => View::without_result(&[], now),
        }
    }

    fn without_result(errors: &[Failure], now: &str) -> View {
        View {
            title: "Verification failed",
            client: VERSION,
            started: now.into(),
            errors: errors.iter().map(Error::of).collect(),
            ..View::default()
        }
    }

    fn of_result(result: &VerifyResult) -> View {
        let verified = result.is_verified();
        let flows = result.flows.iter().map(FlowView::of).collect::<Vec<_>>();
        let names = names(result);
        View {
            title: match verified {
                true => "Verified",
                false => "Not verified",
            },
            counts: result.counts(),
            verified,
            client: result.client,
            started: result.started.clone(),
            took: Some(tenths(result.took.as_secs_f64())),
            clusters: clusters(result),
            rows: rows(&names, &flows),
            names,
            flows,
            findings: result.hops.iter().map(FindingView::of).collect(),
            errors: result.errors.iter().map(Error::of).collect(),
        }
    }
}

fn clusters(result: &VerifyResult) -> Vec<Cluster> {
    let of = |cluster: &result::Cluster| {
        let installed = result.installed.iter();
        let installed = installed.filter(|one| one.cluster == cluster.name);
        Cluster {
            name: plain(cluster.name.as_str()),
            role: cluster.role.to_string(),
            context: plain(&cluster.context),
            server: plain(&cluster.server),
            uid: plain(&cluster.uid),
            versions: installed
                .map(|one| Version {
                    object: plain(&one.object.to_string()),
                    image: plain(&one.image),
                })
                .collect(),
        }
    };
    result.clusters.iter().map(of).collect()
}

/// Home first, then the other clusters that answered, then those that only a flow or a finding names.
fn names(result: &VerifyResult) -> Vec<String> {
    let answered = result.clusters.iter().map(|cluster| &cluster.name);
    let flows = result.flows.iter().flat_map(|flow| [&flow.from, &flow.to]);
    let findings = result.hops.iter().filter_map(|hop| hop.cluster.as_ref());
    let mut names = Vec::new();
    for name in answered.chain(flows).chain(findings) {
        let name = plain(name.as_str());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn rows(names: &[String], flows: &[FlowView]) -> Vec<Row> {
    if flows.is_empty() {
        return Vec::new();
    }
    let cell = |from: &str, to: &str| {
        let flow = flows.iter().position(|f| f.from == from && f.to == to)?;
        Some(Cell {
            flow,
            verdict: flows[flow].verdict,
            note: flows[flow].note.clone(),
        })
    };
    let row = |from: &String| Row {
        from: from.clone(),
        cells: names.iter().map(|to| cell(from, to)).collect(),
    };
    names.iter().map(row).collect()
}

impl FlowView {
    fn of(flow: &Flow) -> FlowView {
        let wrong = flow.hops.iter().find(|hop| hop.verdict != Verdict::Holds);
        let mut hops = flow.hops.iter();
        let note = match wrong {
            Some(hop) => format!("at {}", hop.hop.title()),
            None => hops
                .find(|hop| hop.hop == Place::Requests)
                .and_then(counted)
                .unwrap_or_default(),
        };
        let seconds = flow.hops.iter().filter_map(|hop| hop.seconds);
        FlowView {
            from: plain(flow.from.as_str()),
            to: plain(flow.to.as_str()),
            verdict: flow.verdict.word(),
            fails: flow.verdict.fails(),
            note,
            seconds: seconds.reduce(f64::max).map(tenths),
            hops: flow.hops.iter().map(HopView::of).collect(),
        }
    }
}

impl HopView {
    fn of(hop: &FlowHop) -> HopView {
        HopView {
            hop: hop.hop.title(),
            verdict: hop.verdict.word(),
            count: counted(hop),
            seconds: hop.seconds.map(tenths),
            message: plain(&hop.message),
        }
    }
}

fn counted(hop: &FlowHop) -> Option<String> {
    Some(format!("{} {}", hop.count?, hop.unit?))
}

impl FindingView {
    fn of(finding: &Finding) -> FindingView {
        let cluster = finding.cluster.as_ref().map_or("all", ClusterName::as_str);
        FindingView {
            hop: finding.hop.title(),
            cluster: plain(cluster),
            verdict: finding.verdict.word(),
            fails: finding.verdict.fails(),
            code: finding.code.map(|code| code.to_string()),
            message: plain(&finding.text),
        }
    }
}

impl Error {
    fn of(error: &Failure) -> Error {
        Error {
            code: error.code.map(|code| code.to_string()),
            message: plain(&error.message),
            fix: error.fix.as_deref().map(plain),
        }
    }
}

/// One line without control characters, invisible characters and what no XML may contain.
fn plain(text: &str) -> String {
    let text = visible::in_line(&visible::short(text, LONGEST));
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
