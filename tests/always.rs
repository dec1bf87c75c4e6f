//! At any moment of an install or a cleanup, nothing is lost, no foreign object is touched, and repeating the command
//! finishes the job. Other tests pick single moments; these sweep through all of them. They take longest, so their name
//! sorts first: the test runner starts tests in alphabetical order.

mod foreign;
mod kill;
mod named;
mod point;
mod probes;
mod random;
mod rotation;
mod seeds;
mod writes;
