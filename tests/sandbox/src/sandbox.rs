//! A set of clusters with their mesh and stand-ins, started together and gone together.

/// A running set of clusters.
pub struct Sandbox {}
