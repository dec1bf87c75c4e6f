//! What `verify` is given.

use clap::{Args, ValueEnum};

use super::Clusters;

#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Whether to make traffic from the sample app's curl pod
    #[arg(long, value_enum, default_value_t = Traffic::Sample)]
    pub traffic: Traffic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Traffic {
    /// From Deployment curl in namespace sample to helloworld, as in the guide
    Sample,
    /// None: the metrics stay unproven
    None,
}
