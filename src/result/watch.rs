//! What changed between two looks at the clusters, for `--watch`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::{API_VERSION, Cluster, CommandResult, Ended, State, StatusResult, VerifyResult};
use crate::mesh::ClusterName;
use crate::progress::{Hop, ObjectId, Part, Verdict};

/// What was seen of one hop or component.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    word: &'static str,
    good: bool,
    text: String,
}

/// A hop, or an object of a step, in one cluster. Several findings of one hop have numbers.
type Place = (ClusterName, Part, Option<ObjectId>, usize);

/// All that one look saw.
#[derive(Clone, Debug, Default)]
pub struct View {
    home: Option<ClusterName>,
    seen: BTreeMap<Place, Seen>,
    /// The clusters that did not answer.
    away: BTreeSet<ClusterName>,
}

/// One change between two looks, as a line of `-o jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    api_version: &'static str,
    kind: &'static str,
    event: &'static str,
    /// Since the command began.
    elapsed_ms: u64,
    pub cluster: ClusterName,
    #[serde(flatten)]
    pub part: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// None if it was not seen before.
    pub was: Option<&'static str>,
    /// None if it is not seen any more.
    pub is: Option<&'static str>,
    pub message: String,
    #[serde(skip)]
    pub good: bool,
}

impl View {
    /// What a result saw, after an earlier look. What is about no single cluster counts as home's. Of a cluster that
    /// does not answer, what was seen before is kept; without home, nothing else is known.
    pub fn of(ended: &Ended, before: Option<&View>) -> View {
        let mut view = View {
            home: before.and_then(|before| before.home.clone()),
            ..View::default()
        };
        match ended {
            Ended::Done(result) => match &**result {
                CommandResult::Verify(result) => view.verified(result),
                CommandResult::Status(result) => view.status(result),
                _ => {}
            },
            Ended::Failed { errors, .. } => {
                let text = errors.first().map(|error| error.message.clone());
                if let Some(home) = view.home.clone() {
                    view.unreachable(&home, text.unwrap_or_default());
                }
            }
            Ended::Interrupted { .. } => {}
        }
        for (place, seen) in before.iter().flat_map(|before| &before.seen) {
            let is_away = |name: &ClusterName| view.away.contains(name);
            if is_away(&place.0) || view.home.as_ref().is_some_and(is_away) {
                view.seen.entry(place.clone()).or_insert(seen.clone());
            }
        }
        view
    }

    fn verified(&mut self, result: &VerifyResult) {
        self.reached(&result.clusters);
        for finding in &result.hops {
            let Some(cluster) = finding.cluster.clone().or(self.home.clone()) else {
                continue;
            };
            let seen = Seen {
                word: finding.verdict.word(),
                good: !finding.verdict.fails(),
                text: finding.text.clone(),
            };
            if finding.hop == Hop::ApiServer && !seen.good {
                self.away.insert(cluster.clone());
            }
            self.add(&cluster, Part::Hop(finding.hop), None, seen);
        }
        for flow in &result.flows {
            let failing = flow.failing().map(|hop| hop.message.clone());
            let seen = Seen {
                word: flow.verdict.word(),
                good: !flow.verdict.fails(),
                text: failing.unwrap_or_default(),
            };
            let to = ObjectId::cluster_wide("to", flow.to.as_str());
            self.add(&flow.from, Part::Hop(Hop::Flow), Some(to), seen);
        }
    }

    fn status(&mut self, result: &StatusResult) {
        self.reached(&result.clusters);
        for component in &result.components {
            let seen = Seen {
                word: component.state.word(),
                good: component.state == State::Ready,
                text: component.reason.clone().unwrap_or_default(),
            };
            let (part, object) = (Part::Step(component.step), component.object.clone());
            self.add(&component.cluster, part, Some(object), seen);
        }
        for one in &result.unreachable {
            self.unreachable(&one.cluster, one.error.message.clone());
        }
    }

    /// The clusters that answered, home first.
    fn reached(&mut self, clusters: &[Cluster]) {
        self.home = clusters.first().map(|home| home.name.clone());
        for cluster in clusters {
            let seen = Seen {
                word: Verdict::Holds.word(),
                good: true,
                text: String::new(),
            };
            self.add(&cluster.name, Part::Hop(Hop::ApiServer), None, seen);
        }
    }

    fn unreachable(&mut self, cluster: &ClusterName, text: String) {
        let seen = Seen {
            word: Verdict::Broken.word(),
            good: false,
            text,
        };
        self.away.insert(cluster.clone());
        self.add(cluster, Part::Hop(Hop::ApiServer), None, seen);
    }

    fn add(&mut self, cluster: &ClusterName, part: Part, object: Option<ObjectId>, seen: Seen) {
        let mut place = (cluster.clone(), part, object, 0);
        while self.seen.contains_key(&place) {
            place.3 += 1;
        }
        self.seen.insert(place, seen);
    }

