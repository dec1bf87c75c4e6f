//! What the tool promises, through its binary, on real control planes.

mod cleanup;
mod cli;
mod faults;
mod install;
mod parity;
mod support;
