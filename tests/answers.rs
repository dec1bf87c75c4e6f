//! What an API server, or what stands before it, does wrong to single requests: rows 4 to 11 and 16
//! to 19 of docs/faults.md. Every test begins with its row and has both clusters behind a proxy.

pub mod behind;
mod reads;
mod unavailable;

mod watches;
mod writes;
