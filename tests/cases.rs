//! Inputs that operators have in practice, and the right result for each.

mod addresses;
mod as_kubectl;
mod files;
mod gateways;
mod kubeconfigs;
pub mod names;
mod plugins;
mod pods;
mod policies;
mod revisions;
