//! `install` in a broken environment: it reports what is wrong and where, and continues after the fix.

mod api_server;
mod clock;
mod federation;
mod given_up;
mod kiali;
mod load_balancer;
mod memory;
pub mod refused;
mod rights;
mod scraped;
mod stale;
mod token;
