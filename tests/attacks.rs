//! The attacks of SECURITY.md and their outcomes.

mod additions;
mod admission;
mod clear_text;
mod envoy;
mod escapes;
mod forged_record;
mod huge;
mod links;
mod metrics;
mod namespace;
mod panics;
mod passwords;
mod rebinding;
mod rights;
mod secret_kubeconfig;
mod small;
mod stopped;
mod watches;
