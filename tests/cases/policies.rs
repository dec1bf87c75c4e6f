//! Policies of the mesh that would block the metrics are told.
