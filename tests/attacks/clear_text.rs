//! The remote's token never goes over a connection without TLS.
