//! From the series of a Prometheus to what a pull of them costs.

use std::time::Duration;

use super::series::{Edge, Speed};
use crate::metrics::Profile;

/// Memory of the federating Prometheus without any series, in bytes.
const EMPTY: f64 = 75e6;
/// Its memory for each series. docs/metrics.md has the measurements that these figures follow.
const SERIES: f64 = 7_000.0;
/// Its memory for each byte of the largest pull, which it reads as a whole before it parses it.
const PULLED: f64 = 3.7;
/// Prometheus keeps buffers up to this size for the next pull. It makes a larger one anew, by growing it.
const LARGE: u64 = 59_049_000;
const GROWN: f64 = 10.0;

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
    let pulled = if largest > LARGE { GROWN } else { PULLED };
    (EMPTY + SERIES * series as f64 + pulled * largest as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_within_a_quarter_of_what_was_measured() {
        const MIB: f64 = 1_048_576.0;
        for (series, bytes, measured) in [
            (4_537, 6_300_000, 112.0),
            (11_338, 16_000_000, 202.0),
            (29_389, 36_700_000, 412.0),
            (9_813, 13_800_000, 185.0),
            (24_614, 34_800_000, 402.0),
            (62_037, 79_200_000, 1_357.0),
            (30_913, 43_600_000, 433.0),
            (77_714, 110_100_000, 1_609.0),
            (191_903, 249_100_000, 3_894.0),
        ] {
            let pull = Pull {
                bytes,
                compressed: bytes / 80,
                time: Duration::from_secs(1),
            };
            let share = Share {
                profile: Profile::Core,
                series,
                labels: 30,
                pull: Some(pull),
            };
            let ratio = memory([&share]) as f64 / (measured * MIB);
            assert!((0.75..=1.25).contains(&ratio), "{series}: {ratio}");
        }
    }
}
