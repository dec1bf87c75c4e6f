//! An install under the rules of a cluster: served kinds, policies and webhooks, terminating namespaces, quotas, and
//! the user's rights. Rows 24 to 34 of docs/faults.md.

mod admission;
mod kinds;
mod mutation;
mod namespaces;
mod pods;
pub mod rights;
