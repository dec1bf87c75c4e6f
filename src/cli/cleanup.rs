//! What `cleanup` may remove beyond what install made, and what it may leave.

use clap::Args;

use super::Clusters;

#[derive(Args, Debug)]
pub struct Cleanup {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Only list what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// Remove also what was there before the install and is used by it
    #[arg(long)]
    pub adopted: bool,
    /// Where no operator runs, list and remove what it would have removed with its Kiali CR
    #[arg(long)]
    pub force_finalizers: bool,
    /// Only the remotes that are named here: home and the others go on without them
    #[arg(long, requires = "ctx2")]
    pub only: bool,
    /// Do without remotes that do not answer; what is in those is listed and stays
    #[arg(long)]
    pub forget: bool,
}
