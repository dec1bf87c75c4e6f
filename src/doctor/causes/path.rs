//! Causes on the way from one cluster to another: what `check` finds there, and whether connections fail by it.

use std::collections::BTreeSet;

use super::traffic::connections_failed;
use super::{Judgement, Likelihood, Place, likely, of_each, readable, with_code};
use crate::check::Finding;
use crate::code::Code;
use crate::doctor::Likely;
use crate::doctor::evidence::{ClusterEvidence, Evidence, Known};
use crate::mesh::ClusterName;

/// A cause that a finding of `check` tells.
struct OfFinding {
    code: Code,
    /// The objects that the finding is about: if the user may not read them, there is no finding.
    kinds: &'static [&'static str],
    place: Place,
    /// Whether connections to the cluster fail by it, as those who send count them.
    fails: bool,
}

const NO_EAST_WEST: OfFinding = OfFinding {
    code: Code::NoEastWestGateway,
    kinds: &["Gateways"],
    place: Place::Receiver,
    fails: true,
};
const NO_ADDRESS: OfFinding = OfFinding {
    code: Code::EastWestGatewayWithoutAddress,
    ..NO_EAST_WEST
};
const NO_NETWORK: OfFinding = OfFinding {
    code: Code::NoNetwork,
    kinds: &["Namespace"],
    ..NO_EAST_WEST
};
const SAME_NETWORK: OfFinding = OfFinding {
    code: Code::SameNetwork,
    ..NO_NETWORK
};
const TRUST_DOMAINS: OfFinding = OfFinding {
    code: Code::TrustDomainsDiffer,
    kinds: &["ConfigMap"],
    ..NO_EAST_WEST
};
const NO_SECRET: OfFinding = OfFinding {
    code: Code::NoRemoteSecret,
    kinds: &["Secrets"],
    place: Place::Sender,
    fails: false,
};
const NOT_IN_SYNC: OfFinding = OfFinding {
    code: Code::NotInSync,
    ..NO_SECRET
};
pub fn no_east_west(evidence: &Evidence) -> Judgement {
    NO_EAST_WEST.judge(evidence)
}

pub fn no_address(evidence: &Evidence) -> Judgement {
    NO_ADDRESS.judge(evidence)
}

pub fn no_network(evidence: &Evidence) -> Judgement {
    NO_NETWORK.judge(evidence)
}

pub fn no_secret(evidence: &Evidence) -> Judgement {
    NO_SECRET.judge(evidence)
}

/// istiod knows the other cluster and does not have what is in it.
pub fn not_in_sync(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        // istiod did not say.
        if let Some(unknown) = with_code(cluster, Code::SyncUnknown)?.first() {
            return Err(format!("{} {}", unknown.object, unknown.cause));
        }
        NOT_IN_SYNC.of(evidence, cluster)
    })
}

pub fn same_network(evidence: &Evidence) -> Judgement {
    SAME_NETWORK.judge(evidence)
}

pub fn trust_domains(evidence: &Evidence) -> Judgement {
    TRUST_DOMAINS.judge(evidence)
}

impl OfFinding {
    fn judge(&self, evidence: &Evidence) -> Judgement {
        of_each(evidence, |cluster| self.of(evidence, cluster))
    }

    /// Of a configuration that is not legible, nothing is compared.
    fn of(&self, evidence: &Evidence, cluster: &ClusterEvidence) -> Known<Vec<Likely>> {
        let found = readable(cluster, self.code, self.kinds)?;
        if let Some(illegible) = with_code(cluster, Code::IllegibleMeshConfig)?.first()
            && self.kinds.contains(&illegible.object.kind.as_str())
        {
            return Err(format!("{} {}", illegible.object, illegible.cause));
        }
        let told = |finding: &&Finding| self.told(evidence, cluster, finding);
        Ok(found.iter().map(told).collect())
    }

    fn told(&self, evidence: &Evidence, cluster: &ClusterEvidence, finding: &Finding) -> Likely {
        let seen = format!("{} {}", finding.object, finding.cause);
        let failed = self
            .fails
            .then(|| connections_failed(evidence, &cluster.name));
        with_failed(failed.flatten(), cluster, (self.place, seen, &finding.fix))
    }
}

/// A cause that is seen if connections to the cluster fail.
pub fn with_failed(
    failed: Option<String>,
    cluster: &ClusterEvidence,
    (place, seen, fix): (Place, String, &str),
) -> Likely {
    let (likelihood, seen) = match failed {
        Some(failed) => (Likelihood::Seen, format!("{seen}; {failed}")),
        None => (Likelihood::Likely, seen),
    };
    likely(&cluster.name, (likelihood, place), seen, fix)
}

/// The clusters of which is known why connections to them fail.
pub fn explained(evidence: &Evidence) -> BTreeSet<ClusterName> {
    let of_findings = [
        NO_EAST_WEST,
        NO_ADDRESS,
        NO_NETWORK,
        SAME_NETWORK,
        TRUST_DOMAINS,
    ];
    let judged = of_findings.map(|one| one.judge(evidence));
    let more = [
        super::ztunnel::not_ready(evidence),
        super::workloads::denied(evidence),
    ];
    let likely = judged.into_iter().chain(more).flat_map(|one| one.likely);
    likely.filter_map(|one| one.cluster).collect()
}
