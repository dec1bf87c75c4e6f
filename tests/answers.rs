//! What an API server, or what stands before it, does wrong to single requests: rows 1 to 19 of
//! docs/faults.md. Every test begins with its row and has both clusters behind a proxy.

pub mod behind;
mod busy;
mod credentials;
mod interrupts;
mod reads;
mod unavailable;
mod watches;
mod writes;