    /// What is different in a later look, in the order of the clusters' names.
    pub fn changes(&self, later: &View, elapsed: Duration) -> Vec<Changed> {
        let gone = self
            .seen
            .keys()
            .filter(|place| !later.seen.contains_key(*place));
        let mut places = later.seen.keys().chain(gone).collect::<Vec<_>>();
        places.sort();
        let changed = places.into_iter().filter_map(|place| {
            let (was, is) = (self.seen.get(place), later.seen.get(place));
            (!is_same(was, is)).then(|| changed(place, was, is, elapsed))
        });
        changed.collect()
    }
}

fn changed(place: &Place, was: Option<&Seen>, is: Option<&Seen>, elapsed: Duration) -> Changed {
    let (cluster, part, object, _) = place.clone();
    Changed {
        api_version: API_VERSION,
        kind: "Event",
        event: "changed",
        elapsed_ms: elapsed.as_millis() as u64,
        cluster,
        part,
        object,
        was: was.map(|seen| seen.word),
        is: is.map(|seen| seen.word),
        message: is.map(|seen| seen.text.clone()).unwrap_or_default(),
        good: is.is_none_or(|seen| seen.good),
    }
}

/// A number that grows is no change, and neither are the words of what is fine.
fn is_same(was: Option<&Seen>, is: Option<&Seen>) -> bool {
    let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    match (was, is) {
        (Some(was), Some(is)) => {
            was.word == is.word && (is.good || words(&was.text) == words(&is.text))
        }
        (was, is) => was.is_none() && is.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Exit;
    use crate::result::{Failure, Flow, FlowHop, VERSION};
    use crate::verify::Finding;

    fn cluster(name: &str) -> ClusterName {
        ClusterName::new(name).unwrap()
    }

    fn verified(hops: Vec<Finding>, flow: Result<u64, &str>) -> Ended {
        let hop = FlowHop {
            hop: crate::progress::Place::Kiali,
            verdict: if flow.is_ok() {
                Verdict::Holds
            } else {
                Verdict::Broken
            },
            message: flow.err().unwrap_or_default().into(),
            count: flow.ok(),
            unit: None,
            seconds: None,
        };
        let result = VerifyResult {
            client: VERSION,
            started: "2026-11-30T12:00:00Z".into(),
            clusters: Vec::new(),
            installed: Vec::new(),
            hops,
            flows: vec![Flow {
                from: cluster("a"),
                to: cluster("b"),
                verdict: hop.verdict,
                hops: vec![hop],
            }],
            errors: Vec::new(),
            reports: Vec::new(),
            took: Duration::ZERO,
        };
        result.into()
    }

    fn lines(before: &Ended, after: &Ended) -> Vec<String> {
        let before = View {
            home: Some(cluster("a")),
            ..View::of(before, None)
        };
        let after = View::of(after, Some(&before));
        let changes = before.changes(&after, Duration::ZERO);
        let line = |one: Changed| {
            let [was, is] = [one.was, one.is].map(|word| word.unwrap_or("-"));
            let part = one.part.title();
            format!("{} {part} {was} {is} {}", one.cluster, one.message)
        };
        changes.into_iter().map(line).collect()
    }

    #[test]
    fn only_what_matters_is_a_change() {
        let finding = |hop, name, seen: Result<&str, &str>| {
            Finding::on(
                hop,
                &cluster(name),
                seen.map(Into::into).map_err(Into::into),
            )
        };
        let before = verified(
            vec![
                finding(Hop::Exposure, "a", Ok("grew by 10 B")),
                finding(Hop::Kiali, "a", Ok("sees a, b")),
                finding(Hop::ScrapeTarget, "b", Err("no answer in 4 s")),
                finding(Hop::Rights, "b", Ok("grew")),
            ],
            Ok(10),
        );
        let after = verified(
            vec![
                finding(Hop::Exposure, "a", Ok("grew by 77 B")),
                finding(Hop::Kiali, "a", Err("does not see b")),
                finding(Hop::ScrapeTarget, "b", Err("no answer in 5 s")),
                finding(Hop::ApiServer, "a", Ok("answers")),
            ],
            Err("no edge"),
        );
        assert_eq!(lines(&before, &before), [""; 0]);
        assert_eq!(
            lines(&before, &after),
            [
                "a api server - ok answers",
                "a kiali ok broken does not see b",
                "a flow ok broken no edge",
                "b rights ok - ",
            ]
        );
        // Nothing else is known then.
        let away = verified(vec![finding(Hop::ApiServer, "b", Err("refused"))], Ok(11));
        assert_eq!(
            lines(&before, &away),
            [
                "a exposure ok - ",
                "a kiali ok - ",
                "b api server - broken refused"
            ]
        );
        let failed = Ended::Failed {
            errors: vec![Failure::of(&anyhow::anyhow!("no answer"))],
            exit: Exit::NotVerified,
        };
        assert_eq!(lines(&before, &failed), ["a api server - broken no answer"]);
    }
}
