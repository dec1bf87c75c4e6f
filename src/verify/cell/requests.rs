//! Whether the receiver answered the sender's requests.

use std::time::Duration;

use super::{Cell, Judged, unreached};
use crate::mesh::ClusterName;
use crate::progress::{Place, Verdict};
use crate::verify::probe::Probe;
use crate::verify::requests::Requests;

/// After this time and so many answers of each cluster, one that has not answered will not answer.
const SILENT: Duration = Duration::from_secs(20);
const ENOUGH: usize = 20;
/// After this time of failures, a cluster that has not answered is the one that they are about.
const FAILING: Duration = Duration::from_secs(5);

impl Cell<'_> {
    pub(super) fn requests(&self) -> Judged {
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

    /// A command that shows what is wrong; nothing for a cluster that this machine does not reach.
    fn look(&self, cluster: &ClusterName, command: impl Fn(&Probe<'_>) -> String) -> String {
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
