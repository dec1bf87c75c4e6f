//! The live lines of a terminal. Without a terminal, there are only permanent lines.

use std::collections::BTreeMap;
use std::time::Duration;

use anstyle::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::grid::Grid;
use crate::guide::Step;
use crate::mesh::ClusterName;
use crate::out;
use crate::out::Text;
use crate::progress::{Part, Place, Verdict};

/// The text is truncated to the width of the terminal, because a wrapped line would be drawn over those above it.
const TEMPLATE: &str = "{spinner} {elapsed:>4}  {wide_msg}";
/// A line of the matrix.
const LINE: &str = "{wide_msg}";
/// Width of the columns before the text.
const BEFORE: usize = 8;
const ASCII_SPINNER: &str = "|/-\\ ";

pub struct Live {
    table: Option<MultiProgress>,
    rows: BTreeMap<(ClusterName, Part), ProgressBar>,
    /// The flows between the clusters, below the other rows.
    grid: Grid,
    lines: Vec<ProgressBar>,
}

impl Live {
    pub fn new(terminal: bool) -> Live {
        let table = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        out::put_above(table.clone());
        Live {
            table,
            rows: BTreeMap::new(),
            grid: Grid::default(),
            lines: Vec::new(),
        }
    }

    pub fn is_on(&self) -> bool {
        self.table.is_some()
    }

    pub fn started(&mut self, cluster: &ClusterName, part: Part) {
        let Some(table) = &self.table else { return };
        let row = ProgressBar::new_spinner();
        let row = match self.lines.first() {
            Some(grid) => table.insert_before(grid, row),
            None => table.add(row),
        };
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

    /// Shows what is known of a flow. Until then, the hop that it waits for is in brackets.
    pub fn flow(
        &mut self,
        from: &ClusterName,
        to: &ClusterName,
        verdict: Option<Verdict>,
        place: Option<Place>,
    ) {
        let Some(table) = &self.table else { return };
        let place = place.map_or("", Place::word);
        let word = match verdict {
            None => format!("({place})"),
            Some(Verdict::Broken) => place.into(),
            Some(verdict) => verdict.word().into(),
        };
        self.grid.set(from, to, Style::new(), word);
        let lines = self.grid.lines();
        while self.lines.len() < lines.len() {
            let line = table.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template(LINE) {
                line.set_style(style);
            }
            self.lines.push(line);
        }
        for (bar, line) in self.lines.iter().zip(lines) {
            bar.set_message(fitting(&line));
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
        // The line of a cancelled step would look as if it were still running.
        for row in self.rows.values().chain(&self.lines) {
            row.finish_and_clear();
        }
        out::put_above(None);
    }
}

fn message(cluster: &ClusterName, part: Part, text: &str) -> String {
    let width = Step::WIDTH;
    fitting(&Text::from(format!(
        "{cluster:<12}  {part:<width$}  {text}"
    )))
}

fn fitting(line: &Text) -> String {
    let line = line.sent(out::manner().ascii);
    match columns() {
        Some(columns) => line.chars().take(columns.saturating_sub(BEFORE)).collect(),
        None => line,
    }
}

/// The width that the user set. The width of the terminal also limits a line.
fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}
