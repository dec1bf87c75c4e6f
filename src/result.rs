//! The result of a command: a typed value that determines its exit code, text and document. docs/schema publishes the
//! documents, and a test compares each schema with the types here.

mod bundle;
mod check;
mod cleanup;
mod doctor;
mod estimate;
mod event;
mod failure;
mod fleet;
mod install;
mod program;
mod rotate;
mod status;
#[cfg(test)]
mod tests;
mod verify;
mod version;
mod watch;

use serde::Serialize;

pub use self::bundle::{BundleResult, Written};
pub use self::check::{CheckResult, CodesResult, ExplainResult};
pub use self::cleanup::CleanupResult;
pub use self::doctor::{DoctorResult, Private, Unasked};
pub use self::estimate::{ClusterEstimate, EstimateResult, Fit, Limits, ProfileEstimate};
pub use self::event::Event;
pub use self::failure::{Failure, Unreachable};
pub use self::fleet::Cluster;
#[cfg(test)]
pub use self::fleet::Role;
pub use self::install::{Change, InstallResult, Installed, PlanResult};
pub use self::program::{
    CompletionsResult, DashboardResult, ImagesResult, ManResult, RenderResult,
};
pub use self::rotate::{Action, Certificate, RotateResult, Token};
pub use self::status::{State, StatusResult};
pub use self::verify::{Flow, FlowHop, Place, VerifyResult};
pub use self::version::{VersionResult, Versions};
pub use self::watch::{Changed, View};

use crate::problem::{self, Exit};

/// Changes if a field is removed or changes its meaning, but not for a new field.
const API_VERSION: &str = "ambikiali.dev/v1alpha1";
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

macro_rules! results {
    ($($name:ident($result:ident),)*) => {
        /// The results, one type for each kind of document.
        #[derive(Debug, Serialize)]
        #[serde(untagged)]
        pub enum CommandResult { $($name($result),)* }

        $(impl From<$result> for Ended {
            fn from(result: $result) -> Ended {
                Ended::Done(Box::new(CommandResult::$name(result)))
            }
        })*
    };
}

results! {
    Bundle(BundleResult),
    Check(CheckResult),
    Cleanup(CleanupResult),
    Codes(CodesResult),
    Completions(CompletionsResult),
    Dashboard(DashboardResult),
    Doctor(DoctorResult),
    Estimate(EstimateResult),
    Explain(ExplainResult),
    Images(ImagesResult),
    Install(InstallResult),
    Man(ManResult),
    Plan(PlanResult),
    Render(RenderResult),
    Rotate(RotateResult),
    Status(StatusResult),
    Verify(VerifyResult),
    Version(VersionResult),
}

impl CommandResult {
    /// The exit code of a failure; None for a success.
    pub fn exit(&self) -> Option<Exit> {
        match self {
            CommandResult::Check(result) => result.exit(),
            CommandResult::Cleanup(result) => result.exit(),
            CommandResult::Doctor(result) => result.exit(),
            CommandResult::Estimate(result) => result.exit(),
            CommandResult::Install(result) => result.exit(),
            CommandResult::Plan(result) => result.exit(),
            CommandResult::Rotate(result) => result.exit(),
            CommandResult::Status(result) => result.exit(),
            CommandResult::Verify(result) => result.exit(),
            CommandResult::Version(result) => result.exit(),
            CommandResult::Bundle(_)
            | CommandResult::Codes(_)
            | CommandResult::Completions(_)
            | CommandResult::Dashboard(_)
            | CommandResult::Explain(_)
            | CommandResult::Images(_)
            | CommandResult::Man(_)
            | CommandResult::Render(_) => None,
        }
    }
}

/// How a command ended.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Ended {
    Done(Box<CommandResult>),
    /// The command failed without a result.
    Failed {
        errors: Vec<Failure>,
        #[serde(skip)]
        exit: Exit,
    },
    /// A signal ended the command, after a summary was printed.
    Interrupted {
        #[serde(skip)]
        code: u8,
    },
}

impl Ended {
    /// The first error with a specific exit code determines it.
    pub fn failed(errors: &[anyhow::Error]) -> Ended {
        let exit = errors.iter().find_map(problem::find).map(|p| p.exit);
        Ended::Failed {
            errors: errors.iter().map(Failure::of).collect(),
            exit: exit.unwrap_or(Exit::Unexpected),
        }
    }

    /// The exit code of the program.
    pub fn code(&self) -> u8 {
        match self {
            Ended::Done(result) => result.exit().map_or(0, |exit| exit as u8),
            Ended::Failed { exit, .. } => *exit as u8,
            Ended::Interrupted { code } => *code,
        }
    }

    pub fn document(&self, kind: &'static str) -> Document<'_> {
        let outcome = match self {
            Ended::Done(result) => match result.exit() {
                None => Outcome::Succeeded,
                Some(Exit::Changes) => Outcome::Changes,
                Some(_) => Outcome::Failed,
            },
            Ended::Failed { .. } => Outcome::Failed,
            Ended::Interrupted { .. } => Outcome::Interrupted,
        };
        Document {
            api_version: API_VERSION,
            kind,
            outcome,
            exit_code: self.code(),
            ended: self,
        }
    }
}

/// What `-o json` and `-o yaml` print, and `-o jsonl` as its last line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    outcome: Outcome,
    exit_code: u8,
    #[serde(flatten)]
    ended: &'a Ended,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Succeeded,
    Failed,
    Changes,
    Interrupted,
}
