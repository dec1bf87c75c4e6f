//! A record is a ConfigMap that others may write: it never chooses what is deleted or run.
