//! What the rules of a cluster do to an install: kinds it serves, policies and webhooks that judge each
//! write, namespaces that go, quotas, and what the user may do. Rows 24 to 34 of docs/faults.md.

mod admission;
mod kinds;
mod mutation;
mod namespaces;
mod pods;
mod rights;
