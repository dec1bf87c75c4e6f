//! What a Prometheus answers, follows and may cost is bounded.
