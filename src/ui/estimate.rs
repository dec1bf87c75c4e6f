//! The result of an estimate as text.

use super::report::{BAD, GOOD};
use super::version::no_access;
use crate::out;
use crate::out::Text;
use crate::result::{ClusterEstimate, EstimateResult, Fit, Limits, ProfileEstimate};

const HEAD: &str = "CLUSTER       METRICS   SERIES     LABELS  PULL      COMPRESSED  TIME";

/// A table of each cluster and profile, and what home needs.
pub fn estimated(result: &EstimateResult) {
    say!("{HEAD}");
    for one in &result.estimates {
        cluster(one, result);
    }
    no_access(&result.unreachable);
    for home in result.home.iter().filter(|home| home.series > 0) {
        say!(
            "The federating Prometheus needs about {} of its {} of memory with --metrics {}, for {} series.",
            bytes(home.memory_bytes),
            bytes(result.limits.memory_bytes),
            home.profile,
            home.series
        );
    }
    match result.fit() {
        None => say!(
            "Whether --metrics {}, which is in use (*), fits everywhere is unknown.",
            result.profile
        ),
        Some(Fit::Fits) => say!("--metrics {}, which is in use (*), fits.", result.profile),
        Some(Fit::Tight | Fit::Fails) => out::result(advice(result)),
    }
}

fn cluster(one: &ClusterEstimate, result: &EstimateResult) {
    if let Some(reason) = &one.reason {
        let text = Text::from(format!("{:<12}  ", one.cluster)).styled(BAD, "unknown");
        out::result(text.plain(": ").lines(reason));
    }
    let names = std::iter::once(one.cluster.as_str()).chain(std::iter::repeat(""));
    for (name, profile) in names.zip(&one.profiles) {
        out::result(line(name, profile, result));
    }
}

fn line(name: &str, one: &ProfileEstimate, result: &EstimateResult) -> Text {
    let in_use = if one.profile == result.profile {
        "*"
    } else {
        ""
    };
    let profile = format!("{}{in_use}", one.profile);
    let (pull, compressed) = (one.bytes.map(bytes), one.compressed_bytes.map(bytes));
    let text = Text::from(format!(
        "{name:<12}  {profile:<8}  {:<9}  {:<6}  {:<8}  {:<10}  ",
        one.series,
        one.labels,
        pull.as_deref().unwrap_or("-"),
        compressed.as_deref().unwrap_or("-"),
    ));
    let time = one
        .seconds
        .map(|seconds| format!("{seconds:.2} s of {} s", result.timeout_seconds));
    let time = time.as_deref().unwrap_or("-");
    let (style, word) = match one.fit {
        Fit::Fits => (GOOD, "fits"),
        Fit::Tight => (BAD, "tight"),
        Fit::Fails => (BAD, "too much"),
    };
    text.plain(format!("{time:<16}  ")).styled(style, word)
}

fn advice(result: &EstimateResult) -> Text {
    let text = format!(
        "--metrics {}, which is in use (*), does not fit well",
        result.profile
    );
    let text = Text::new().styled(BAD, text);
    let limits = result.needed.as_ref().filter(|_| result.is_in_time());
    if let Some(needed) = limits {
        return text.plain(format!(
            " into the limits: ambikiali install{}",
            flags(&result.limits, needed)
        ));
    }
    text.plain(match result.better() {
        Some(other) => format!(": ambikiali install --metrics {other}"),
        None => {
            ": no profile does; use a longer --scrape-interval, or a store of your own (--store)"
                .into()
        }
    })
}

/// The flags that raise the limits.
fn flags(now: &Limits, needed: &Limits) -> String {
    let series = (needed.series != now.series).then(|| format!(" --max-series {}", needed.series));
    let memory = (needed.memory != now.memory).then(|| format!(" --max-memory {}", needed.memory));
    [series, memory].into_iter().flatten().collect()
}

/// As in "4.2 MB".
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(&str, f64); 3] = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let found = UNITS.iter().find(|(_, size)| bytes as f64 >= *size);
    match found {
        Some((unit, size)) => format!("{:.1} {unit}", bytes as f64 / size),
        None => format!("{bytes} B"),
    }
}
