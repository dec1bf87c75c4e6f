//! A permanent line of progress, as text or as JSON.

use std::time::Duration;

use serde::Serialize;

use crate::guide::Step;
use crate::mesh::ClusterName;
use crate::out;
use crate::progress::Part;

pub struct Line<'a> {
    /// Time since the command started.
    pub elapsed: Duration,
    pub cluster: &'a ClusterName,
    pub part: Part,
    pub state: &'a str,
    /// How long a wait has lasted.
    pub waited: Option<Duration>,
    pub text: &'a str,
}

/// The same line as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    elapsed_ms: u64,
    cluster: &'a ClusterName,
    state: &'a str,
    message: &'a str,
    #[serde(flatten)]
    part: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_ms: Option<u64>,
}

impl Line<'_> {
    pub fn print(&self) {
        let level = match self.state {
            "failed" | "broken" | "unproven" => "error",
            _ => "info",
        };
        let fields = Fields {
            elapsed_ms: self.elapsed.as_millis() as u64,
            cluster: self.cluster,
            state: self.state,
            message: self.text,
            part: self.part,
            waited_ms: self.waited.map(|waited| waited.as_millis() as u64),
        };
        out::tell(level, &self.words().into(), fields);
    }

    fn words(&self) -> String {
        let seconds = self.elapsed.as_secs();
        let waited = self.waited.map(|waited| format!(" {}s", waited.as_secs()));
        let state = format!("{}{}", self.state, waited.unwrap_or_default());
        let (cluster, part, width) = (self.cluster, self.part, Step::WIDTH);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let line = format!(
            "{minutes:02}:{seconds:02}  {cluster:<12}  {part:<width$}  {state:<7}  {}",
            self.text
        );
        line.trim_end().to_string()
    }
}
