//! What an install is given, and its plan with it.

use clap::Args;

use super::{BEHAVIOR, Fleet, Images, values};
use crate::code::Code;

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
    pub images: Images,
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
    pub images: Images,
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
            images: plan.images,
            dry_run: true,
            exit_code: plan.exit_code,
        }
    }
}
