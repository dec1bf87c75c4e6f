//! Whatever happens at whatever moment: nothing is lost, nothing foreign is touched, and the same
//! command again finishes the job. The other tests choose their moments; these go through all of them.
//! They take longest, and a test runner goes by the alphabet: first is best.

mod foreign;
mod kill;
mod named;
mod point;
mod random;
mod seeds;
mod writes;
