//! What a command found or did, in its last words.

use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::aside::{error, note};
use super::out::{self, Form};
use super::text::Text;
use crate::cleanup::{Left, Report};
use crate::document;
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::mesh::{Absent, ClusterName, Mesh, WriteCounts};
use crate::progress::{Event, Message, Part};
use crate::shell::quoted;
use crate::status::Row;
use crate::verify::{Finding, Verdict};

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const DIM: Style = Style::new().dimmed();

/// What an interrupted command leaves, and the ways from there.
pub fn interrupted(mesh: Option<&Mesh>, has_way_back: bool) {
    let clusters = mesh.into_iter().flat_map(Mesh::all);
    let all = clusters.map(|c| (&c.name, c.transport.written()));
    let (clusters, written): (Vec<_>, Vec<_>) =
        all.filter(|(_, w)| *w != WriteCounts::default()).unzip();
    if written.is_empty() {
        return note("interrupted; nothing was written");
    }
    note("interrupted; these changes stay in place:");
    for (cluster, written) in clusters.iter().zip(&written) {
        note(&format!("  {cluster:<12}  {}", done(written)));
    }
    note("  to resume:  repeat the same command");
    if has_way_back && written.iter().any(|w| w.writes > 0) {
        note("  to undo:    ambikiali cleanup");
    }
}

