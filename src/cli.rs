//! What the user may type; the comments are the help text. Clap stops here.

mod check;
mod cleanup;
mod examples;
mod file;
mod fleet;
mod images;
mod install;
mod render;
mod scripts;
mod values;
mod verify;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use check::Check;
pub use cleanup::Cleanup;
pub use file::{Written, read};
pub use fleet::{Clusters, Fleet, Own, Remote, Remotes};
pub use images::Images;
pub use install::{Install, Plan};
pub use render::Render;
pub use scripts::{Completions, Man, complete, completions, man, parse};
pub use verify::{Traffic, Verify};

use crate::code::Code;

/// One verified, removable multi-cluster Kiali over Istio ambient clusters
///
/// Puts the guide "Kiali dashboard for ambient multi-network" into practice on two or more clusters:
/// a Prometheus in each, one that federates them, and a Kiali on the home cluster that sees all.
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
  1 failed, or not ready    6 something is left, or left out
  2 wrong usage             8 a cluster does not answer or refuses the credentials
  3 refused, nothing done   9 another tool manages what would be written
  4 a deadline passed      10 install would write (--exit-code)
                          130, 143 interrupted";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look for all that would keep an install from its end; nothing is written
    #[command(visible_alias = "preflight")]
    #[command(after_help = examples::CHECK)]
    Check(Check),
    /// Show what install would write, and write nothing
    #[command(visible_alias = "diff")]
    #[command(after_help = examples::PLAN)]
    Plan(Plan),
    /// Install, or go on with an install that was interrupted; a second run changes nothing
    #[command(after_help = examples::INSTALL)]
    Install(Install),
    /// Write the objects of an install to files for GitOps, without any cluster
    #[command(after_help = examples::RENDER)]
    Render(Render),
    /// Prove every hop: components, scrape targets, traffic in the metrics, Kiali's view
    #[command(after_help = examples::VERIFY)]
    Verify(Verify),
    /// Show each component and how it is
    #[command(after_help = examples::STATUS)]
    Status(Clusters),
    /// Forward a local port to Kiali and open it in the browser, until Ctrl-C
    #[command(after_help = examples::DASHBOARD)]
    Dashboard(Dashboard),
    /// Remove what install made, and nothing else
    #[command(visible_alias = "uninstall")]
    #[command(after_help = examples::CLEANUP)]
    Cleanup(Cleanup),
    /// Say what a finding means and how it is mended
    #[command(after_help = examples::EXPLAIN)]
    Explain(Explain),
    /// Show the version of this program and what is installed in each cluster
    #[command(after_help = examples::VERSION)]
    Version(Version),
    /// List every image that an install runs, with its digest if one is pinned
    #[command(after_help = examples::IMAGES)]
    Images(Images),
    /// Print the script that makes a shell complete commands, flags and contexts
    #[command(after_help = examples::COMPLETIONS)]
    Completions(Completions),
    /// Write man pages, one for each command
    #[command(after_help = examples::MAN)]
    Man(Man),
}

impl Command {
    /// Of the document with its result.
    pub fn kind(&self) -> &'static str {
        match self {
            Command::Check(args) if args.list => "CodesResult",
            Command::Check(_) => "CheckResult",
            Command::Plan(_) => "PlanResult",
            Command::Install(args) if args.dry_run => "PlanResult",
            Command::Install(_) => "InstallResult",
            Command::Render(_) => "RenderResult",
            Command::Verify(_) => "VerifyResult",
            Command::Status(_) => "StatusResult",
            Command::Dashboard(_) => "DashboardResult",
            Command::Cleanup(_) => "CleanupResult",
            Command::Explain(_) => "ExplainResult",
            Command::Version(_) => "VersionResult",
            Command::Images(_) => "ImagesResult",
            Command::Completions(_) => "CompletionsResult",
            Command::Man(_) => "ManResult",
        }
    }

    /// The one that names the clusters.
    pub fn file(&self) -> Option<&Path> {
        let file = match self {
            Command::Check(check) => &check.fleet.as_ref()?.remotes.file,
            Command::Plan(plan) => &plan.fleet.remotes.file,
            Command::Install(install) => &install.fleet.remotes.file,
            Command::Verify(verify) => &verify.clusters.remotes.file,
            Command::Status(clusters) => &clusters.remotes.file,
            Command::Dashboard(dashboard) => &dashboard.clusters.remotes.file,
            Command::Cleanup(cleanup) => &cleanup.clusters.remotes.file,
            Command::Version(version) => &version.clusters.remotes.file,
            _ => return None,
        };
        file.as_deref()
    }

    /// Whether another command undoes it.
    pub fn is_undone_by_cleanup(&self) -> bool {
        matches!(self, Command::Install(args) if !args.dry_run)
    }

    /// Whether it changes clusters.
    pub fn writes(&self) -> bool {
        match self {
            Command::Install(args) => !args.dry_run,
            Command::Cleanup(_) => true,
            _ => false,
        }
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
        value_parser = values::namespace
    )]
    pub namespace: String,
    /// Whether the user typed it.
    #[arg(skip)]
    pub namespace_typed: bool,
    /// Longest time for the whole command, like 90s, 10m or 1h
    #[arg(long, global = true, value_name = "TIME", default_value = "10m", value_parser = values::duration)]
    pub timeout: Duration,
    /// Result as text, as one document, or as events and then the document, one a line
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// No progress on stderr; results, warnings and errors stay
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Each request to an API server on stderr: method, path, status, time
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// What is said on stderr as text, or as one JSON object a line
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// No character beyond ASCII
    #[arg(long, global = true)]
    pub ascii: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
    Yaml,
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Args, Debug)]
pub struct Version {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Only this program's, without a cluster
    #[arg(long)]
    pub client: bool,
}

#[derive(Args, Debug)]
pub struct Explain {
    /// Code of the finding, like AK1103
    pub code: Code,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }
}
