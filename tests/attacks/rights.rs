//! What an install grants is told before it is granted.
