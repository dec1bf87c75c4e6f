//! Kubeconfigs from a table, each given to kubectl and to the binary: the same class of outcome.
