//! The arguments of each command. The doc comments are the help text.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, Args, ValueEnum};

use super::options::TokenLifetime;
use super::{BEHAVIOR, Clusters, Fleet, LoginFiles, OUTPUT, Options, values};
use crate::code::Code;
use crate::{age, guide, report};

#[derive(Args, Debug)]
#[command(mut_args(unless_listed))]
pub struct Check {
    #[command(flatten)]
    pub fleet: Option<Fleet>,
    /// Treat warnings as errors
    #[arg(long, help_heading = BEHAVIOR)]
    pub strict: bool,
    /// Show this finding but do not fail because of it (repeatable)
    #[arg(long, help_heading = BEHAVIOR, value_name = "CODE", value_delimiter = ',', value_parser = values::skippable)]
    pub skip_check: Vec<Code>,
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub login: LoginFiles,
    /// List every finding that check can report; contacts no cluster
    #[arg(long, help_heading = BEHAVIOR)]
    pub list: bool,
}

/// With --list, no clusters are required.
fn unless_listed(argument: Arg) -> Arg {
    match argument.get_id().as_str() {
        "ctx1" | "ctx2" => argument.required(false).required_unless_present("list"),
        _ => argument,
    }
}

#[derive(Args, Debug)]
pub struct Install {
    #[command(flatten)]
    pub fleet: Fleet,
    /// Take over fields that another tool manages; without this flag, a conflict stops the install
    #[arg(long, help_heading = BEHAVIOR)]
    pub force_conflicts: bool,
    /// Leave out remotes that fail and exit with 6; the next install adds them
    #[arg(long, help_heading = BEHAVIOR, conflicts_with = "dry_run")]
    pub keep_going: bool,
    /// Continue despite this finding of the check (repeatable)
    #[arg(long, help_heading = BEHAVIOR, value_name = "CODE", value_delimiter = ',', value_parser = values::skippable)]
    pub skip_check: Vec<Code>,
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub login: LoginFiles,
    /// Show what would be changed, like plan; writes nothing
    #[arg(long, help_heading = BEHAVIOR)]
    pub dry_run: bool,
    /// With --dry-run, exit with 10 if anything would be written
    #[arg(long, help_heading = BEHAVIOR, requires = "dry_run")]
    pub exit_code: bool,
}

#[derive(Args, Debug)]
pub struct Plan {
    #[command(flatten)]
    pub fleet: Fleet,
    /// Plan an install with --force-conflicts
    #[arg(long, help_heading = BEHAVIOR)]
    pub force_conflicts: bool,
    /// Plan an install with --skip-check (repeatable)
    #[arg(long, help_heading = BEHAVIOR, value_name = "CODE", value_delimiter = ',', value_parser = values::skippable)]
    pub skip_check: Vec<Code>,
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub login: LoginFiles,
    /// Exit with 10 if anything would be written
    #[arg(long, help_heading = BEHAVIOR)]
    pub exit_code: bool,
}

impl From<Plan> for Install {
    fn from(plan: Plan) -> Install {
        Install {
            fleet: plan.fleet,
            force_conflicts: plan.force_conflicts,
            keep_going: false,
            skip_check: plan.skip_check,
            options: plan.options,
            login: plan.login,
            dry_run: true,
            exit_code: plan.exit_code,
        }
    }
}

#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    pub clusters: Clusters,
    /// What sends requests, which are followed from ztunnel to Kiali's graph
    #[arg(long, help_heading = BEHAVIOR, value_enum, default_value_t = Probes::Sample)]
    pub probes: Probes,
    /// Which flows between the clusters are followed
    #[arg(long, help_heading = BEHAVIOR, value_enum, default_value_t = Pairs::Home)]
    pub pairs: Pairs,
    /// Verify again every so many seconds and print what changes, until Ctrl-C [default: 60]
    #[arg(long, help_heading = BEHAVIOR, value_name = "SECS", num_args = 0..=1, default_missing_value = "60", value_parser = values::seconds)]
    pub watch: Option<Duration>,
    /// Write a report to a file that ends with .html, .svg, .json or .md (repeatable)
    #[arg(long, help_heading = OUTPUT, value_name = "FILE", value_parser = values::report())]
    report: Vec<report::File>,
    /// Write a JUnit report for CI to a file
    #[arg(long, help_heading = OUTPUT, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Verify {
    /// The reports to write.
    pub fn reports(&self) -> Vec<report::File> {
        let junit = self.junit.as_deref().map(report::File::junit);
        self.report.iter().cloned().chain(junit).collect()
    }
}

