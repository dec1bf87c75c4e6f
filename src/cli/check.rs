//! `check`, which needs clusters unless it only lists.

use clap::{Arg, Args};

use super::{BEHAVIOR, Fleet, Images, values};
use crate::code::Code;

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
    pub images: Images,
    /// List every finding that check can report; contacts no cluster
    #[arg(long, help_heading = BEHAVIOR)]
    pub list: bool,
}

/// A list needs no cluster.
fn unless_listed(argument: Arg) -> Arg {
    match argument.get_id().as_str() {
        "ctx1" | "ctx2" => argument.required(false).required_unless_present("list"),
        _ => argument,
    }
}
