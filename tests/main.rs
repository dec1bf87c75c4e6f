//! What the tool promises, through its binary, on real control planes.

mod answers;
mod cleanup;
mod cli;
mod dashboard;
mod faults;
mod install;
mod parity;
mod record;
mod rules;
mod status;
mod support;
mod sweep;
mod verify;
