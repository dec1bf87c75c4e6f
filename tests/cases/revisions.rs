//! Istiods by revision, by tag, and in other namespaces.
