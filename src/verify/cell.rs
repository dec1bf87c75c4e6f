//! Judges one flow by the evidence, hop by hop.

use std::time::Duration;

use super::counters::{Reporter, bytes};
use super::edges::{Edge, Reported};
use super::evidence::{Evidence, Metrics};
use super::requests::Requests;
use super::{Hop, Verdict};
use crate::guide::ISTIO_NAMESPACE;
use crate::mesh::ClusterName;
use crate::progress::Place;

/// After this time of answers, a ztunnel that has counted nothing will count nothing. It counts each chunk at once.
const STILL: Duration = Duration::from_secs(10);
/// After this time and so many answers of each cluster, one that has not answered will not answer.
const SILENT: Duration = Duration::from_secs(20);
const ENOUGH: usize = 20;
/// After this time of failures, a cluster that has not answered is the one that they are about.
const FAILING: Duration = Duration::from_secs(5);

/// What one hop shows until now. Unless it is settled, the verdict is for the case that the time is over.
#[derive(Clone, Debug)]
pub struct Judged {
    pub place: Place,
    pub verdict: Verdict,
    pub text: String,
    pub count: Option<u64>,
    /// Whether waiting changes nothing.
    pub settled: bool,
}

impl Judged {
    fn new(place: Place, verdict: Verdict, text: impl Into<String>) -> Judged {
        Judged {
            place,
            verdict,
            text: text.into(),
            count: None,
            settled: matches!(verdict, Verdict::Holds | Verdict::Skipped),
        }
    }

    fn holds(place: Place, count: f64, text: impl Into<String>) -> Judged {
        Judged {
            // Saturates.
            count: Some(count as u64),
            ..Judged::new(place, Verdict::Holds, text)
        }
    }

    fn settled(self, settled: bool) -> Judged {
        Judged { settled, ..self }
    }
}

/// The hops of a flow, in the order in which a request passes them.
pub fn judge(evidence: &Evidence<'_>, from: &ClusterName, to: &ClusterName) -> Vec<Judged> {
    if let Some(why) = hindrance(evidence, from, to) {
        let hop = |place| {
            let why = match place {
                Place::Requests => &why,
                _ => "no requests were sent",
            };
            Judged::new(place, Verdict::Unproven, why).settled(true)
        };
        return Place::ALL.map(hop).into();
    }
    let cell = Cell {
        evidence,
        from,
        to,
        requests: evidence.requests.get(from),
    };
    vec![
        cell.requests(),
        cell.source(),
        cell.destination(),
        cell.metrics(),
        cell.kiali(),
    ]
}

/// Why no requests can be sent.
fn hindrance(evidence: &Evidence<'_>, from: &ClusterName, to: &ClusterName) -> Option<String> {
    let probes = evidence.sources.probes;
    let Some(sender) = probes.get(from) else {
        return Some(unreached(from));
    };
    if let Err(why) = &sender.client {
        return Some(format!("{from}: {why}"));
    }
    let receiver = probes.get(to)?;
    let why = receiver.servers.as_ref().err()?;
    Some(format!("{to}: {why}"))
}

fn unreached(cluster: &ClusterName) -> String {
    format!("this machine does not reach {cluster}")
}

struct Cell<'a> {
    evidence: &'a Evidence<'a>,
    from: &'a ClusterName,
    to: &'a ClusterName,
    requests: Option<&'a Requests>,
}

