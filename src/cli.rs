//! What the user may type; the comments are the help text. Clap stops here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::mesh::is_dns_label;

/// One verified, removable multi-cluster Kiali over Istio ambient clusters
///
/// Puts the guide "Kiali dashboard for ambient multi-network" into practice on two clusters: a
/// Prometheus in each, one that federates them, and a Kiali on the home cluster that sees all.
#[derive(Debug, Parser)]
#[command(name = "ambikiali", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 done                    5 a hop is broken or not proven
  1 failed, or not ready    6 something is left after cleanup
  2 wrong usage             8 a cluster does not answer or refuses the credentials
  3 refused, nothing done   9 another tool manages what would be written
  4 a deadline passed       130, 143 interrupted";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install, or go on with an install that was interrupted; a second run changes nothing
    Install(Install),
    /// Prove every hop: components, scrape targets, traffic in the metrics, Kiali's view
    Verify(Verify),
    /// Show each component and how it is
    Status(Clusters),
    /// Forward a local port to Kiali and open it in the browser, until Ctrl-C
    Dashboard(Dashboard),
    /// Remove what install made, and nothing else
    #[command(visible_alias = "uninstall")]
    Cleanup(Cleanup),
}

impl Command {
    /// Whether it changes clusters.
    pub fn writes(&self) -> bool {
        matches!(self, Command::Install(_) | Command::Cleanup(_))
    }
}

#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Kubeconfig file; more than one are merged [default: KUBECONFIG, then ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Vec<PathBuf>,
    /// Namespace for Kiali and the federating Prometheus
    #[arg(
        long,
        short,
        global = true,
        value_name = "NAME",
        default_value = "kiali",
        value_parser = namespace
    )]
    pub namespace: String,
    /// Longest time for the whole command, like 90s, 10m or 1h
    #[arg(long, global = true, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
}

#[derive(Args, Debug)]
pub struct Install {
    /// Context of the home cluster, where Kiali will run
    #[arg(long, value_name = "CONTEXT", env = "AMBIKIALI_CTX1")]
    pub ctx1: String,
    /// Context of the remote cluster, which Kiali will see
    #[arg(long, value_name = "CONTEXT", env = "AMBIKIALI_CTX2")]
    pub ctx2: String,
    /// Address of the remote's API server for pods of the home cluster
    #[arg(long, value_name = "URL")]
    pub api_server2: Option<String>,
    /// Accept 127.0.0.1 as an API server's address for pods (for pods that are local processes)
    #[arg(long)]
    pub allow_loopback: bool,
    /// Take fields that another tool manages; without it a conflict stops the install
    #[arg(long)]
    pub force_conflicts: bool,
}

#[derive(Args, Debug)]
pub struct Clusters {
    /// Context of the home cluster [default: as at the last install]
    #[arg(
        long,
        value_name = "CONTEXT",
        env = "AMBIKIALI_CTX1",
        requires = "ctx2"
    )]
    pub ctx1: Option<String>,
    /// Context of the remote cluster [default: as at the last install]
    #[arg(
        long,
        value_name = "CONTEXT",
        env = "AMBIKIALI_CTX2",
        requires = "ctx1"
    )]
    pub ctx2: Option<String>,
}

#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Whether to make traffic from the sample app's curl pod
    #[arg(long, value_enum, default_value_t = Traffic::Sample)]
    pub traffic: Traffic,
}

#[derive(Args, Debug)]
pub struct Cleanup {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Only list what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// Remove also what was there before the install and is used by it
    #[arg(long)]
    pub adopted: bool,
    /// Where no operator runs, list and remove what it would have removed with its Kiali CR
    #[arg(long)]
    pub force_finalizers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Traffic {
    /// From Deployment curl in namespace sample to helloworld, as in the guide
    Sample,
    /// None: the metrics stay unproven
    None,
}

#[derive(Args, Debug)]
pub struct Dashboard {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Local port; a free one when it is taken
    #[arg(long, default_value_t = 20001)]
    pub port: u16,
    /// Only print the URL
    #[arg(long)]
    pub no_open: bool,
}

/// Istio's own namespace has objects of the same names.
fn namespace(text: &str) -> Result<String, String> {
    match text {
        "istio-system" => {
            Err("istio-system is Istio's own, with a Prometheus of the same name".into())
        }
        _ if is_dns_label(text) => Ok(text.into()),
        _ => Err(format!(
            "\"{text}\" is not the name of a namespace (lower-case letters, digits and '-')"
        )),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("\"{text}\" is not a time like 90s, 10m or 1h");
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_namespace_is_a_label_and_not_istios() {
        assert_eq!(namespace("kiali"), Ok("kiali".into()));
        for bad in [
            "",
            "Kiali",
            "a.b",
            "-a",
            "a-",
            "istio-system",
            &"x".repeat(64),
        ] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_a_unit_and_an_end() {
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
