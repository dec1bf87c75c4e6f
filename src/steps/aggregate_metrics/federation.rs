//! The HTTP API of the federating Prometheus, through a port-forward, for `install` and `verify`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::jiff::SignedDuration;
use serde::Deserialize;

use crate::k8s::forward::{Connection, Target};
use crate::k8s::{Scope, pods};
use crate::prometheus::{self, Answer, Sample};
use crate::visible;

/// Time limit of one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pod of the federating Prometheus.
pub struct Federation<'a> {
    home: &'a Scope<'a>,
    target: Target,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTargets {
    active_targets: Vec<ActiveTarget>,
}

/// One scrape target as Prometheus reports it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveTarget {
    pub scrape_pool: String,
    pub scrape_url: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    pub last_error: String,
    pub last_scrape: String,
    /// Seconds.
    #[serde(default)]
    last_scrape_duration: f64,
    /// As in "10s".
    #[serde(default)]
    scrape_timeout: String,
    /// `up`, `down`, or `unknown` before the first scrape.
    #[serde(deserialize_with = "visible::said")]
    pub health: String,
}

impl ActiveTarget {
    /// The URL that is scraped, without its query.
    pub fn url(&self) -> Cow<'_, str> {
        let url = self.scrape_url.split('?').next().unwrap_or_default();
        visible::short(url, visible::SAID)
    }

    /// The cluster that its series are from, unless they say so themselves.
    pub fn cluster(&self) -> Option<&str> {
        self.labels.get("cluster").map(String::as_str)
    }

    /// The error of the last scrape, without the encoded address with which Go's client begins. It may quote the
    /// response, which somebody else wrote.
    pub fn error(&self) -> Cow<'_, str> {
        let why = self.last_error.split_once("\": ");
        let why = why.map_or(self.last_error.as_str(), |(_, cause)| cause);
        visible::short(why, visible::SAID)
    }

    /// Whether the last scrape took more than half of its timeout, as in "takes 6.2 s of its timeout of 10s".
    pub fn slow(&self) -> Option<String> {
        let of_timeout = self.much_of_timeout(self.last_scrape_duration)?;
        Some(format!("takes {of_timeout}"))
    }

    /// As in "6.2 s of its timeout of 10 s", if these seconds are more than half of it.
    pub fn much_of_timeout(&self, seconds: f64) -> Option<String> {
        let taken = Duration::try_from_secs_f64(seconds).ok()?;
        let timeout = self.scrape_timeout.parse::<SignedDuration>().ok()?;
        let timeout = Duration::try_from(timeout).ok()?;
        let timeout_seconds = timeout.as_secs();
        (taken > timeout / 2)
            .then(|| format!("{seconds:.1} s of its timeout of {timeout_seconds} s"))
    }
}

impl<'a> Federation<'a> {
    pub async fn find(home: &'a Scope<'a>) -> Result<Federation<'a>> {
        let found = Federation::running(home).await?;
        found.context("no pod of the federating Prometheus is ready")
    }

    /// None if no pod of it is ready.
    pub async fn running(home: &'a Scope<'a>) -> Result<Option<Federation<'a>>> {
        let pod = pods::ready(home, home.namespace, super::PODS).await?;
        let target = |pod| Target {
            namespace: home.namespace.into(),
            pod,
            port: super::PORT,
        };
        Ok(pod.map(|pod| Federation {
            home,
            target: target(pod),
        }))
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// `patience` limits all queries together.
    pub async fn connect(&self, patience: Duration) -> Result<Connection> {
        Connection::open(self.home, &self.target, patience).await
    }

    pub async fn targets(&self) -> Result<Vec<ActiveTarget>> {
        targets(&mut self.once().await?).await
    }

    /// An instant query with one number for each cluster.
    pub async fn by_cluster(&self, query: &str) -> Result<BTreeMap<String, f64>> {
        let number = |mut sample: Sample| {
            let count = sample.count()?;
            Some((sample.metric.remove("cluster")?, count))
        };
        let samples = self.samples(query).await?;
        Ok(samples.into_iter().filter_map(number).collect())
    }

    /// The result of an instant query.
    pub async fn samples(&self, query: &str) -> Result<Vec<Sample>> {
        prometheus::query(&mut self.once().await?, query).await
    }

    async fn once(&self) -> Result<Connection> {
        Connection::once(self.home, &self.target, PATIENCE).await
    }
}

/// The scrape targets, over a connection to the API.
pub async fn targets(connection: &mut Connection) -> Result<Vec<ActiveTarget>> {
    let answer: Answer<ActiveTargets> = connection.get("/api/v1/targets?state=active").await?;
    Ok(answer.data.active_targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_tells_no_more_than_fits_into_a_line() {
        let long = "x".repeat(1 << 20);
        let target: ActiveTarget = serde_json::from_value(serde_json::json!({
            "scrapePool": "federate-cluster1", "lastScrape": "", "health": long,
            "scrapeUrl": format!("http://{long}/federate?match%5B%5D={long}"),
            "lastError": format!("Get \"http://10.0.0.1/federate?{long}\": is no {long}"),
        }))
        .unwrap();
        assert!(target.url().starts_with("http://xxx"));
        assert!(target.error().starts_with("is no xxx"));
        for told in [target.url(), target.error(), target.health.as_str().into()] {
            assert_eq!(told.chars().count(), visible::SAID + 1);
            assert!(told.ends_with('…'));
        }
    }

    #[test]
    fn a_scrape_is_slow_from_half_of_its_timeout() {
        let slow = |taken: f64, timeout: &str| {
            let target: ActiveTarget = serde_json::from_value(serde_json::json!({
                "scrapePool": "federate-cluster1", "scrapeUrl": "", "lastError": "", "lastScrape": "",
                "lastScrapeDuration": taken, "scrapeTimeout": timeout, "health": "up",
            }))
            .unwrap();
            target.slow()
        };
        assert_eq!(slow(5.0, "10s"), None);
        assert_eq!(
            slow(45.25, "1m12s").unwrap(),
            "takes 45.2 s of its timeout of 72 s"
        );
        for (taken, timeout) in [
            (-1.0, "10s"),
            (f64::MAX, "10s"),
            (9.0, "-10s"),
            (9.0, ""),
            (9.0, "ten"),
        ] {
            assert_eq!(slow(taken, timeout), None, "{taken} {timeout}");
        }
    }

    #[test]
    fn whatever_prometheus_answers_is_read_or_refused() {
        let samples = [
            r#"{"status": "success", "data": {"activeTargets": [{"discoveredLabels": {"job": "a"},
                "labels": {"cluster": "cluster1"}, "scrapePool": "federate-cluster1",
                "scrapeUrl": "http://10.0.0.1:9090/federate?match%5B%5D=x", "lastError": "",
                "lastScrape": "2026-01-01T00:00:00.123456789Z", "lastScrapeDuration": 0.01,
                "health": "up"}], "droppedTargets": []}}"#,
            r#"{"status": "error", "errorType": "bad_data", "error": "invalid"}"#,
        ];
        crate::fuzz::fuzz("Prometheus' targets", &samples, |input| {
            let _ = serde_json::from_slice::<Answer<ActiveTargets>>(input);
        });
    }
}
