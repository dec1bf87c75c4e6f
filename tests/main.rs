//! Tests of the binary on real control planes.

mod always;
mod answers;
mod attacks;
mod cases;
mod check;
mod cleanup;
mod cli;
mod dashboard;
mod exposure;
mod faults;
mod fleet;
mod install;
mod layout;
mod options;
mod output;
mod own_clusters;
mod parity;
mod plan;
mod readmes;
mod record;
mod render;
mod rules;
mod status;
mod support;
mod verify;
mod view_only;
