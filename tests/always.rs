//! Whatever happens at any moment, nothing is lost, no foreign object is touched, and repeating the command
//! finishes the job. Other tests choose their moments; these sweep through all of them. They take longest, and the
//! test runner goes by the alphabet, so their name sorts first.

mod foreign;
mod kill;
mod named;
mod point;
mod random;
mod seeds;
mod writes;
