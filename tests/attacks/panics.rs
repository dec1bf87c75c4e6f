//! No input makes a panic.
