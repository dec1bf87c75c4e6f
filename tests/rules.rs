//! What the rules of a cluster do to an install: policies and webhooks that judge each write, schemas,
//! namespaces that go, quotas, and what the user may do. Rows 24 to 34 of docs/faults.md.

mod admission;
mod namespaces;
