//! What the federating Prometheus takes at most, so that no remote can fill it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{MAX_MEMORY, MAX_SERIES};

/// manifests/README.md tells how the defaults were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most series that it takes from one cluster with one pull.
    pub series: u32,
    /// Its memory in gibibytes.
    gibibytes: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            series: 180_000,
            gibibytes: 3,
        }
    }
}

impl Limits {
    const SERIES: RangeInclusive<u32> = 1_000..=10_000_000;
    const GIBIBYTES: RangeInclusive<u32> = 1..=1_024;
    /// Bytes for each series before compression. A line of a real ztunnel has 1,400.
    const LINE: u64 = 1_864;

    pub fn of(options: &BTreeMap<String, String>) -> Limits {
        let get = |name| options.get(name).map(String::as_str);
        let default = Limits::default();
        let series = get(MAX_SERIES).and_then(|text| max_series(text).ok());
        let gibibytes = get(MAX_MEMORY).and_then(|text| max_memory(text).ok());
        Limits {
            series: series.unwrap_or(default.series),
            gibibytes: gibibytes.unwrap_or(default.gibibytes),
        }
    }

    /// The most mebibytes that it takes from one cluster with one pull.
    pub fn mebibytes(self) -> u64 {
        (u64::from(self.series) * Limits::LINE).div_ceil(1 << 20)
    }

    /// The same in bytes.
    pub fn bytes(self) -> u64 {
        self.mebibytes() << 20
    }

    /// Its memory in bytes.
    pub fn memory(self) -> u64 {
        u64::from(self.gibibytes) << 30
    }

    /// Its memory as the API server stores it.
    pub fn memory_quantity(self) -> String {
        format!("{}Gi", self.gibibytes)
    }

    /// Memory of the Prometheus in each cluster, which grows with what home may take from it.
    pub fn memory_of_cluster(self) -> String {
        let default = u64::from(Limits::default().series);
        let gibibytes = (4 * u64::from(self.series)).div_ceil(default);
        format!("{}Gi", gibibytes.max(4))
    }

    /// The smallest limits, above the defaults, of which these use at most half.
    pub fn twice(series: u64, bytes: u64, memory: u64) -> Limits {
        let of_lines = series.max(bytes.div_ceil(Limits::LINE));
        let series = (2 * of_lines).div_ceil(10_000).saturating_mul(10_000);
        let gibibytes = (2 * memory).div_ceil(1 << 30);
        let default = Limits::default();
        let within = |value: u64, least: u32, range: RangeInclusive<u32>| {
            let value = u32::try_from(value).unwrap_or(u32::MAX);
            value.clamp(least, *range.end())
        };
        Limits {
            series: within(series, default.series, Limits::SERIES),
            gibibytes: within(gibibytes, default.gibibytes, Limits::GIBIBYTES),
        }
    }
}

/// Parses the value of --max-series.
pub fn max_series(text: &str) -> Result<u32, String> {
    let series = text.parse::<u32>().ok();
    let series = series.filter(|n| n.to_string() == text && Limits::SERIES.contains(n));
    series.ok_or_else(|| format!("\"{text}\" is not a number between 1000 and 10000000"))
}

/// Parses the value of --max-memory.
pub fn max_memory(text: &str) -> Result<u32, String> {
    let gibibytes = text.strip_suffix("Gi").and_then(|n| n.parse::<u32>().ok());
    let gibibytes = gibibytes.filter(|n| format!("{n}Gi") == text && Limits::GIBIBYTES.contains(n));
    gibibytes.ok_or_else(|| format!("\"{text}\" is not a size such as 6Gi, between 1Gi and 1024Gi"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_parsed_strictly() {
        for (text, good) in [
            ("1000", true),
            ("400000", true),
            ("10000000", true),
            ("999", false),
            ("10000001", false),
            ("0400000", false),
            ("+400000", false),
            ("400k", false),
            ("-1", false),
            ("", false),
        ] {
            assert_eq!(max_series(text).is_ok(), good, "{text}");
        }
        for (text, good) in [
            ("1Gi", true),
            ("1024Gi", true),
            ("0Gi", false),
            ("1025Gi", false),
            ("6G", false),
            ("06Gi", false),
            ("6144Mi", false),
            ("Gi", false),
        ] {
            assert_eq!(max_memory(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn limits_by_an_estimate_leave_half_and_are_never_below_the_defaults() {
        assert_eq!(Limits::twice(10, 10_000, 100 << 20), Limits::default());
        let limits = Limits::twice(263_582, 373_500_000, 5_700_000_000);
        assert_eq!((limits.series, limits.memory()), (530_000, 11 << 30));
        assert!(limits.bytes() >= 2 * 373_500_000);
        let wide = Limits::twice(100_000, 800_000_000, 0);
        assert!(wide.bytes() >= 2 * 800_000_000, "{wide:?}");
        let most = Limits::twice(u64::MAX / 4, 1, u64::MAX / 4);
        assert_eq!(
            (most.series, most.memory_quantity()),
            (10_000_000, "1024Gi".into())
        );
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let limits = Limits::default();
        assert_eq!(
            (limits.mebibytes(), limits.memory_quantity()),
            (320, "3Gi".into())
        );
        let of_cluster = |series: u32| Limits { series, ..limits }.memory_of_cluster();
        assert_eq!(
            [1_000, 180_000, 180_001, 530_000].map(of_cluster),
            ["4Gi", "4Gi", "5Gi", "12Gi"]
        );
    }
}
