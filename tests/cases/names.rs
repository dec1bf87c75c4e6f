//! Cluster-wide names that belong to others, and clusters whose names are no DNS labels.
