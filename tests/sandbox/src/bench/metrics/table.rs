//! Figures as tables in Markdown, with each profile's ratio to the guide's.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use super::estimated::Both;
use super::server::Counted;

pub struct Pulled {
    pub lines: u64,
    pub bytes: u64,
    pub gzip: u64,
    /// How long one answer took when nothing else asked.
    pub alone: Duration,
    /// How long each pull took, in seconds.
    pub times: Vec<f64>,
    /// The CPU time of the edge for each pull, in seconds.
    pub cpu: f64,
    /// The most memory of home, in MiB.
    pub memory: f64,
    pub failed: usize,
    /// Whether an install would refuse so many series.
    pub beyond_limit: bool,
    pub graph: Graph,
}

impl Pulled {
    /// What was not pulled by a home.
    pub fn counted(plain: &Counted, compressed: &Counted) -> Pulled {
        Pulled {
            lines: plain.lines,
            bytes: plain.bytes,
            gzip: compressed.bytes,
            alone: plain.took,
            times: Vec::new(),
            cpu: 0.0,
            memory: 0.0,
            failed: 0,
            beyond_limit: true,
            graph: Graph::default(),
        }
    }
}

/// Each interval.
pub struct Written {
    pub bytes: f64,
    pub samples: f64,
    pub cpu: f64,
    /// The most memory of the receiver, in MiB.
    pub memory: f64,
}

pub struct Row {
    pub profile: &'static str,
    pub pulled: Pulled,
    pub written: Option<Written>,
}

/// What Kiali's graph would have.
#[derive(Default)]
pub struct Graph {
    /// Edges of connections, and of requests.
    pub edges: Vec<usize>,
    /// The largest error of a rate.
    pub wrong: f64,
}

/// How far a rate was from the truth, below and above.
pub struct Wrong {
    pub profile: &'static str,
    /// The intervals over which the rate was taken.
    pub intervals: u32,
    lowest: f64,
    highest: f64,
}

impl Wrong {
    pub fn none(profile: &'static str, intervals: u32) -> Wrong {
        Wrong {
            profile,
            intervals,
            lowest: 0.0,
            highest: 0.0,
        }
    }

    pub fn saw(&mut self, error: f64) {
        self.lowest = self.lowest.min(error);
        self.highest = self.highest.max(error);
    }
}

fn mb(bytes: f64) -> String {
    format!("{:.2} MB", bytes / 1e6)
}

fn ratio(part: f64, whole: f64) -> String {
    format!("{:.1} %", 100.0 * part / whole)
}

fn p95(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let at = (times.len() * 95).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}

impl Row {
    pub fn line(&self, guide: &Row) -> String {
        let (own, whole) = (&self.pulled, &guide.pulled);
        if own.times.is_empty() {
            return format!(
                "| {} | {}, not pulled | {} | {} | {:.2} s |",
                self.profile,
                own.lines,
                mb(own.bytes as f64),
                mb(own.gzip as f64),
                own.alone.as_secs_f64()
            );
        }
        let failed = match own.failed {
            0 => String::new(),
            failed => format!(", {failed} of {} failed", own.times.len()),
        };
        let beyond = if own.beyond_limit {
            ", beyond the limit"
        } else {
            ""
        };
        format!(
            "| {} | {}{beyond} ({}) | {} ({}) | {} ({}) | {:.2} s | {:.2} s{failed} | {:.2} s | {:.0} MiB | {:?}, {:.1} % |",
            self.profile,
            own.lines,
            ratio(own.lines as f64, whole.lines as f64),
            mb(own.bytes as f64),
            ratio(own.bytes as f64, whole.bytes as f64),
            mb(own.gzip as f64),
            ratio(own.gzip as f64, whole.gzip as f64),
            own.alone.as_secs_f64(),
            p95(&own.times),
            own.cpu,
            own.memory,
            own.graph.edges,
            100.0 * own.graph.wrong
        )
    }
}

pub fn size(rows: &[Row]) -> String {
    let mut text = "| profile | lines | bytes | gzip | alone | p95 of a pull | CPU of the edge a pull | memory of home | edges of connections and requests, largest error of a rate |\n|---|---|---|---|---|---|---|---|---|\n".to_string();
    for row in rows {
        let _ = writeln!(text, "{}", row.line(&rows[0]));
    }
    text += "\n| by remote write | samples | bytes | CPU of the edge | memory of the receiver |\n|---|---|---|---|---|\n";
    for row in rows {
        if let Some(written) = &row.written {
            let _ = writeln!(
                text,
                "| {} | {:.0} | {} | {:.2} s | {:.0} MiB |",
                row.profile,
                written.samples,
                mb(written.bytes),
                written.cpu,
                written.memory
            );
        }
    }
    text
}

pub fn restart(wrong: &[Wrong]) -> String {
    let mut text =
        "\n| profile | rate over | after the restart of one of four |\n|---|---|---|\n".to_string();
    for wrong in wrong {
        let (lowest, highest) = (100.0 * wrong.lowest, 100.0 * wrong.highest);
        let _ = writeln!(
            text,
            "| {} | {} intervals | {lowest:+.1} % to {highest:+.1} % |",
            wrong.profile, wrong.intervals
        );
    }
    text
}

/// A line for a profile: what was estimated, and its ratio to what was measured.
pub fn both(both: &Both) -> String {
    let (told, seen) = (both.estimated, both.measured);
    let beside = |told: f64, seen: f64, text: String| match seen > 0.0 {
        true => format!("{text} ({:.2})", told / seen),
        false => format!("{text} (not measured)"),
    };
    format!(
        "| {}, {} | {} | {} | {} | {} | {} |",
        both.workloads,
        both.profile,
        beside(told.series, seen.series, format!("{:.0}", told.series)),
        beside(told.bytes, seen.bytes, mb(told.bytes)),
        beside(told.gzip, seen.gzip, mb(told.gzip)),
        beside(told.seconds, seen.seconds, format!("{:.2} s", told.seconds)),
        beside(told.memory, seen.memory, mb(told.memory)),
    )
}

pub fn compared(all: &[Both]) -> String {
    let head = "| workloads, profile | series | bytes | gzip | time | memory of home |";
    let lines = all.iter().map(both).collect::<Vec<_>>().join("\n");
    format!(
        "Estimated (and its ratio to what was measured):\n\n{head}\n|---|---|---|---|---|---|\n{lines}\n"
    )
}

/// The load of the last minute.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_string()
}

pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
    format!("{day}, {cores} cores of {model}, load {}", load())
}
