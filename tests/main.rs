//! What the tool promises, through its binary, on real control planes.

mod answers;
mod cleanup;
mod cli;
mod install;
mod parity;
mod support;
