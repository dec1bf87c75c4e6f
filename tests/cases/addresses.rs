//! Addresses that a user names for a remote's API server.
