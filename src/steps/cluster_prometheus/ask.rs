//! Asks the user's store from home: with promtool, which the image of Prometheus has, in the pod of home's own Prometheus.
//! That pod reaches what Kiali's pod reaches, and has the credentials and the CA as files, so neither leaves the cluster.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{CONTAINER, PODS};
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::{Scope, pods};
use crate::prometheus::Sample;
use crate::store::Store;
use crate::visible;

const ANSWER: Duration = Duration::from_secs(15);

/// The result of an instant query. `home` must have a Prometheus of ours.
pub async fn store(home: &Scope<'_>, store: &Store, query: &str) -> Result<Vec<Sample>> {
    let pod = pods::ready(home, ISTIO_NAMESPACE, PODS).await?;
    let pod = pod.context("no pod of home's Prometheus is ready")?;
    let file = format!("--http.config.file={}", Store::client_file());
    // Neither the URL nor a query begins with a dash, so neither is taken for an option.
    let command = [
        "promtool", "query", "instant", &file, "-o", "json", &store.url, query,
    ];
    let output = pods::exec(home, ISTIO_NAMESPACE, &pod, CONTAINER, &command, ANSWER).await?;
    if !output.success {
        let said = output.stderr.trim();
        bail!("{}", visible::short(cause(said), visible::SAID));
    }
    read(&output.stdout)
}

fn read(answer: &str) -> Result<Vec<Sample>> {
    serde_json::from_str(answer).context("promtool does not answer as expected")
}

/// The error, which promtool prints last.
fn cause(stderr: &str) -> &str {
    let last = stderr.lines().next_back().unwrap_or_default();
    match last.strip_prefix("query error: ").unwrap_or(last) {
        "" => "promtool did not run",
        cause => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_promtool_prints_is_read_or_refused() {
        let text = r#"[{"metric":{"cluster":"cluster1"},"value":[1796031526.1,"8.5"]}]"#;
        let read_ = read(text).unwrap();
        assert_eq!(read_[0].metric["cluster"], "cluster1");
        assert_eq!(read_[0].value(), Some(8.5));
        assert_eq!(cause("query error: client error: 401"), "client error: 401");
        assert_eq!(cause(""), "promtool did not run");
        crate::fuzz::fuzz("promtool's output", &[text, "[]"], |input| {
            let text = String::from_utf8_lossy(input);
            if let Ok(all) = read(&text) {
                assert!(all.iter().filter_map(Sample::value).all(f64::is_finite));
            }
            cause(&text);
        });
    }
}