fn done(written: &WriteCounts) -> String {
    let counts = [
        (written.writes, "written"),
        (written.deletes, "removed"),
        (written.unanswered, "not answered yet"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, word)| format!("{count} {word}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// With the clusters in the next commands, unless they are remembered.
pub fn installed(mesh: &Mesh, remembered: bool, took: Duration) {
    let names = mesh.names();
    out::result(Text::new().styled(GOOD, "Ready").plain(format!(
        " in {:.1}s: Kiali in {} sees {names}",
        took.as_secs_f64(),
        mesh.home.name
    )));
    let numbered = mesh.all().zip(1..).filter(|_| !remembered);
    let clusters = numbered
        .map(|(cluster, number)| format!(" --ctx{number} {}", quoted(&cluster.context)))
        .collect::<String>();
    say!("Next:  ambikiali verify{clusters}");
    say!("       ambikiali dashboard{clusters}");
}

/// A table of every component; whether all are ready.
pub fn statuses(rows: &[Row], absent: &[Absent]) -> bool {
    let mut last = String::new();
    for row in rows {
        let cluster = row.cluster.to_string();
        let shown = if cluster == last { "" } else { &cluster };
        let (style, state, why) = match &row.component.health {
            Health::Ready => (GOOD, "ready", ""),
            Health::Failed(what) if row.drifted => (BAD, "drifted", what.as_str()),
            Health::InProgress(why) => (BAD, "not ready", why.as_str()),
            Health::Failed(why) => (BAD, "failed", why.as_str()),
        };
        let width = Step::WIDTH;
        let object = row.component.object.to_string();
        let text = Text::from(format!("{shown:<12}  {:<width$}  ", row.step))
            .styled(style, format!("{state:<9}"))
            .plain(format!("  {object}"));
        let note = row.component.note.as_deref().unwrap_or_default();
        let said = [why, note].into_iter().filter(|said| !said.is_empty());
        let said = said.collect::<Vec<_>>().join("; ");
        let text = if said.is_empty() {
            text
        } else {
            text.plain(": ").lines(said)
        };
        out::result(text);
        last = cluster;
    }
    for absent in absent {
        let text = Text::from(format!("{:<12}  ", absent.name)).styled(BAD, "no access");
        out::result(text.plain(": ").lines(format!("{:#}", absent.error)));
    }
    absent.is_empty() && rows.iter().all(|row| row.component.health == Health::Ready)
}

/// A line for each hop; whether every hop holds.
pub fn verified(findings: &[Finding], took: Duration) -> bool {
    for finding in findings {
        let style = match finding.verdict {
            Verdict::Holds => GOOD,
            Verdict::Broken | Verdict::Unproven => BAD,
            Verdict::Skipped => DIM,
        };
        let word = finding.verdict.word();
        let (hop, text) = (finding.hop.title(), &finding.text);
        let cluster = finding.cluster.as_ref().map_or("all", ClusterName::as_str);
        let line = Text::new().styled(style, format!("{word:<8}"));
        let line = line.plain(format!("  {hop:<13}  {cluster:<12}  "));
        out::result(line.lines(text));
    }
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    let counts = [
        (count(Verdict::Broken), "broken"),
        (count(Verdict::Unproven), "unproven"),
        (count(Verdict::Skipped), "skipped"),
        (count(Verdict::Holds), "ok"),
    ];
    let verified = !findings.iter().any(|f| f.verdict.fails());
    let (style, word) = match verified {
        true => (GOOD, "Verified"),
        false => (BAD, "Not verified"),
    };
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, word)| format!("{count} {word}"));
    out::result(Text::new().styled(style, word).plain(format!(
        " in {:.1}s: {}",
        took.as_secs_f64(),
        counts.collect::<Vec<_>>().join(", ")
    )));
    verified
}

/// What is left; whether nothing is. Of a dry run, what would go.
pub fn cleaned(names: &str, report: &Report, dry_run: bool, took: Duration) -> bool {
    for failure in &report.failures {
        error(failure);
    }
    if dry_run {
        for (cluster, object) in &report.changed {
            say!("would change  {cluster:<12}  {object}");
        }
        for (cluster, object) in &report.removed {
            say!("would remove  {cluster:<12}  {object}");
        }
        for left in &report.left {
            out::result(stays("would leave ", left));
        }
        for (cluster, object, fields) in &report.forced {
            say!(
                "would stay    {cluster:<12}  {object}, {FORCED}: {}",
                fields.join(", ")
            );
        }
        doubts(report);
        let count = report.removed.len();
        say!("Dry run: {count} objects would be removed in {names}");
        return report.is_clean();
    }
    for left in &report.left {
        out::result(stays("left", left));
    }
    for (cluster, object, fields) in &report.forced {
        say!(
            "stays  {cluster:<12}  {object}, {FORCED}: {}",
            fields.join(", ")
        );
    }
    doubts(report);
    let took = format!("in {:.1}s", took.as_secs_f64());
    let nothing = report.failures.is_empty() && report.left.is_empty();
    let clean = |said: &str| {
        let text = Text::new().styled(GOOD, "Clean");
        out::result(text.plain(format!(" {took}: {said}")));
    };
    match (report.is_clean(), report.forced.is_empty()) {
        (true, true) => clean(&format!("nothing from ambikiali is left in {names}")),
        (true, false) => clean(&format!(
            "nothing that ambikiali created is left in {names}; its changes to objects of others are listed above"
        )),
        (false, _) if nothing => say!(
            "Removed {took}: nothing that ambikiali created is left in {names}, but a record there has entries that ambikiali did not write: see above"
        ),
        (false, _) => {}
    }
    report.is_clean()
}

fn stays(word: &str, left: &Left) -> Text {
    let text = Text::new().styled(BAD, word);
    let text = text.plain(format!("  {:<12}  {}", left.cluster, left.object));
    match &left.reason {
        Some(reason) => text.plain(": ").lines(reason),
        None => text,
    }
}

const FORCED: &str = "changed by install --force-conflicts and not restored";

fn doubts(report: &Report) {
    for (cluster, doubt) in &report.doubts {
        let text = Text::new().styled(BAD, "not ours");
        out::result(text.plain(format!("  {cluster:<12}  {doubt}")));
    }
}

/// One line for each file.
pub fn rendered(paths: &[String]) {
    paths.iter().for_each(|path| say!("{path}"));
}

/// Where Kiali is to be looked at.
pub fn address(home: &ClusterName, url: &str) {
    let message = Message {
        part: Part::Step(Step::Kiali),
        cluster: home.clone(),
        event: Event::Note(url.into()),
    };
    match out::manner().form {
        Form::Text => say!("{url}"),
        Form::Jsonl => out::event(&document::event(&message, Duration::ZERO)),
        // The document comes when nobody needs it any more.
        Form::Json | Form::Yaml => note(url),
    }
}
