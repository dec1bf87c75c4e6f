//! What an install is given, and its plan with it.

use clap::Args;

use super::{Fleet, Images, values};
use crate::code::Code;

#[derive(Args, Debug)]
pub struct Install {
    #[command(flatten)]
    pub fleet: Fleet,
    /// Take fields that another tool manages; without it a conflict stops the install
    #[arg(long)]
    pub force_conflicts: bool,
    /// Do without remotes that fail, and exit with 6; the next install adds them
    #[arg(long, conflicts_with = "dry_run")]
    pub keep_going: bool,
    /// Go on in spite of a finding of the check (repeatable)
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = values::skippable)]
    pub skip_check: Vec<Code>,
    #[command(flatten)]
    pub images: Images,
    /// Only show what would be written, as plan does
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: exit code 10 when anything would be written
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,
}

#[derive(Args, Debug)]
pub struct Plan {
    #[command(flatten)]
    pub fleet: Fleet,
    /// As if install took fields that another tool manages
    #[arg(long)]
    pub force_conflicts: bool,
    /// As if install went on in spite of a finding of the check (repeatable)
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = values::skippable)]
    pub skip_check: Vec<Code>,
    #[command(flatten)]
    pub images: Images,
    /// Exit code 10 when anything would be written
    #[arg(long)]
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
