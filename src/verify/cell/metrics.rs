//! Whether the flow is in the federating Prometheus or the store, and in Kiali's graph.

use super::{Cell, Judged};
use crate::mesh::ClusterName;
use crate::progress::{Hop, Place, Verdict};
use crate::prometheus::Reporter;
use crate::verify::counters::bytes;
use crate::verify::edges::{Edge, Reported};
use crate::verify::evidence::Metrics;

impl Cell<'_> {
    pub(super) fn metrics(&self) -> Judged {
        let place = Place::Metrics;
        match &self.evidence.sources.metrics {
            Metrics::Nothing(why) => Judged::new(place, Verdict::Broken, why).settled(true),
            Metrics::Store(_) if self.evidence.is_in_graph(self.from, self.to) => {
                Judged::new(place, Verdict::Holds, "Kiali reads it from the store")
            }
            Metrics::Store(_) => {
                let why = "only Kiali asks the store";
                Judged::new(place, Verdict::Skipped, why)
            }
            Metrics::Federation => self.federated(),
        }
    }

    fn federated(&self) -> Judged {
        let place = Place::Metrics;
        let edge = self.evidence.in_metrics(self.from, self.to);
        let source = edge.reported(Reporter::Source);
        let destination = edge.reported(Reporter::Destination);
        if let (false, Reported::Named(received)) = (source.is_nothing(), destination) {
            let extra = edge
                .extra_edge()
                .map(|(code, text)| format!("; {text} ({code})"));
            let text = format!(
                "{} in the federating Prometheus{}",
                bytes(received),
                extra.unwrap_or_default()
            );
            return Judged::holds(place, received, text);
        }
        if let (false, Reported::Unknown(_)) = (source.is_nothing(), destination) {
            return Judged::new(place, Verdict::Broken, edge.hidden());
        }
        if let Some(error) = &self.evidence.metrics_reads.error {
            let text = format!("the federating Prometheus cannot be read: {error}");
            return Judged::new(place, Verdict::Broken, text);
        }
        let ends = [
            (Reporter::Source, source),
            (Reporter::Destination, destination),
        ];
        let missing = ends
            .into_iter()
            .filter(|(_, reported)| reported.is_nothing());
        let missing = missing.map(|(reporter, _)| reporter).collect::<Vec<_>>();
        self.not_federated(&edge, &missing)
    }

    /// Why the federating Prometheus does not have what these ends report.
    fn not_federated(&self, edge: &Edge<'_>, missing: &[Reporter]) -> Judged {
        let mut clusters = missing
            .iter()
            .map(|reporter| match reporter {
                Reporter::Source => self.from,
                Reporter::Destination => self.to,
            })
            .collect::<Vec<_>>();
        clusters.dedup();
        let is_cut = |name: &&&ClusterName| self.evidence.is_broken(Hop::ScrapeTarget, name);
        let cut = clusters.iter().find(is_cut);
        let last = missing.iter().find_map(|reporter| edge.last(*reporter));
        let names = clusters.iter().map(ToString::to_string);
        let names = names.collect::<Vec<_>>().join(" and ");
        let why = match cut {
            Some(cut) => format!("; see scrape target of {cut}"),
            None => format!(
                " within {} s of traffic; the Prometheus of {names} must scrape the ztunnels there",
                self.seconds()
            ),
        };
        let text = match last {
            Some(last) => format!(
                "in the federating Prometheus, the bytes that ztunnel of {names} counts stay at {last}{why}"
            ),
            None => format!(
                "the federating Prometheus has no bytes that ztunnel of {names} counts{why}"
            ),
        };
        // What comes from the other end may be on its way.
        let settled = clusters.iter().all(|name| is_cut(&name));
        Judged::new(Place::Metrics, Verdict::Broken, text).settled(settled)
    }

    pub(super) fn kiali(&self) -> Judged {
        let place = Place::Kiali;
        if let Some(why) = &self.evidence.sources.without_graph {
            return Judged::new(place, Verdict::Skipped, why);
        }
        if self.evidence.is_in_graph(self.from, self.to) {
            return Judged::new(place, Verdict::Holds, "an edge in Kiali's graph");
        }
        let text = match (
            &self.evidence.graph_reads.error,
            &self.evidence.sources.metrics,
        ) {
            (Some(error), _) => format!("Kiali's graph cannot be read: {error}"),
            (None, metrics) => {
                let silent = match metrics {
                    Metrics::Store(silent) => silent.as_str(),
                    Metrics::Federation | Metrics::Nothing(_) => "",
                };
                let seconds = self.seconds();
                format!("no edge in Kiali's graph within {seconds} s of traffic{silent}")
            }
        };
        let mut clusters = self.evidence.sources.clusters.iter();
        let settled = clusters.any(|name| self.evidence.is_broken(Hop::Kiali, name));
        Judged::new(place, Verdict::Broken, text).settled(settled)
    }
}
