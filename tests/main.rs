//! What the tool promises, through its binary, on real control planes.

mod always;
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
mod verify;
