//! The dashboard's local port answers the local browser only.
