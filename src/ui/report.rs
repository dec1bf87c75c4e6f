//! What a command found or did, in its last words.

use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::cleanup::Report;
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::mesh::{Absent, ClusterName, Mesh};
use crate::problem;
use crate::status::Row;
use crate::verify::{Finding, Verdict};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// One line to people, beside the result.
pub fn note(text: &str) {
    anstream::eprintln!("{text}");
}

/// The cause with its chain, and the command that fixes it.
pub fn error(error: &anyhow::Error) {
    anstream::eprintln!("{BAD}error:{BAD:#} {error:#}");
    if let Some(fix) = problem::find(error).and_then(|p| p.fix.as_ref()) {
        anstream::eprintln!("  {DIM}fix:{DIM:#} {fix}");
    }
}

/// With the clusters in the next commands, unless they are remembered.
pub fn installed(mesh: &Mesh, remembered: bool, took: Duration) {
    let names = mesh.names();
    anstream::println!(
        "{GOOD}Ready{GOOD:#} in {:.1}s: Kiali in {} sees {names}",
        took.as_secs_f64(),
        mesh.home.name
    );
    let numbered = mesh.all().zip(1..).filter(|_| !remembered);
    let clusters = numbered
        .map(|(cluster, number)| format!(" --ctx{number} {}", cluster.context))
        .collect::<String>();
    anstream::println!("Next:  ambikiali verify{clusters}");
    anstream::println!("       ambikiali dashboard{clusters}");
}

/// A table of every component; whether all are ready.
pub fn statuses(rows: &[Row], absent: &[Absent]) -> bool {
    let mut last = String::new();
    for row in rows {
        let cluster = row.cluster.to_string();
        let shown = if cluster == last { "" } else { &cluster };
        let (style, state, why) = match &row.component.health {
            Health::Ready => (GOOD, "ready", ""),
            Health::InProgress(why) => (BAD, "not ready", why.as_str()),
            Health::Failed(why) => (BAD, "failed", why.as_str()),
        };
        let width = Step::WIDTH;
        let object = row.component.object.to_string();
        let text = format!(
            "{shown:<12}  {:<width$}  {style}{state:<9}{style:#}  {object}",
            row.step
        );
        let text = if why.is_empty() {
            text
        } else {
            format!("{text}: {why}")
        };
        anstream::println!("{text}");
        last = cluster;
    }
    for absent in absent {
        anstream::println!(
            "{:<12}  {BAD}no access{BAD:#}: {:#}",
            absent.name,
            absent.error
        );
    }
    absent.is_empty() && rows.iter().all(|row| row.component.health == Health::Ready)
}

/// A line for each hop; whether every hop holds.
pub fn verified(findings: &[Finding], took: Duration) -> bool {
    for finding in findings {
        let (style, word) = match finding.verdict {
            Verdict::Holds => (GOOD, "ok"),
            Verdict::Broken => (BAD, "broken"),
            Verdict::Unproven => (BAD, "unproven"),
            Verdict::Skipped => (DIM, "skipped"),
        };
        let (hop, text) = (finding.hop.title(), &finding.text);
        let cluster = finding.cluster.as_ref().map_or("all", ClusterName::as_str);
        anstream::println!("{style}{word:<8}{style:#}  {hop:<13}  {cluster:<12}  {text}");
    }
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    let counts = [
        (count(Verdict::Broken), "broken"),
        (count(Verdict::Unproven), "unproven"),
        (count(Verdict::Skipped), "skipped"),
        (count(Verdict::Holds), "ok"),
    ];
    let verified = counts[0].0 + counts[1].0 == 0;
    let (style, word) = match verified {
        true => (GOOD, "Verified"),
        false => (BAD, "Not verified"),
    };
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, word)| format!("{count} {word}"));
    anstream::println!(
        "{style}{word}{style:#} in {:.1}s: {}",
        took.as_secs_f64(),
        counts.collect::<Vec<_>>().join(", ")
    );
    verified
}

/// What is left; whether nothing is.
pub fn cleaned(mesh: &Mesh, report: &Report, took: Duration) -> bool {
    for failure in &report.failures {
        error(failure);
    }
    for (cluster, object) in &report.left {
        anstream::println!("{BAD}left{BAD:#}  {cluster:<12}  {object}");
    }
    let done = report.failures.is_empty() && report.left.is_empty();
    if done {
        let names = mesh.names();
        anstream::println!(
            "{GOOD}Clean{GOOD:#} in {:.1}s: nothing of ambikiali is left in {names}",
            took.as_secs_f64()
        );
    }
    done
}

/// Where Kiali is to be looked at.
pub fn address(url: &str) {
    anstream::println!("{url}");
}
