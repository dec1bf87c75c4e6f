//! How long the federating Prometheus keeps its history, and where: in its pod, or in a claim that outlives the pod.
//! Values may come from a record that others wrote, so each is parsed strictly.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Names of the options.
pub const STORAGE: &str = "storage";
pub const STORAGE_CLASS: &str = "storage-class";
pub const RETENTION: &str = "retention";

/// Annotation with which somebody lets an install use a claim that it did not create.
pub const CONSENT: (&str, &str) = ("ambikiali.dev/use-for", "history");

/// Prometheus has this default only without a limit of size. With that alone, it would keep data for ever and in blocks
/// of a month, of which one is deleted as a whole.
const DEFAULT_RETENTION: &str = "15d";
/// Gibibytes in a tebibyte.
const TEBI: u64 = 1024;
const LARGEST: u64 = 64 * TEBI;
/// Hours of the shortest retention, which is the length of a block, and of the longest.
const RETENTIONS: std::ops::RangeInclusive<u64> = 2..=10 * 365 * 24;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The claim for the history; None to keep it in the pod.
    pub storage: Option<Storage>,
    /// None for Prometheus' default, which is 15d.
    pub retention: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    gibibytes: u64,
    /// None for the default of the cluster.
    pub class: Option<String>,
}

impl Default for Storage {
    fn default() -> Storage {
        Storage {
            gibibytes: 1,
            class: None,
        }
    }
}

impl Storage {
    /// The size as the API server stores it.
    pub fn size(&self) -> String {
        match self.gibibytes.is_multiple_of(TEBI) {
            true => format!("{}Ti", self.gibibytes / TEBI),
            false => format!("{}Gi", self.gibibytes),
        }
    }

    pub fn bytes(&self) -> u128 {
        u128::from(self.gibibytes) << 30
    }

    /// The limit for the data, 80 % of the claim: beside it, Prometheus needs room to write new blocks before it deletes
    /// old ones. Prometheus counts a megabyte as 2^20 bytes.
    fn limit(&self) -> String {
        format!("{}MB", self.gibibytes * 1024 * 8 / 10)
    }
}

impl History {
    /// The parts of options that are valid.
    pub fn of(options: &BTreeMap<String, String>) -> History {
        let gibibytes = options.get(STORAGE).and_then(|size| gibibytes(size).ok());
        History {
            storage: gibibytes.map(|gibibytes| Storage {
                gibibytes,
                class: options.get(STORAGE_CLASS).cloned(),
            }),
            retention: options.get(RETENTION).cloned(),
        }
    }

    /// The arguments of Prometheus.
    pub fn arguments(&self) -> Vec<String> {
        let default = self.storage.as_ref().map(|_| DEFAULT_RETENTION);
        let time = self.retention.as_deref().or(default);
        let time = time.map(|time| format!("--storage.tsdb.retention.time={time}"));
        let size = self.storage.as_ref();
        let size = size.map(|s| format!("--storage.tsdb.retention.size={}", s.limit()));
        time.into_iter().chain(size).collect()
    }

    /// The values for the manifest.
    pub fn values(&self) -> Value {
        let claim = self.storage.as_ref();
        json!({
            "arguments": self.arguments(),
            "claim": claim.map(|storage| json!({"size": storage.size(), "class": storage.class})),
        })
    }
}

/// The smallest size that has at least so many bytes.
pub fn covering(bytes: u128) -> String {
    let gibibytes = u64::try_from(bytes.div_ceil(1 << 30)).unwrap_or(LARGEST);
    let storage = Storage {
        gibibytes: gibibytes.clamp(1, LARGEST),
        class: None,
    };
    storage.size()
}

/// Checks options that are valid one by one.
pub fn check(options: &BTreeMap<String, String>) -> Result<(), String> {
    match options.contains_key(STORAGE_CLASS) && !options.contains_key(STORAGE) {
        true => Err(format!("--{STORAGE_CLASS} goes with --{STORAGE}")),
        false => Ok(()),
    }
}

/// Validates the value of an option; None for the name of another one.
pub fn known(name: &str, value: &str) -> Option<Result<(), String>> {
    match name {
        STORAGE => Some(storage(value).map(drop)),
        STORAGE_CLASS => Some(class(value).map(drop)),
        RETENTION => Some(retention(value).map(drop)),
        _ => None,
    }
}

/// Parses the size of the claim, and returns it as the API server stores it.
pub fn storage(text: &str) -> Result<String, String> {
    let gibibytes = gibibytes(text)?;
    let storage = Storage {
        gibibytes,
        class: None,
    };
    Ok(storage.size())
}

fn gibibytes(text: &str) -> Result<u64, String> {
    let bad = || format!("\"{text}\" is not a size such as 20Gi or 1Ti, between 1Gi and 64Ti");
    let (digits, unit) = match (text.strip_suffix("Gi"), text.strip_suffix("Ti")) {
        (Some(digits), _) => (digits, 1),
        (_, Some(digits)) => (digits, TEBI),
        _ => return Err(bad()),
    };
    let size = number(digits).and_then(|number| number.checked_mul(unit));
    size.filter(|size| (1..=LARGEST).contains(size))
        .ok_or_else(bad)
}

