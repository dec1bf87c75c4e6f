//! The HTTP API of the federating Prometheus, through a port-forward, for `install` and `verify`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::k8s::forward::{Connection, Target, get_json};
use crate::k8s::{Scope, pods};
use crate::visible;

/// Time limit of one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pod of the federating Prometheus.
pub struct Federation<'a> {
    home: &'a Scope<'a>,
    target: Target,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
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
    pub last_error: String,
    pub last_scrape: String,
    /// `up`, `down`, or `unknown` before the first scrape.
    #[serde(deserialize_with = "visible::said")]
    pub health: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    result_type: ResultType,
    result: Vec<Sample>,
}

/// The only result type of the queries here.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ResultType {
    Vector,
}

/// The current value of a series.
#[derive(Deserialize)]
pub struct Sample {
    pub metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Sample {
    /// None if a counter cannot have this value.
    pub fn count(&self) -> Option<f64> {
        let value = self.value.1.parse::<f64>().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    }
}

impl ActiveTarget {
    /// The URL that is scraped, without its query.
    pub fn url(&self) -> Cow<'_, str> {
        let url = self.scrape_url.split('?').next().unwrap_or_default();
        visible::short(url, visible::SAID)
    }

    /// The error of the last scrape, without the encoded address with which Go's client begins. It may quote the
    /// response, which somebody else wrote.
    pub fn error(&self) -> Cow<'_, str> {
        let why = self.last_error.split_once("\": ");
        let why = why.map_or(self.last_error.as_str(), |(_, cause)| cause);
        visible::short(why, visible::SAID)
    }
}

impl<'a> Federation<'a> {
    pub async fn find(home: &'a Scope<'a>) -> Result<Federation<'a>> {
        let pod = pods::ready(home, home.namespace, super::PODS).await?;
        let pod = pod.context("no pod of the federating Prometheus is ready")?;
        let target = Target {
            namespace: home.namespace.into(),
            pod,
            port: super::PORT,
        };
        Ok(Federation { home, target })
    }

    /// `patience` limits all queries together.
    pub async fn connect(&self, patience: Duration) -> Result<Connection> {
        Connection::open(self.home, &self.target, patience).await
    }

    pub async fn targets(&self) -> Result<Vec<ActiveTarget>> {
        targets(&mut self.connect(PATIENCE).await?).await
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
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", query)
            .finish();
        let path = format!("/api/v1/query?{query}");
        let answer: Answer<Vector> = get_json(self.home, &self.target, &path, PATIENCE).await?;
        let Vector {
            result_type: ResultType::Vector,
            result,
        } = answer.data;
        Ok(result)
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
    fn whatever_prometheus_answers_is_read_or_refused() {
        let samples = [
            r#"{"status": "success", "data": {"activeTargets": [{"discoveredLabels": {"job": "a"},
                "labels": {"cluster": "cluster1"}, "scrapePool": "federate-cluster1",
                "scrapeUrl": "http://10.0.0.1:9090/federate?match%5B%5D=x", "lastError": "",
                "lastScrape": "2026-01-01T00:00:00.123456789Z", "lastScrapeDuration": 0.01,
                "health": "up"}], "droppedTargets": []}}"#,
            r#"{"status": "success", "data": {"resultType": "vector", "result": [{"metric":
                {"cluster": "cluster1"}, "value": [1767225600.123, "1764"]}, {"metric": {},
                "value": [1767225600, "NaN"]}]}}"#,
            r#"{"status": "error", "errorType": "bad_data", "error": "invalid"}"#,
        ];
        crate::fuzz::fuzz("Prometheus' answers", &samples, |input| {
            let _ = serde_json::from_slice::<Answer<ActiveTargets>>(input);
            let _ = serde_json::from_slice::<Answer<Vector>>(input);
        });
    }
}
