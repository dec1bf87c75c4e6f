//! Kubeconfigs of people, read as kubectl reads them.