/// Parses the name of a StorageClass.
pub fn class(text: &str) -> Result<String, String> {
    let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = (1..=253).contains(&text.len())
        && text.chars().all(|c| of_name(c) || c == '-' || c == '.')
        && text.starts_with(of_name)
        && text.ends_with(of_name);
    good.then(|| text.to_string())
        .ok_or_else(|| "not the name of a StorageClass".into())
}

/// Parses how long data is kept, in a unit of Prometheus.
pub fn retention(text: &str) -> Result<String, String> {
    let bad = || format!("\"{text}\" is not a time such as 36h, 15d, 8w or 1y, between 2h and 10y");
    let unit = match text.chars().last() {
        Some('h') => 1,
        Some('d') => 24,
        Some('w') => 7 * 24,
        Some('y') => 365 * 24,
        _ => return Err(bad()),
    };
    let hours = number(&text[..text.len() - 1]).and_then(|number| number.checked_mul(unit));
    let hours = hours.filter(|hours| RETENTIONS.contains(hours));
    hours.map(|_| text.into()).ok_or_else(bad)
}

/// A number as only one text spells it.
fn number(digits: &str) -> Option<u64> {
    let number = digits.parse::<u64>().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// The bytes of a quantity of Kubernetes, as far as it has an integer and a unit of size.
pub fn bytes(quantity: &str) -> Option<u128> {
    const UNITS: [(&str, u128); 12] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
    ];
    let unit = UNITS
        .iter()
        .find_map(|(unit, bytes)| Some((quantity.strip_suffix(unit)?, *bytes)));
    let (digits, unit) = unit.unwrap_or((quantity, 1));
    u128::from(digits.parse::<u64>().ok()?).checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(options: &[(&str, &str)]) -> BTreeMap<String, String> {
        let all = options.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        all.collect()
    }

    #[test]
    fn a_size_is_one_that_prometheus_and_a_cluster_can_use() {
        for (text, size) in [
            ("1Gi", "1Gi"),
            ("20Gi", "20Gi"),
            ("1024Gi", "1Ti"),
            ("64Ti", "64Ti"),
        ] {
            assert_eq!(storage(text).as_deref(), Ok(size));
        }
        for text in [
            "",
            "Gi",
            "0Gi",
            "020Gi",
            "+20Gi",
            "20",
            "20G",
            "512Mi",
            "1.5Gi",
            "65Ti",
            "99999999999999999999Gi",
            "20Gi ",
            "20Gi\n- id",
        ] {
            assert!(storage(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_retention_is_one_that_prometheus_reads() {
        for text in ["2h", "36h", "15d", "8w", "10y"] {
            assert_eq!(retention(text).as_deref(), Ok(text));
        }
        for text in [
            "", "d", "1h", "0d", "015d", "15", "15m", "1d12h", "11y", "-1d", "é", "15d\n",
        ] {
            assert!(retention(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_class_has_the_name_of_an_object() {
        for text in ["standard", "gp3-encrypted", "a.b", "0"] {
            assert!(class(text).is_ok(), "{text}");
        }
        for text in ["", "-a", "a.", "A", "a b", "a\n", &"a".repeat(254)] {
            assert!(class(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_data_is_limited_before_the_claim_is_full() {
        let all = options(&[(STORAGE, "20Gi"), (RETENTION, "30d"), (STORAGE_CLASS, "c")]);
        let history = History::of(&all);
        let arguments = [
            "--storage.tsdb.retention.time=30d",
            "--storage.tsdb.retention.size=16384MB",
        ];
        assert_eq!(history.arguments(), arguments);
        assert_eq!(
            history.values()["claim"],
            json!({"size": "20Gi", "class": "c"})
        );
        assert_eq!(
            History::of(&options(&[])).values(),
            json!({"arguments": [], "claim": null})
        );
        let small = History::of(&options(&[(STORAGE, "1Gi")]));
        let arguments = [
            "--storage.tsdb.retention.time=15d",
            "--storage.tsdb.retention.size=819MB",
        ];
        assert_eq!(small.arguments(), arguments);
    }

    #[test]
    fn a_class_needs_a_claim() {
        assert!(check(&options(&[(STORAGE_CLASS, "a")])).is_err());
        assert!(check(&options(&[(STORAGE_CLASS, "a"), (STORAGE, "1Gi")])).is_ok());
        assert!(check(&options(&[(RETENTION, "1d")])).is_ok());
    }

    #[test]
    fn a_quantity_is_compared_by_its_bytes() {
        assert_eq!(bytes("20Gi"), Some(20 << 30));
        assert_eq!(bytes("1Ti"), bytes("1024Gi"));
        assert_eq!(bytes("21474836480"), bytes("20Gi"));
        assert_eq!(bytes("20G"), Some(20_000_000_000));
        assert_eq!(bytes("18446744073709551615Ei").map(|_| ()), Some(()));
        for text in ["", "Gi", "1.5Gi", "100m", "x", "-1"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