impl Cell<'_> {
    fn seconds(&self) -> u64 {
        self.evidence.sources.patience.as_secs()
    }

    /// Whether the receiver has answered for this time, as far as that can be known.
    fn has_answered_for(&self, time: Duration) -> bool {
        let Some(requests) = self.requests else {
            return false;
        };
        match requests.answered_for(self.to) {
            Some(answered) => answered > time,
            None => {
                let reached = self.evidence.is_reached(self.to);
                !reached && requests.answered() > 0 && self.evidence.begun.elapsed() > time * 2
            }
        }
    }

    fn requests(&self) -> Judged {
        let hop = |verdict, text| Judged::new(Place::Requests, verdict, text);
        let (to, seconds) = (self.to, self.seconds());
        let Some(requests) = self.requests else {
            return hop(Verdict::Broken, format!("no answer within {seconds} s"));
        };
        if requests.failed > 0 && self.is_blamed(requests) {
            return self.failed(requests);
        }
        let answered = requests.answered_by(to);
        if answered > 0 {
            let text = format!("{answered} requests answered");
            return Judged::holds(Place::Requests, answered as f64, text);
        }
        let all = requests.answered();
        if !self.evidence.is_reached(to) {
            let text = format!(
                "{all} requests answered; which ones by {to} is not known: {}",
                unreached(to)
            );
            return hop(Verdict::Unproven, text).settled(true);
        }
        let strangers = match &requests.strangers {
            (0, _) => String::new(),
            (count, answer) => {
                format!(", {count} by pods that are not known, the last one with \"{answer}\"")
            }
        };
        let look = self.look(to, |probe| {
            let service = &probe.service;
            format!(
                "-n {} get service {} --show-labels",
                service.namespace, service.name
            )
        });
        let text = format!(
            "{all} requests answered, none by {to}{strangers}; its Service needs the label istio.io/global=true{look}"
        );
        let enough = self.evidence.sources.clusters.len() * ENOUGH;
        hop(Verdict::Broken, text).settled(all >= enough && self.evidence.begun.elapsed() > SILENT)
    }

    fn failed(&self, requests: &Requests) -> Judged {
        let cause = self.evidence.cause(self.from, self.to);
        let since = requests.failed_since.map(|since| since.elapsed());
        let since = since.unwrap_or_default();
        let explained = cause.is_some() || since > self.evidence.sources.lag;
        let cause = cause.map(|cause| format!("; {cause}")).unwrap_or_default();
        let text = format!(
            "{} of {} requests failed: {}{cause}",
            requests.failed, requests.sent, requests.why
        );
        let settled = requests.is_hopeless() || (since > FAILING && explained);
        Judged::new(Place::Requests, Verdict::Broken, text).settled(settled)
    }

    /// Whether the failed requests may be those to this receiver: a failed request does not name one.
    fn is_blamed(&self, requests: &Requests) -> bool {
        let evidence = self.evidence;
        let probes = evidence.sources.probes.iter();
        let answering = probes.filter(|(_, ends)| ends.servers.is_ok());
        let mut silent = answering.filter(|(name, _)| requests.answered_by(name) == 0);
        let mut silent = silent.by_ref().map(|(name, _)| name).peekable();
        if silent.peek().is_some() {
            return silent.any(|name| name == self.to);
        }
        let mut all = evidence.sources.clusters.iter();
        if all.any(|to| evidence.is_denied(self.from, to)) {
            return evidence.is_denied(self.from, self.to);
        }
        let mut all = evidence.sources.clusters.iter();
        let crosses = all.any(|to| evidence.cause(self.from, to).is_some());
        !crosses || self.from != self.to
    }

    fn source(&self) -> Judged {
        let edge = self.evidence.on_pages(self.from, self.to);
        let knows_answer = self
            .requests
            .is_some_and(|requests| requests.answered_by(self.to) > 0)
            || !self.evidence.is_reached(self.to);
        let holds = |count, text| Judged::holds(Place::Source, count, text);
        match edge.reported(Reporter::Source) {
            Reported::Named(sent) => holds(sent, format!("{} to {}", bytes(sent), self.to)),
            Reported::Unknown(sent) if knows_answer => holds(
                sent,
                format!("{} to a cluster that it does not know", bytes(sent)),
            ),
            Reported::Gateway(sent) if knows_answer => holds(
                sent,
                format!("{} to the gateway of another network", bytes(sent)),
            ),
            _ => self.not_on_page(Place::Source, &edge, self.from, format!("to {}", self.to)),
        }
    }

    fn destination(&self) -> Judged {
        let place = Place::Destination;
        let edge = self.evidence.on_pages(self.from, self.to);
        match edge.reported(Reporter::Destination) {
            Reported::Named(received) => Judged::holds(
                place,
                received,
                format!("{} from {}", bytes(received), self.from),
            ),
            Reported::Unknown(_) => Judged::new(place, Verdict::Broken, edge.hidden())
                .settled(self.has_answered_for(STILL)),
            _ => self.not_on_page(place, &edge, self.to, format!("from {}", self.from)),
        }
    }

    /// Why the pages of a cluster do not show the flow.
    fn not_on_page(
        &self,
        place: Place,
        edge: &Edge<'_>,
        cluster: &ClusterName,
        what: String,
    ) -> Judged {
        let unproven = |why: &str| Judged::new(place, Verdict::Unproven, why);
        let ztunnels = match self.evidence.sources.ztunnels.get(cluster) {
            None => return unproven(&unreached(cluster)).settled(true),
            Some(Err(why)) => return unproven(why).settled(true),
            Some(Ok(ztunnels)) => ztunnels,
        };
        let reading = self.evidence.page_reads.get(cluster);
        if let Some(reading) = reading
            && let Some(error) = &reading.error
        {
            return unproven(error).settled(reading.is_given_up());
        }
        let settled = self.has_answered_for(STILL);
        let read = ztunnels.pods.len();
        if ztunnels.unread > 0 {
            let all = read + ztunnels.unread;
            let why = format!("only {read} of {all} ztunnels are read, and none has it");
            return unproven(&why).settled(settled);
        }
        let reporter = match place {
            Place::Source => Reporter::Source,
            _ => Reporter::Destination,
        };
        let stayed = edge
            .last(reporter)
            .map(|last| format!(": they stayed at {last}"));
        let pods = ztunnels.pods.first().map_or("", String::as_str);
        let kubectl = &ztunnels.scope.cluster.kubectl;
        let text = format!(
            "ztunnel of {cluster} counts no bytes {what}{}; look at: {kubectl} -n {ISTIO_NAMESPACE} logs {pods}",
            stayed.unwrap_or_default()
        );
        Judged::new(place, Verdict::Broken, text).settled(settled)
    }

    fn metrics(&self) -> Judged {
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
        Judged::new(Place::Metrics, Verdict::Broken, text).settled(cut.is_some())
    }

    fn kiali(&self) -> Judged {
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

    /// A command that shows what is wrong; nothing for a cluster that this machine does not reach.
    fn look(
        &self,
        cluster: &ClusterName,
        command: impl Fn(&super::probe::Probe<'_>) -> String,
    ) -> String {
        let sender = self.evidence.sources.probes.get(self.from);
        let probe = sender.and_then(|ends| ends.client.as_ref().ok());
        let scope = self.evidence.sources.ztunnels.get(cluster);
        let scope = scope.and_then(|found| found.as_ref().ok());
        match (probe, scope) {
            (Some(probe), Some(found)) => {
                let kubectl = &found.scope.cluster.kubectl;
                format!(": {kubectl} {}", command(probe))
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
