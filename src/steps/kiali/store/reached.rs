//! Why Kiali does not reach the store, from its log: its API says only that it is connecting.

use super::{Seen, hint};
use crate::k8s::forward::Target;
use crate::k8s::{Scope, pods};
use crate::store::Store;
use crate::visible;

pub async fn not_reached(scope: &Scope<'_>, target: &Target, store: &Store, reason: &str) -> Seen {
    let log = pods::log(scope, &target.namespace, &target.pod).await;
    let cause = log
        .as_deref()
        .and_then(|log| log.lines().rev().find_map(cause));
    let hint = cause.map_or("", |cause| hint(cause, store));
    let said = [reason, cause.unwrap_or_default()].map(|said| visible::short(said, visible::SAID));
    let said = said.iter().filter(|said| !said.is_empty());
    let said = said.map(|said| format!(": {said}")).collect::<String>();
    Seen::Broken(format!("Kiali does not reach it{said}{hint}"))
}

/// The cause in a line of Kiali's log about the store.
fn cause(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("Prometheus unreachable at [")?;
    let (_, rest) = rest.split_once("] (status ")?;
    let (_, cause) = rest.split_once("): ")?;
    let cause = cause.split(". Retrying in").next()?;
    // Go's client begins with the URL, which the message has already.
    let cause = cause.split_once("\": ").map_or(cause, |(_, cause)| cause);
    (!cause.is_empty() && cause != "<nil>").then_some(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_why_kiali_does_not_reach_the_store() {
        let line = |cause: &str| {
            format!(
                "2026-11-30T09:38:49Z WRN Prometheus unreachable at [https://192.0.2.7/-/healthy] (status 0): {cause}. Retrying in 30s"
            )
        };
        let go = line(
            "Get \"https://192.0.2.7/-/healthy\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        );
        let x509 =
            "tls: failed to verify certificate: x509: certificate signed by unknown authority";
        assert_eq!(cause(&go), Some(x509));
        assert_eq!(cause(&line("<nil>")), None);
        assert_eq!(cause("2026-11-30T09:38:49Z INF Prometheus connected"), None);
        crate::fuzz::fuzz("Kiali's log", &[&go], |input| {
            cause(&String::from_utf8_lossy(input));
        });
    }
}
