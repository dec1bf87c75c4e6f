//! The live lines of a terminal; off a terminal only plain lines remain.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::guide::Step;
use crate::mesh::ClusterName;
use crate::out;
use crate::out::Text;
use crate::progress::Part;

/// All but the spinner and the time is one text, which is cut where the terminal ends: a line that
/// wraps would be drawn over the ones above it.
const TEMPLATE: &str = "{spinner} {elapsed:>4}  {wide_msg}";
/// What comes before the text.
const BEFORE: usize = 8;
const ASCII_SPINNER: &str = "|/-\\ ";

pub struct Live {
    table: Option<MultiProgress>,
    rows: BTreeMap<(ClusterName, Part), ProgressBar>,
}

impl Live {
    pub fn new(terminal: bool) -> Live {
        let table = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        out::put_above(table.clone());
        Live {
            table,
            rows: BTreeMap::new(),
        }
    }

    pub fn is_on(&self) -> bool {
        self.table.is_some()
    }

    pub fn started(&mut self, cluster: &ClusterName, part: Part) {
        let Some(table) = &self.table else { return };
        let row = table.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            row.set_style(match out::manner().ascii {
                true => style.tick_chars(ASCII_SPINNER),
                false => style,
            });
        }
        row.set_message(message(cluster, part, ""));
        row.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = self.rows.insert((cluster.clone(), part), row) {
            old.finish_and_clear();
        }
    }

    pub fn waiting(&self, cluster: &ClusterName, part: Part, text: &str) {
        if let Some(row) = self.rows.get(&(cluster.clone(), part)) {
            row.set_message(message(cluster, part, text));
        }
    }

    pub fn ended(&mut self, cluster: &ClusterName, part: Part) {
        if let Some(row) = self.rows.remove(&(cluster.clone(), part)) {
            row.finish_and_clear();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // What a step that was given up leaves on the screen would look as if it went on.
        for row in self.rows.values() {
            row.finish_and_clear();
        }
        out::put_above(None);
    }
}

fn message(cluster: &ClusterName, part: Part, text: &str) -> String {
    let width = Step::WIDTH;
    let line = Text::from(format!("{cluster:<12}  {part:<width$}  {text}"));
    let line = line.sent(out::manner().ascii);
    match columns() {
        Some(columns) => line.chars().take(columns.saturating_sub(BEFORE)).collect(),
        None => line,
    }
}

/// As the user says; the terminal's own width counts besides.
fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}
