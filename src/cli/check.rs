//! `check`, which needs clusters unless it only lists.

use clap::{Arg, Args};

use super::{Fleet, Images, values};
use crate::code::Code;

#[derive(Args, Debug)]
#[command(mut_args(unless_listed))]
pub struct Check {
    #[command(flatten)]
    pub fleet: Option<Fleet>,
    /// Warnings fail like errors
    #[arg(long)]
    pub strict: bool,
    /// Show a finding, but do not fail by it (repeatable)
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = values::skippable)]
    pub skip_check: Vec<Code>,
    #[command(flatten)]
    pub images: Images,
    /// Only name all that can be found, without a cluster
    #[arg(long)]
    pub list: bool,
}

/// A list needs no cluster.
fn unless_listed(argument: Arg) -> Arg {
    match argument.get_id().as_str() {
        "ctx1" | "ctx2" => argument.required(false).required_unless_present("list"),
        _ => argument,
    }
}
