//! The live lines of a terminal; off a terminal only plain lines remain.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::guide::Step;
use crate::mesh::ClusterName;

pub struct Live {
    table: Option<MultiProgress>,
    rows: BTreeMap<(ClusterName, Step), ProgressBar>,
}

impl Live {
    pub fn new(terminal: bool) -> Live {
        let table = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Live {
            table,
            rows: BTreeMap::new(),
        }
    }

    pub fn is_on(&self) -> bool {
        self.table.is_some()
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        match &self.table {
            // A terminal that went away takes its lines with it.
            Some(table) => drop(table.println(text)),
            None => eprintln!("{text}"),
        }
    }

    pub fn started(&mut self, cluster: &ClusterName, step: Step) {
        let Some(table) = &self.table else { return };
        let row = table.add(ProgressBar::new_spinner());
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {elapsed:>4}  {prefix}  {wide_msg}")
        {
            row.set_style(style);
        }
        let width = Step::WIDTH;
        row.set_prefix(format!("{cluster:<12}  {step:<width$}"));
        row.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = self.rows.insert((cluster.clone(), step), row) {
            old.finish_and_clear();
        }
    }

    pub fn waiting(&self, cluster: &ClusterName, step: Step, text: &str) {
        if let Some(row) = self.rows.get(&(cluster.clone(), step)) {
            row.set_message(text.to_string());
        }
    }

    pub fn ended(&mut self, cluster: &ClusterName, step: Step) {
        if let Some(row) = self.rows.remove(&(cluster.clone(), step)) {
            row.finish_and_clear();
        }
    }
}
