//! Faults of an API server, or of a proxy in front of it, on single requests, and interrupts: rows 1 to 19 and 43 of
//! docs/faults.md. The name of each test starts with its row. Except for rows 14 and 15, both clusters are behind a
//! proxy.

pub mod behind;
mod busy;
mod credentials;
mod interrupts;
mod reads;
mod unavailable;
mod watches;
mod writes;
