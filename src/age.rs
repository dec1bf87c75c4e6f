//! Spans of time in the units that people use for tokens: `24h`, `30d`.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Parses a span such as 30d, 12h, 90m or 45s.
pub fn parse(text: &str) -> Result<Duration, String> {
    let bad = || format!("\"{text}\" is not a time such as 30d, 12h or 90m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(bad());
    }
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return Err(bad()),
    };
    let seconds = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    let seconds = seconds.filter(|seconds| *seconds <= 3650 * DAY);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("\"{text}\" is longer than 3650d"))
}

/// Parses the lifetime of a token. API servers issue none for less than ten minutes.
pub fn lifetime(text: &str) -> Result<Duration, String> {
    let limits = Duration::from_secs(10 * MINUTE)..=Duration::from_secs(365 * DAY);
    match parse(text)? {
        lifetime if limits.contains(&lifetime) => Ok(lifetime),
        _ => Err(format!("\"{text}\" is not between 10m and 365d")),
    }
}

/// The span in the largest unit of which there are two, as in "36 hours".
pub fn said(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..7200 => format!("{} minutes", seconds / MINUTE),
        7200..172_800 => format!("{} hours", seconds / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}

/// The span as a flag takes it, as in "12h".
pub fn flag(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m")];
    let unit = units.iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    match unit {
        Some((unit, letter)) => format!("{}{letter}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit_and_a_limit() {
        assert_eq!(parse("30d"), Ok(Duration::from_secs(30 * DAY)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        for bad in [
            "",
            "30",
            "d",
            "1w",
            "-1d",
            "+1d",
            "1.5h",
            "3651d",
            "99999999999999999999d",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(lifetime("24h"), Ok(Duration::from_secs(DAY)));
        assert_eq!(lifetime("10m"), Ok(Duration::from_secs(600)));
        for bad in ["9m", "0s", "366d", "default", ""] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_age_has_the_unit_that_counts() {
        for (hours, text) in [
            (0, "0 minutes"),
            (1, "60 minutes"),
            (2, "2 hours"),
            (47, "47 hours"),
            (48, "2 days"),
        ] {
            assert_eq!(said(Duration::from_secs(hours * HOUR)), text);
        }
    }

    #[test]
    fn a_span_is_told_as_it_is_typed() {
        for text in ["30d", "12h", "90m", "45s"] {
            assert_eq!(parse(text).map(flag), Ok(text.to_string()));
        }
    }
}
