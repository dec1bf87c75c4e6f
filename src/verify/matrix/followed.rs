//! One flow while it is followed.

use crate::mesh::ClusterName;
use crate::progress::{Hop, HopProgress, Place, Verdict};
use crate::run::Run;
use crate::verify::cell::Judged;
use crate::verify::evidence::Evidence;
use crate::verify::flow::{Flow, FlowHop};

/// One flow while it is followed.
pub(super) struct Followed {
    pub(super) from: ClusterName,
    pub(super) to: ClusterName,
    hops: Vec<FlowHop>,
    settled: Vec<bool>,
    /// The hops that were shown to hold.
    shown: Vec<Place>,
    pub(super) done: Option<Flow>,
}

impl Followed {
    pub(super) fn new((from, to): (ClusterName, ClusterName)) -> Followed {
        Followed {
            from,
            to,
            hops: Vec::new(),
            settled: Vec::new(),
            shown: Vec::new(),
            done: None,
        }
    }

    pub(super) fn update(&mut self, judged: Vec<Judged>, evidence: &Evidence<'_>) {
        let seconds = evidence.begun.elapsed().as_secs_f64();
        let before = std::mem::take(&mut self.hops);
        let mut before = before.into_iter();
        self.settled.clear();
        for judged in judged {
            let before = before.next().filter(|hop| hop.verdict == Verdict::Holds);
            let (hop, settled) = match before {
                // Counters may begin anew, which takes back nothing.
                Some(before) if judged.place != Place::Requests && !holds(&judged) => {
                    (before, true)
                }
                before => {
                    let first = before.and_then(|before| before.seconds);
                    let seconds = holds(&judged).then(|| first.unwrap_or(seconds));
                    let settled = judged.settled;
                    (hop_of(judged, seconds), settled)
                }
            };
            self.hops.push(hop);
            self.settled.push(settled);
        }
    }

    pub(super) fn waits_for(&self, place: Place) -> bool {
        let mut hops = self.hops.iter().zip(&self.settled);
        hops.any(|(hop, settled)| hop.hop == place && !settled)
    }

    /// The first hop that is waited for.
    pub(super) fn next(&self) -> Option<Place> {
        Place::ALL.into_iter().find(|place| self.waits_for(*place))
    }

    /// After a hop that is broken for good, nothing can hold.
    pub(super) fn is_done(&self) -> bool {
        let mut hops = self.hops.iter().zip(&self.settled);
        let is_broken = hops.any(|(hop, settled)| *settled && hop.verdict == Verdict::Broken);
        is_broken || self.settled.iter().all(|settled| *settled)
    }

    fn progress(&self, run: &Run<'_>) -> HopProgress {
        run.events.of_hop(Hop::Flow, &self.from)
    }

    pub(super) fn begin(&self, run: &Run<'_>) {
        let first = Place::Requests;
        self.progress(run).flow(&self.to, None, Some(first), "");
    }

    /// Shows the hops that hold since the last time.
    pub(super) fn show(&mut self, run: &Run<'_>) {
        let held = self.hops.iter().filter(|hop| hop.verdict == Verdict::Holds);
        let new = held
            .map(|hop| hop.hop)
            .filter(|place| !self.shown.contains(place));
        let new = new.collect::<Vec<_>>();
        if !new.is_empty() {
            let titles = new.iter().map(|place| place.title()).collect::<Vec<_>>();
            let text = titles.join(", ");
            self.progress(run).flow(&self.to, None, self.next(), &text);
            self.shown.extend(new);
        }
    }

    pub(super) fn end(&mut self, run: &Run<'_>) {
        if self.done.is_some() {
            return;
        }
        let hops = std::mem::take(&mut self.hops);
        let flow = Flow::new(self.from.clone(), self.to.clone(), hops);
        let failing = flow.failing();
        let text = match failing {
            Some(hop) => format!("{}: {}", hop.hop.title(), hop.message),
            None => String::new(),
        };
        let (verdict, place) = (Some(flow.verdict), failing.map(|hop| hop.hop));
        self.progress(run).flow(&self.to, verdict, place, &text);
        self.done = Some(flow);
    }
}

fn holds(judged: &Judged) -> bool {
    judged.verdict == Verdict::Holds
}

fn hop_of(judged: Judged, seconds: Option<f64>) -> FlowHop {
    let unit = match judged.place {
        Place::Requests => "requests",
        _ => "bytes",
    };
    FlowHop {
        hop: judged.place,
        verdict: judged.verdict,
        message: judged.text,
        unit: judged.count.map(|_| unit),
        count: judged.count,
        seconds,
    }
}
