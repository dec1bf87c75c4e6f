//! Control characters from clusters are shown, and never obeyed by a terminal.
