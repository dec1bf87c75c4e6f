//! What an API server, or what stands before it, does wrong to single requests, and interrupts of
//! them: rows 1 to 19 and 43 of docs/faults.md. Every test begins with its row and, but for rows 14
//! and 15, has both clusters behind a proxy.

pub mod behind;
mod busy;
mod credentials;
mod interrupts;
mod reads;
mod unavailable;
mod watches;
mod writes;
