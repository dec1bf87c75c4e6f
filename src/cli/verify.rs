//! What `verify` is given.

use clap::{Args, ValueEnum};

use super::{BEHAVIOR, Clusters};

#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    pub clusters: Clusters,
    /// Traffic to send before looking for it in the metrics
    #[arg(long, help_heading = BEHAVIOR, value_enum, default_value_t = Traffic::Sample)]
    pub traffic: Traffic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Traffic {
    /// Requests from Deployment curl to helloworld in namespace sample, as in the guide
    Sample,
    /// No traffic; the metrics stay unproven
    None,
}
