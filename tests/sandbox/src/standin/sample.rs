//! The sample apps.

/// Who talked to whom, over all clusters of the sandbox.
#[derive(Clone, Default)]
pub struct Traffic {}
