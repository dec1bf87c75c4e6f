//! Parsers that validate values of flags.

use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::code::Code;
use crate::mesh::{Address, ClusterName, is_dns_label};
use crate::report;
use crate::steps::probes;

/// Rejects namespaces that Kiali must not use. `istio-system` has objects with the same names. `default` and the
/// system namespaces are shared: anyone who can run pods there could read the token of each remote, and they
/// cannot be deleted by a cleanup.
pub fn namespace(text: &str) -> Result<String, String> {
    match text {
        "default" => Err(
            "everyone who uses the cluster can use default, and Kiali's namespace holds tokens: choose a namespace for Kiali alone"
                .into(),
        ),
        _ if text.starts_with("kube-") => {
            Err(format!("{text} belongs to Kubernetes: choose a namespace for Kiali alone"))
        }
        "istio-system" => {
            Err("istio-system belongs to Istio and has a Prometheus of the same name".into())
        }
        probes::NAMESPACE => Err(format!(
            "{text} belongs to the probes of verify, which are removed with it"
        )),
        _ => label(text),
    }
}

/// A namespace or a Service that is only looked at.
pub fn label(text: &str) -> Result<String, String> {
    is_dns_label(text).then(|| text.into()).ok_or_else(|| {
        format!("\"{text}\" is not a valid name (lower-case letters, digits and '-')")
    })
}

/// Parses `NAME=HOST:PORT`.
pub fn target(text: &str) -> Result<(ClusterName, Address), String> {
    let (name, address) = text
        .split_once('=')
        .ok_or("use NAME=HOST:PORT, such as cluster1=10.1.0.9:9090")?;
    Ok((
        ClusterName::new(name)?,
        Address::try_from(address.to_string())?,
    ))
}

/// Parses the code of a finding that --skip-check accepts.
pub fn skippable(text: &str) -> Result<Code, String> {
    let code = text.parse::<Code>()?;
    match code.can_be_skipped() {
        true => Ok(code),
        false => Err(format!("{code} cannot be skipped ({})", code.title())),
    }
}

/// Parses the path of a report, whose ending is the format.
pub fn report() -> impl TypedValueParser<Value = report::File> {
    PathBufValueParser::new().try_map(report::File::by_ending)
}

pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("\"{text}\" is not a duration such as 90s, 10m or 1h");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| bad())?;
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(bad()),
    };
    let seconds = number
        .checked_mul(unit)
        .filter(|s| (1..=86_400).contains(s));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("\"{text}\" is not between 1s and 24h"))
}

/// Parses the seconds between two looks.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u64>().ok();
    let seconds = seconds.filter(|seconds| (1..=86_400).contains(seconds));
    let seconds = seconds.map(Duration::from_secs);
    seconds.ok_or_else(|| format!("\"{text}\" is not a number of seconds between 1 and 86400"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_dns_label_and_not_a_shared_namespace() {
        assert_eq!(namespace("kiali"), Ok("kiali".into()));
        for bad in [
            "",
            "Kiali",
            "a.b",
            "-a",
            "a-",
            "istio-system",
            "default",
            "kube-system",
            "kube-public",
            "kube-node-lease",
            "kube-anything",
            &"x".repeat(64),
        ] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_target_has_a_cluster_name_and_an_address() {
        let (name, address) = target("a=[fd00::1]:9090").unwrap();
        assert_eq!(
            (name.as_str(), address.to_string()),
            ("a", "[fd00::1]:9090".into())
        );
        for bad in [
            "a",
            "a=",
            "a=h",
            "=h:1",
            "a/b=h:1",
            "a=http://h:1",
            "a=h:1/x",
        ] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_unit_and_a_limit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for bad in [
            "",
            "10",
            "m",
            "1d",
            "-1s",
            "0s",
            "25h",
            "1.5m",
            "99999999999999999999h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
