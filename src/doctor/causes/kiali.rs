//! Causes in what Kiali needs beside the metrics.

use super::{Judgement, Likelihood, Place, likely, of_each};
use crate::code::Code;
use crate::doctor::evidence::{ClusterEvidence, Evidence, Known, Token};
use crate::k8s::health::Health;
use crate::status::Row;

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
