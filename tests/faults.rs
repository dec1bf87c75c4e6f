//! `install` where something is in its way: it says what and where, and goes on when it is mended.

mod api_server;
mod clock;
mod federation;
mod kiali;
mod load_balancer;
mod memory;
pub mod refused;
mod rights;
mod scraped;
mod stale;
mod token;
