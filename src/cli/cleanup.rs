//! What `cleanup` may remove beyond what install made, and what it may leave.

use clap::Args;

use super::{BEHAVIOR, Clusters};

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
