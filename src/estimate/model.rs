//! From the series of a Prometheus to what a pull of them costs.

use std::time::Duration;

use super::series::{Edge, Speed};
use crate::metrics::Profile;

/// Memory of the federating Prometheus without any series, in bytes.
const EMPTY: f64 = 75e6;
/// Its memory for each series. docs/metrics.md tells how this and the next one were measured.
const SERIES: f64 = 7_000.0;
/// Its memory for each byte of the largest pull: Prometheus reads a whole response before it parses it.
const PULLED: f64 = 2.0;

/// What one profile brings from one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    pub profile: Profile,
    pub series: u64,
    /// Labels of the series with the most, its name included.
    pub labels: usize,
    /// None if there is no series.
    pub pull: Option<Pull>,
}

/// What one pull of it costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pull {
    /// Bytes before compression.
    pub bytes: u64,
    /// Bytes on the wire.
    pub compressed: u64,
    pub time: Duration,
}

impl Share {
    pub fn of(profile: Profile, edge: &Edge, speed: Option<&Speed>) -> Share {
        let series = edge.series();
        let pull = speed.filter(|_| series > 0).map(|speed| Pull {
            bytes: edge.bytes() as u64,
            compressed: (speed.compressed * series as f64) as u64,
            time: speed.time.mul_f64(series as f64),
        });
        Share {
            profile,
            series,
            labels: edge.widest,
            pull,
        }
    }
}

/// Memory of a federating Prometheus that pulls these shares, in bytes.
pub fn memory<'a>(shares: impl IntoIterator<Item = &'a Share>) -> u64 {
    let (mut series, mut largest) = (0, 0);
    for share in shares {
        series += share.series;
        largest = largest.max(share.pull.map_or(0, |pull| pull.bytes));
    }
    (EMPTY + SERIES * series as f64 + PULLED * largest as f64) as u64
}
