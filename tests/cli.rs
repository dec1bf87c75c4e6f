//! What is refused before any cluster is asked.
