//! Whether the ztunnels of both ends count the flow, by their own pages.

use std::time::Duration;

use super::{Cell, Judged, unreached};
use crate::guide::ISTIO_NAMESPACE;
use crate::mesh::ClusterName;
use crate::progress::{Place, Verdict};
use crate::prometheus::Reporter;
use crate::verify::counters::bytes;
use crate::verify::edges::{Edge, Reported};

/// After this time of answers, a ztunnel that has counted nothing will count nothing. It counts each chunk at once.
const STILL: Duration = Duration::from_secs(10);

impl Cell<'_> {
    pub(super) fn source(&self) -> Judged {
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

    pub(super) fn destination(&self) -> Judged {
        let place = Place::Destination;
        let edge = self.evidence.on_pages(self.from, self.to);
        match edge.reported(Reporter::Destination) {
            Reported::Named(received) => Judged::holds(
                place,
                received,
                format!("{} from {}", bytes(received), self.from),
            ),
            Reported::Unknown(_) => Judged::new(place, Verdict::Broken, edge.hidden())
                .settled(self.would_be_on_page(self.to)),
            _ => self.not_on_page(place, &edge, self.to, format!("from {}", self.from)),
        }
    }

    fn would_be_on_page(&self, cluster: &ClusterName) -> bool {
        let evidence = self.evidence;
        self.has_answered_for(STILL) && evidence.pages_would_show(cluster, self.from, self.to)
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
        let settled = self.would_be_on_page(cluster);
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
}
