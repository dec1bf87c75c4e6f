//! The HTTP API of a Prometheus, over a connection through a port-forward.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use crate::k8s::forward::Connection;

const NAME: &str = "__name__";
const LONGEST_NAME: usize = 256;

#[derive(Deserialize)]
pub struct Answer<T> {
    pub data: T,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(rename = "resultType")]
    _result_type: ResultType,
    result: Vec<Sample>,
}

/// The only result type of the queries here.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ResultType {
    Vector,
}

/// The ztunnel that reports a connection, by the label `reporter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reporter {
    Source,
    Destination,
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
        self.value().filter(|value| *value >= 0.0)
    }

    /// A value that is a number.
    pub fn value(&self) -> Option<f64> {
        let value = self.value.1.parse::<f64>().ok()?;
        value.is_finite().then_some(value)
    }

    /// The name of the metric.
    pub fn name(&self) -> Option<&str> {
        self.metric.get(NAME).map(String::as_str)
    }

    /// Length of its line in the response of `/federate`, in bytes.
    pub fn line(&self) -> usize {
        let labels = self.metric.iter().filter(|(label, _)| *label != NAME);
        // Each label has an equals sign, quotes, and a comma or the last brace.
        let labels = labels.map(|(label, value)| label.len() + value.len() + 4);
        let name = self.name().map_or(0, str::len);
        // The first brace, a space before the value, a space and milliseconds, and the end of the line.
        name + 1 + labels.sum::<usize>() + 1 + self.value.1.len() + 1 + 13 + 1
    }
}

/// Whether this may be the name of a metric.
pub fn is_name(text: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(of_name)
}

/// The result of an instant query.
pub async fn query(connection: &mut Connection, query: &str) -> Result<Vec<Sample>> {
    let answer: Answer<Vector> = connection
        .get(&path("/api/v1/query", "query", [query]))
        .await?;
    Ok(answer.data.result)
}

/// The path that a federation with these selectors asks for.
pub fn federate(selectors: &[String]) -> String {
    path("/federate", "match[]", selectors.iter().map(String::as_str))
}

fn path<'a>(path: &str, name: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    values.into_iter().for_each(|value| {
        query.append_pair(name, value);
    });
    format!("{path}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_long_as_in_the_response_of_federate() {
        let sample: Sample = serde_json::from_value(serde_json::json!({
            "metric": {"__name__": "istio_build", "component": "ztunnel", "tag": "1.29.0"},
            "value": [1767225600.123, "1"],
        }))
        .unwrap();
        let line = "istio_build{component=\"ztunnel\",tag=\"1.29.0\"} 1 1767225600123\n";
        assert_eq!(sample.line(), line.len());
    }

    #[test]
    fn a_path_says_each_value() {
        let selectors = ["{a=\"b\"}".to_string(), "c".to_string()];
        let path = "/federate?match%5B%5D=%7Ba%3D%22b%22%7D&match%5B%5D=c";
        assert_eq!(federate(&selectors), path);
    }

    #[test]
    fn whatever_prometheus_answers_is_read_or_refused() {
        let samples = [
            r#"{"status": "success", "data": {"resultType": "vector", "result": [{"metric":
                {"cluster": "cluster1"}, "value": [1767225600.123, "1764"]}, {"metric": {},
                "value": [1767225600, "NaN"]}]}}"#,
            r#"{"status": "error", "errorType": "bad_data", "error": "invalid"}"#,
        ];
        crate::fuzz::fuzz("Prometheus' query results", &samples, |input| {
            if let Ok(read) = serde_json::from_slice::<Answer<Vector>>(input) {
                let lines = read.data.result.iter().map(Sample::line);
                let _ = lines.max();
            }
        });
    }
}
