//! The result of `verify`: a line for each hop, then the matrix of flows.

use anstyle::Style;

use super::grid::Grid;
use super::report::{BAD, DIM, GOOD};
use crate::mesh::ClusterName;
use crate::out::{self, Text};
use crate::result::{Flow, FlowHop, VerifyResult};
use crate::verify::{Finding, Verdict};

pub fn verified(result: &VerifyResult) {
    result.hops.iter().for_each(hop);
    matrix(&result.flows);
    let (style, word) = match result.exit() {
        None => (GOOD, "Verified"),
        Some(_) => (BAD, "Not verified"),
    };
    let hops = counts(result.hops.iter().map(|hop| hop.verdict));
    let flows = counts(result.flows.iter().map(|flow| flow.verdict));
    let flows = match flows.as_str() {
        "" => String::new(),
        flows => format!("; flows: {flows}"),
    };
    let seconds = result.took.as_secs_f64();
    let text = format!(" in {seconds:.1}s: {hops}{flows}");
    out::result(Text::new().styled(style, word).plain(text));
}

/// The style of a verdict.
pub fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Holds => GOOD,
        Verdict::Broken | Verdict::Unproven => BAD,
        Verdict::Skipped => DIM,
    }
}

/// What the table says of a flow: the hop that is broken, or the verdict.
pub fn word(flow: &Flow) -> &'static str {
    match (flow.verdict, flow.failing()) {
        (Verdict::Broken, Some(hop)) => hop.hop.word(),
        (verdict, _) => verdict.word(),
    }
}

fn hop(finding: &Finding) {
    let (hop, text) = (finding.hop.title(), &finding.text);
    let cluster = finding.cluster.as_ref().map_or("all", ClusterName::as_str);
    let line = begun(finding.verdict).plain(format!("  {hop:<13}  {cluster:<12}  "));
    let line = match finding.code {
        Some(code) => line.plain(format!("[{code}] ")),
        None => line,
    };
    out::result(line.lines(text));
}

fn begun(verdict: Verdict) -> Text {
    let word = verdict.word();
    Text::new().styled(style(verdict), format!("{word:<8}"))
}

/// The table, and a line for each flow that does not hold.
fn matrix(flows: &[Flow]) {
    let mut grid = Grid::default();
    for flow in flows {
        grid.set(&flow.from, &flow.to, style(flow.verdict), word(flow).into());
    }
    if !grid.is_empty() {
        grid.lines().into_iter().for_each(out::result);
    }
    for flow in flows {
        if let Some(hop) = flow.failing() {
            out::result(failing(flow, hop));
        }
    }
}

fn failing(flow: &Flow, hop: &FlowHop) -> Text {
    let (place, from, to) = (hop.hop.word(), &flow.from, &flow.to);
    let line = begun(hop.verdict).plain(format!("  {place:<13}  {from} -> {to}  "));
    line.lines(&hop.message)
}

/// Counts verdicts, the worst first, as in "1 broken, 9 ok".
fn counts(verdicts: impl Iterator<Item = Verdict>) -> String {
    let verdicts = verdicts.collect::<Vec<_>>();
    let counts = [
        Verdict::Broken,
        Verdict::Unproven,
        Verdict::Skipped,
        Verdict::Holds,
    ];
    let counts = counts.into_iter().filter_map(|verdict| {
        let count = verdicts.iter().filter(|one| **one == verdict).count();
        (count > 0).then(|| format!("{count} {}", verdict.word()))
    });
    counts.collect::<Vec<_>>().join(", ")
}
