//! Judges one flow by the evidence, hop by hop.

mod metrics;
mod requests;
mod ztunnels;

use std::time::Duration;

use super::evidence::Evidence;
use super::requests::Requests;
use crate::mesh::ClusterName;
use crate::progress::{Place, Verdict};

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
}

#[cfg(test)]
mod tests;
