//! `doctor`: why Kiali's graph is empty or wrong. First gathers what each source tells, from all clusters and sources at
//! the same time, then judges each known cause by it. It only reads.

mod causes;
mod evidence;

use std::time::Duration;

use serde::{Serialize, Serializer};

pub use causes::COUNT;

use crate::code::Code;
use crate::mesh::{Absent, ClusterName};
use crate::run::Run;

/// Time limit for all requests.
pub const PATIENCE: Duration = Duration::from_secs(18);
/// Time limit for each source, after which nothing of it is known.
const WHOLE: Duration = Duration::from_secs(20);

/// What the user asks about.
#[derive(Clone, Debug)]
pub struct Question {
    /// How far back Kiali's graph looks.
    pub window: Duration,
    /// The namespace and the name of the Service that the traffic goes to; None for all.
    pub namespace: Option<String>,
    pub service: Option<String>,
}

/// How surely something is a cause. The order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likelihood {
    /// The break itself was seen.
    Seen,
    /// A setting or a state was seen that causes it.
    Likely,
    /// What was seen has other explanations too.
    Possible,
}

/// Where the cause lies on the way of the metrics. The order is that of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Cluster,
    Workloads,
    Sender,
    Receiver,
    ClusterPrometheus,
    Gateway,
    Federation,
    Kiali,
}

/// A likely cause.
#[derive(Clone, Debug)]
pub struct Likely {
    /// None if it is not about a single cluster.
    pub cluster: Option<ClusterName>,
    pub likelihood: Likelihood,
    pub place: Place,
    /// One sentence.
    pub seen: String,
    /// A command or an action.
    pub fix: String,
}

/// Why a cause could be judged neither likely nor ruled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    pub cluster: Option<ClusterName>,
    pub why: String,
}

/// What the evidence says of one cause. It is ruled out if there is neither.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    pub likely: Vec<Likely>,
    pub unknown: Vec<Unknown>,
}

/// All causes, each by its code.
#[derive(Debug, Default)]
pub struct Diagnosis {
    /// The best one first.
    pub likely: Vec<(Code, Likely)>,
    pub ruled_out: Vec<Code>,
    pub unknown: Vec<(Code, Unknown)>,
}

pub async fn doctor(run: &Run<'_>, absent: &[Absent], question: &Question) -> Diagnosis {
    // On the heap: the future would be too large for the stack.
    let evidence = Box::pin(evidence::gather(run, absent, question)).await;
    Diagnosis::of(causes::judge(&evidence))
}

impl Diagnosis {
    fn of(judged: Vec<(Code, Judgement)>) -> Diagnosis {
        let mut diagnosis = Diagnosis::default();
        for (code, Judgement { likely, unknown }) in judged {
            if likely.is_empty() && unknown.is_empty() {
                diagnosis.ruled_out.push(code);
            }
            let likely = likely.into_iter().map(|one| (code, one));
            diagnosis.likely.extend(likely);
            let unknown = unknown.into_iter().map(|one| (code, one));
            diagnosis.unknown.extend(unknown);
        }
        // Stable, so that causes of the same place stay in the order of the list.
        let rank = |(_, one): &(Code, Likely)| (one.likelihood, one.place);
        diagnosis.likely.sort_by_key(rank);
        diagnosis
    }
}

impl Likelihood {
    pub fn word(self) -> &'static str {
        match self {
            Likelihood::Seen => "seen",
            Likelihood::Likely => "likely",
            Likelihood::Possible => "possible",
        }
    }
}

impl Serialize for Likelihood {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(likelihood: Likelihood, place: Place, seen: &str) -> Judgement {
        Judgement {
            likely: vec![Likely {
                cluster: None,
                likelihood,
                place,
                seen: seen.into(),
                fix: String::new(),
            }],
            unknown: Vec::new(),
        }
    }

    #[test]
    fn what_was_seen_comes_first_and_then_what_is_nearer_to_the_traffic() {
        let unknown = Unknown {
            cluster: None,
            why: "no answer".into(),
        };
        let diagnosis = Diagnosis::of(vec![
            (
                Code::NoTraffic,
                one(Likelihood::Possible, Place::Workloads, "d"),
            ),
            (
                Code::ClockSkew,
                one(Likelihood::Likely, Place::Cluster, "c"),
            ),
            (
                Code::ScrapeTargetDown,
                one(Likelihood::Seen, Place::Federation, "b"),
            ),
            (Code::OldZtunnel, one(Likelihood::Seen, Place::Sender, "a")),
            (Code::TokenRefused, Judgement::default()),
            (
                Code::TokenEnded,
                Judgement {
                    likely: Vec::new(),
                    unknown: vec![unknown.clone()],
                },
            ),
        ]);
        let order = diagnosis.likely.iter().map(|(_, one)| one.seen.as_str());
        assert_eq!(order.collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(diagnosis.ruled_out, [Code::TokenRefused]);
        assert_eq!(diagnosis.unknown, [(Code::TokenEnded, unknown)]);
    }
}
