//! Causes in what Kiali needs beside the metrics.

use super::scrape::{told, unready};
use super::{Judgement, Likelihood, Place, likely, of_each};
use crate::code::Code;
use crate::doctor::Likely;
use crate::doctor::evidence::{ClusterEvidence, Evidence, Known, Sight, Token};
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::mesh::{ClusterName, without_user};
use crate::status::Row;
use crate::visible;

const RANK: (Likelihood, Place) = (Likelihood::Seen, Place::Kiali);

/// The token with a lifetime has ended.
pub fn token_ended(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let ended = ended(cluster)?;
        Ok(ended
            .into_iter()
            .map(|row| {
                let object = &row.component.object;
                let why = match &row.component.health {
                    Health::Failed(why) | Health::InProgress(why) => why,
                    Health::Ready => "has ended",
                };
                let why = why.trim_end_matches(": run ambikiali rotate");
                let seen = format!("{object}: {why}");
                likely(&cluster.name, RANK, seen, "ambikiali rotate")
            })
            .collect())
    })
}

fn ended(cluster: &ClusterEvidence) -> Known<Option<&Row>> {
    let rows = cluster.rows.as_ref().map_err(Clone::clone)?;
    let mut rows = rows.iter();
    Ok(rows.find(|row| row.component.code == Some(Code::TokenEnded)))
}

/// The API server does not take the token.
pub fn token_refused(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let why = match &cluster.token {
            None | Some(Ok(Token::Accepted)) => return Ok(Vec::new()),
            Some(Ok(Token::Refused(why))) => why,
            Some(Ok(Token::Other(why)) | Err(why)) => return Err(why.clone()),
        };
        // That it has ended is the better answer.
        if matches!(ended(cluster), Ok(Some(_))) {
            return Ok(Vec::new());
        }
        let seen = format!("its API server refuses the token of Kiali's kubeconfig: {why}");
        Ok(vec![likely(&cluster.name, RANK, seen, &evidence.install)])
    })
}

/// Kiali has no kubeconfig for a remote, so it does not know that it exists.
pub fn remote_unknown(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let is_home = evidence
            .home_cluster()
            .is_some_and(|home| home.name == cluster.name);
        if is_home || cluster.token.is_some() {
            return Ok(Vec::new());
        }
        let name = &cluster.name;
        let seen = format!("Kiali's Secret with the kubeconfigs of remotes has none for {name}");
        Ok(vec![likely(name, RANK, seen, &evidence.install)])
    })
}

/// No pod of Kiali is ready.
pub fn down(evidence: &Evidence) -> Judgement {
    match &evidence.home.sight {
        Err(why) => Judgement::unknown(why),
        Ok(Sight::NotReady) => {
            let status = home_row(evidence, Step::Kiali);
            let seen = format!("no pod of Kiali is ready{status}");
            Judgement::likely([of_home(evidence, seen, "get pods,deployments")])
        }
        Ok(_) => Judgement::default(),
    }
}

/// What the status says of the Deployment of a step on home, for the end of a sentence.
pub fn home_row(evidence: &Evidence, step: Step) -> String {
    let home = evidence.home_cluster();
    let row = home.and_then(|home| unready(home, step, "Deployment"));
    row.map(|row| format!("; {}", told(row)))
        .unwrap_or_default()
}

/// A cause on home that is seen, with a kubectl command for the namespace of Kiali.
pub fn of_home(evidence: &Evidence, seen: String, look: &str) -> Likely {
    let home = evidence.home_cluster();
    let fix = home.map(|home| format!("{} -n {} {look}", home.kubectl, evidence.namespace));
    Likely {
        cluster: home.map(|home| home.name.clone()),
        likelihood: Likelihood::Seen,
        place: Place::Kiali,
        seen,
        fix: fix.unwrap_or_else(|| evidence.install.clone()),
    }
}

/// Kiali runs and says that it does not see a cluster.
pub fn blind(evidence: &Evidence) -> Judgement {
    let (seen, silent) = match &evidence.home.sight {
        Err(why) => return Judgement::unknown(why),
        Ok(Sight::NotReady | Sight::All) => return Judgement::default(),
        Ok(Sight::Blind(spot)) => (format!("Kiali says that {spot}"), false),
        Ok(Sight::Silent(why)) => (format!("Kiali does not answer: {why}"), true),
    };
    let is_meant = |name: &&ClusterName| {
        let is_named = names(&seen, name) || silent && is_absent(evidence, name);
        is_named && !is_explained(evidence, name)
    };
    let named = evidence.names().filter(is_meant).collect::<Vec<_>>();
    if named.is_empty() {
        return match silent {
            true => Judgement::unknown(&seen),
            false => Judgement::default(),
        };
    }
    let mut told = visible::short(&seen, visible::SAID).into_owned();
    let known = evidence.clusters.iter();
    for one in known.filter(|one| named.contains(&&one.name)) {
        if let Some(Ok(Token::Other(why))) = &one.token {
            told = format!(
                "{told}; {}: {}",
                one.name,
                visible::short(why, visible::SAID)
            );
        }
    }
    let mut likely = of_home(evidence, told, "");
    // A Kiali that is restarted then does not start.
    likely.fix = match silent {
        true => "look at the API server of that cluster: Kiali waits for it, and is not to be restarted before it answers".into(),
        false => evidence.install.clone(),
    };
    likely.cluster = match named.as_slice() {
        [one] => Some((*one).clone()),
        _ => None,
    };
    Judgement::likely([likely])
}

/// Whether another cause says why Kiali does not see a remote.
fn is_explained(evidence: &Evidence, name: &ClusterName) -> bool {
    let remote = evidence
        .clusters
        .iter()
        .skip(1)
        .find(|one| one.name == *name);
    remote.is_some_and(|one| {
        let refused = matches!(one.token, None | Some(Ok(Token::Refused(_))));
        refused || matches!(ended(one), Ok(Some(_)))
    })
}

/// Whether a text has the name as a word.
fn names(text: &str, name: &ClusterName) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let mut words = text.split(|c: char| !is_of_name(c));
    words.any(|word| word.trim_end_matches('.') == name.as_str())
}

fn is_absent(evidence: &Evidence, name: &ClusterName) -> bool {
    evidence.absent.iter().any(|(absent, _)| absent == name)
}

/// Kiali's CR names another Prometheus than the one of the install.
pub fn other_prometheus(evidence: &Evidence) -> Judgement {
    let (queried, wanted) = match &evidence.home.queried {
        Err(why) => return Judgement::unknown(why),
        Ok(None) => return Judgement::default(),
        Ok(Some(urls)) => urls,
    };
    if queried == wanted {
        return Judgement::default();
    }
    // The rest of an address may be a secret.
    let shown = |url: &str| {
        let url = url.split(['?', '#']).next().unwrap_or_default();
        visible::short(&without_user(url), visible::SAID).into_owned()
    };
    let seen = format!(
        "the Kiali CR has Kiali ask {} for metrics, and not {}",
        shown(queried),
        shown(wanted)
    );
    let mut likely = of_home(evidence, seen, "");
    likely.likelihood = Likelihood::Likely;
    likely.fix.clone_from(&evidence.install);
    Judgement::likely([likely])
}
