//! The command line. The doc comments are the help text. Nothing outside of this module uses clap.

mod commands;
mod examples;
mod file;
mod fleet;
mod images;
mod options;
mod render;
mod scripts;
mod store;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use commands::{
    Bundle, Check, Cleanup, Dashboard, Doctor, Explain, Install, Pairs, Plan, Probes, Rotate,
    Status, Verify, Version,
};
pub use file::{FleetFile, read};
pub use fleet::{ClusterFlags, Clusters, Fleet, Remote, Remotes};
pub use images::Images;
pub use options::{LoginFiles, Options};
pub use render::Render;
#[cfg(test)]
pub use scripts::Shell;
pub use scripts::{Completions, Man, complete, completions, man, parse};

/// Install, verify and remove one multi-cluster Kiali for Istio ambient clusters
///
/// Automates the guide "Kiali dashboard for ambient multi-network" for two or more clusters. It installs
/// a Prometheus in each cluster. On the home cluster it also installs a Prometheus that federates them
/// and a Kiali that shows them all.
#[derive(Debug, Parser)]
#[command(name = "ambikiali", version, max_term_width = 100, after_help = EXIT_CODES)]
#[command(disable_help_flag = true, disable_version_flag = true)]
#[command(arg(help_flag()), arg(version_flag()))]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    failure, or a component is not ready
  2    wrong usage
  3    refused before anything was written
  4    timeout
  5    a hop is broken or unproven, something drifted, or doctor found a likely cause
  6    partial: an install left out a remote, or a cleanup left objects behind
  8    a cluster is unreachable or rejects the credentials
  9    another tool manages an object or field to be written
  10   changes are pending (--exit-code)
  130  interrupted by Ctrl-C
  143  terminated by SIGTERM";

/// Like clap's own flag, but under the heading of the global options.
fn help_flag() -> Arg {
    Arg::new("help")
        .long("help")
        .short('h')
        .action(ArgAction::Help)
        .global(true)
        .help("Print help")
        .help_heading(GLOBAL)
        .display_order(BOTTOM)
}

fn version_flag() -> Arg {
    Arg::new("version")
        .long("version")
        .short('V')
        .action(ArgAction::Version)
        .help("Print version")
        .help_heading(GLOBAL)
        .display_order(BOTTOM)
}

/// Headings in the help.
const CLUSTERS: &str = "Clusters";
const INSTALLED: &str = "What to install";
const BEHAVIOR: &str = "Behavior";
const OUTPUT: &str = "Output";
const GLOBAL: &str = "Global options";
/// Sorts a flag below all others of its heading.
const BOTTOM: usize = 999;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check whether an install would succeed; writes nothing
    #[command(visible_alias = "preflight")]
    #[command(after_help = examples::CHECK)]
    Check(Check),
    /// Show what install would change; writes nothing
    #[command(visible_alias = "diff")]
    #[command(after_help = examples::PLAN)]
    Plan(Plan),
    /// Install, or resume an interrupted install; safe to run again
    #[command(after_help = examples::INSTALL)]
    Install(Install),
    /// Write the objects of an install to files for GitOps; contacts no cluster
    #[command(after_help = examples::RENDER)]
    Render(Render),
    /// Verify every hop, and each flow between the clusters from ztunnel to Kiali's graph
    #[command(after_help = examples::VERIFY)]
    Verify(Verify),
    /// Find out why Kiali's graph is empty or wrong; -o markdown prints an issue report
    #[command(after_help = examples::DOCTOR)]
    Doctor(Doctor),
    /// Show the status of each component
    #[command(after_help = examples::STATUS)]
    Status(Status),
    /// Estimate what the metrics of each cluster cost; writes nothing
    #[command(after_help = examples::ESTIMATE)]
    Estimate(Clusters),
    /// Collect results, objects, events and logs of all clusters in one archive, without secrets; changes nothing
    #[command(after_help = examples::BUNDLE)]
    Bundle(Bundle),
    /// Forward a local port to Kiali and open it in a browser
    #[command(after_help = examples::DASHBOARD)]
    Dashboard(Dashboard),
    /// Give Kiali a new token for each remote, and revoke the old one
    #[command(after_help = examples::ROTATE)]
    Rotate(Rotate),
    /// Remove everything that install created, and nothing else
    #[command(visible_alias = "uninstall")]
    #[command(after_help = examples::CLEANUP)]
    Cleanup(Cleanup),
    /// Explain a finding and how to fix it
    #[command(after_help = examples::EXPLAIN)]
    Explain(Explain),
    /// Show the version of ambikiali and what is installed in each cluster
    #[command(after_help = examples::VERSION)]
    Version(Version),
    /// List the images that install uses, with their pinned digests
    #[command(after_help = examples::IMAGES)]
    Images(Images),
    /// Generate the completion script for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(Completions),
    /// Generate man pages, one per command
    #[command(after_help = examples::MAN)]
    Man(Man),
}