#[derive(Args, Debug)]
pub struct Status {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Look again every so many seconds and print what changes, until Ctrl-C [default: 60]
    #[arg(long, help_heading = BEHAVIOR, value_name = "SECS", num_args = 0..=1, default_missing_value = "60", value_parser = values::seconds)]
    pub watch: Option<Duration>,
    /// Exit with 5 as soon as a component is not ready or was changed
    #[arg(long, help_heading = BEHAVIOR)]
    pub exit_on_drift: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Probes {
    /// The sample if every cluster has it, else own
    Auto,
    /// Deployment curl in namespace sample of each cluster, to helloworld, as in the guide; writes nothing
    Sample,
    /// A server and a client in namespace ambikiali-probes of each cluster, which are removed at the end
    Own,
    /// Nothing; the flows stay unproven
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pairs {
    /// From and to home, and within home
    Home,
    /// From each cluster to each, and within each
    All,
}

#[derive(Args, Debug)]
pub struct Doctor {
    #[command(flatten)]
    pub clusters: Clusters,
    /// How far back to look for traffic, as the duration in Kiali's graph
    #[arg(long, help_heading = BEHAVIOR, value_name = "TIME", default_value = "5m", value_parser = values::duration)]
    pub since: Duration,
    /// Only traffic to Services of this namespace [default: all namespaces]
    #[arg(long, help_heading = BEHAVIOR, value_name = "NAME", value_parser = values::label)]
    pub traffic_namespace: Option<String>,
    /// Only traffic to Services of this name
    #[arg(long, help_heading = BEHAVIOR, value_name = "NAME", value_parser = values::label)]
    pub service: Option<String>,
}

#[derive(Args, Debug)]
pub struct Bundle {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Take events and logs of this time, such as 30m, 6h or 2d
    #[arg(long, help_heading = BEHAVIOR, value_name = "TIME", default_value = "1h", value_parser = age::parse)]
    pub since: Duration,
    /// File to write; it must not exist [default: ambikiali-bundle-YYYYMMDD-HHMMSS.tar.gz]
    #[arg(long, help_heading = BEHAVIOR, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// List the files with their sizes; write nothing
    #[arg(long, help_heading = BEHAVIOR)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
pub struct Rotate {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Also replace the certificates of the Gateways and of the federating Prometheus, without a scrape that fails
    #[arg(long, help_heading = BEHAVIOR)]
    pub certificates: bool,
    /// Replace only what is at least this old, such as 30d or 12h, and tokens that end soon
    #[arg(long, help_heading = BEHAVIOR, value_name = "AGE", value_parser = age::parse)]
    pub if_older: Option<Duration>,
    /// Show what would be replaced; replace nothing
    #[arg(long, help_heading = BEHAVIOR)]
    pub dry_run: bool,
    #[command(flatten)]
    pub token: TokenLifetime,
}

#[derive(Args, Debug)]
pub struct Cleanup {
    #[command(flatten)]
    pub clusters: Clusters,
    /// List what would be removed; remove nothing
    #[arg(long, help_heading = BEHAVIOR)]
    pub dry_run: bool,
    /// Also remove objects that existed before the install and are used by it
    #[arg(long, help_heading = BEHAVIOR)]
    pub adopted: bool,
    /// Also remove the claim with the history of the federating Prometheus, which is otherwise kept with its namespace
    #[arg(long, help_heading = BEHAVIOR, conflicts_with = "only")]
    pub delete_data: bool,
    /// If no Kiali operator runs, list and remove what it would have removed with its Kiali CR
    #[arg(long, help_heading = BEHAVIOR)]
    pub force_finalizers: bool,
    /// Remove only the remotes given here; keep home and the other remotes
    #[arg(long, help_heading = BEHAVIOR, requires = "ctx2")]
    pub only: bool,
    /// Skip unreachable remotes; list what is left in them
    #[arg(long, help_heading = BEHAVIOR)]
    pub forget: bool,
}

#[derive(Args, Debug)]
pub struct Version {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Show only the version of ambikiali; contacts no cluster
    #[arg(long, help_heading = BEHAVIOR)]
    pub client: bool,
}

#[derive(Args, Debug)]
pub struct Explain {
    /// Code of the finding, such as AK1103
    pub code: Code,
}

#[derive(Args, Debug)]
pub struct Dashboard {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Local port; if it is in use, a free one is chosen
    #[arg(long, help_heading = BEHAVIOR, default_value_t = 20001)]
    pub port: u16,
    /// Print the URLs without opening a browser
    #[arg(long, help_heading = BEHAVIOR)]
    pub no_open: bool,
    /// Open the traffic graph of this namespace, that of the guide's sample by default
    #[arg(
        long, help_heading = BEHAVIOR, value_name = "NAMESPACE", num_args = 0..=1, default_missing_value = guide::SAMPLE,
        value_parser = values::label,
    )]
    pub graph: Option<String>,
}
