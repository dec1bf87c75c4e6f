//! Prints the result of a command as text or as a document. The result has its exit code already: nothing is decided
//! here.

use super::{aside, check, cleanup, estimate, plan, report, rotate, verify, version};
use crate::out;
use crate::result::{CommandResult, Ended};

/// Prints the result.
pub fn conclude(ended: &Ended, kind: &'static str) {
    match ended {
        Ended::Done(result) => print(result),
        Ended::Failed { errors, .. } => errors.iter().for_each(aside::error),
        Ended::Interrupted { .. } => {}
    }
    out::document(&ended.document(kind));
}

fn print(result: &CommandResult) {
    match result {
        CommandResult::Check(result) => check::checked(result),
        CommandResult::Cleanup(result) => cleanup::cleaned(result),
        CommandResult::Codes(result) => check::codes(result),
        CommandResult::Completions(result) => version::script(&result.script),
        CommandResult::Estimate(result) => estimate::estimated(result),
        CommandResult::Explain(result) => check::explained(result),
        CommandResult::Images(result) => version::images(result),
        CommandResult::Install(result) => report::installed(result),
        CommandResult::Plan(result) => plan::planned(result),
        CommandResult::Render(result) => report::rendered(&result.files),
        CommandResult::Rotate(result) => rotate::rotated(result),
        CommandResult::Status(result) => report::statuses(result),
        CommandResult::Verify(result) => verify::verified(result),
        CommandResult::Version(result) => version::versions(result),
        CommandResult::Dashboard(_) | CommandResult::Man(_) => {}
    }
}
