//! What the tool promises, through its binary, on real control planes.

mod cleanup;
mod cli;
mod dashboard;
mod install;
mod status;
mod support;
mod verify;