impl Command {
    /// Kind of the result document.
    pub fn kind(&self) -> &'static str {
        match self {
            Command::Check(args) if args.list => "CodesResult",
            Command::Check(_) => "CheckResult",
            Command::Plan(_) => "PlanResult",
            Command::Install(args) if args.dry_run => "PlanResult",
            Command::Install(_) => "InstallResult",
            Command::Render(_) => "RenderResult",
            Command::Verify(_) => "VerifyResult",
            Command::Doctor(_) => "DoctorResult",
            Command::Status(_) => "StatusResult",
            Command::Bundle(_) => "BundleResult",
            Command::Dashboard(_) => "DashboardResult",
            Command::Estimate(_) => "EstimateResult",
            Command::Rotate(_) => "RotateResult",
            Command::Cleanup(_) => "CleanupResult",
            Command::Explain(_) => "ExplainResult",
            Command::Version(_) => "VersionResult",
            Command::Images(_) => "ImagesResult",
            Command::Completions(_) => "CompletionsResult",
            Command::Man(_) => "ManResult",
        }
    }

    /// The file given with --file.
    pub fn file(&self) -> Option<&Path> {
        let file = match self {
            Command::Check(check) => &check.fleet.as_ref()?.remotes.file,
            Command::Plan(plan) => &plan.fleet.remotes.file,
            Command::Install(install) => &install.fleet.remotes.file,
            Command::Verify(verify) => &verify.clusters.remotes.file,
            Command::Doctor(doctor) => &doctor.clusters.remotes.file,
            Command::Status(status) => &status.clusters.remotes.file,
            Command::Estimate(clusters) => &clusters.remotes.file,
            Command::Bundle(bundle) => &bundle.clusters.remotes.file,
            Command::Dashboard(dashboard) => &dashboard.clusters.remotes.file,
            Command::Rotate(rotate) => &rotate.clusters.remotes.file,
            Command::Cleanup(cleanup) => &cleanup.clusters.remotes.file,
            Command::Version(version) => &version.clusters.remotes.file,
            _ => return None,
        };
        file.as_deref()
    }

    /// Whether cleanup undoes this command.
    pub fn is_undone_by_cleanup(&self) -> bool {
        matches!(self, Command::Install(args) if !args.dry_run)
    }

    /// Whether this command changes clusters.
    pub fn writes(&self) -> bool {
        match self {
            Command::Install(args) => !args.dry_run,
            Command::Rotate(args) => !args.dry_run,
            Command::Cleanup(_) => true,
            Command::Verify(args) => matches!(args.probes, Probes::Auto | Probes::Own),
            _ => false,
        }
    }
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = GLOBAL)]
pub struct Global {
    /// Format of the result; jsonl prints progress events first, one per line
    #[arg(long, short, global = true, help_heading = OUTPUT, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Print no progress, only results, warnings and errors
    #[arg(long, short, global = true, help_heading = OUTPUT)]
    pub quiet: bool,
    /// Log each request to an API server: method, path, status and duration
    #[arg(long, short, global = true, help_heading = OUTPUT)]
    pub verbose: bool,
    /// Format of messages on stderr; json prints one object per line
    #[arg(long, global = true, help_heading = OUTPUT, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Print ASCII characters only
    #[arg(long, global = true, help_heading = OUTPUT)]
    pub ascii: bool,
    /// Kubeconfig file; repeat to merge several [default: $KUBECONFIG, or ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Vec<PathBuf>,
    /// Namespace for Kiali and the federating Prometheus
    #[arg(
        long,
        short,
        global = true,
        value_name = "NAME",
        default_value = "kiali",
        value_parser = values::namespace
    )]
    pub namespace: String,
    /// Whether the user gave --namespace.
    #[arg(skip)]
    pub namespace_typed: bool,
    /// The contents of --file.
    #[arg(skip)]
    pub written: Option<FleetFile>,
    /// Time limit for the whole command, such as 90s, 10m or 1h
    #[arg(long, global = true, value_name = "TIME", default_value = "10m", value_parser = values::duration)]
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
    Yaml,
    Jsonl,
    /// Only for doctor.
    #[value(hide = true)]
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_definition_is_valid() {
        Cli::command().debug_assert();
    }
}
