//! Inputs of people who do this job, each as it came and what is right for it.

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
