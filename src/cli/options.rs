//! Flags that an install remembers.

use clap::Args;

use super::{INSTALLED, Images};
use crate::options::{ALLOW_WRITE, Asked, DEFAULT, ON};

#[derive(Args, Debug)]
#[command(next_help_heading = INSTALLED)]
pub struct Options {
    #[command(flatten)]
    images: Images,
    /// Let Kiali change workloads and Istio's configuration in every cluster, for anyone who can reach it, as in the
    /// guide; "--allow-write=false" makes it view-only again
    #[arg(
        long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        hide_possible_values = true,
    )]
    allow_write: Option<bool>,
}

impl Options {
    /// The flags as options by name.
    pub fn asked(self) -> Asked {
        let mut asked = self.images.asked();
        asked.extend(self.allow_write.map(|allow| {
            let value = if allow { ON } else { DEFAULT };
            (ALLOW_WRITE.to_string(), value.to_string())
        }));
        asked
    }
}
