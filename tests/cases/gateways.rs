//! Gateways whose address means nothing on home.
