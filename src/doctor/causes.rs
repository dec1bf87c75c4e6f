//! The causes of an empty or wrong graph, each a pure function of the evidence. A file has those whose evidence lies in the
//! same place.

mod collected;
mod kiali;
mod mesh;
mod names;
mod path;
mod scrape;
mod store;
#[cfg(test)]
mod tests;
mod traffic;
mod workloads;
mod ztunnel;

use super::evidence::{ClusterEvidence, Evidence, Known};
use super::{Judgement, Likelihood, Likely, Place, Unknown};
use crate::check::Finding;
use crate::code::Code;
use crate::mesh::ClusterName;

/// How many causes there are.
pub const COUNT: usize = 44;

/// Judges each cause. Of the same likelihood and place, the first one is reported first.
pub fn judge(evidence: &Evidence) -> Vec<(Code, Judgement)> {
    let judged: [_; COUNT] = [
        (Code::ClockSkew, mesh::clock(evidence)),
        (Code::ZtunnelNotReady, ztunnel::not_ready(evidence)),
        (Code::NamespaceNotInMesh, mesh::not_in_mesh(evidence)),
        (Code::PodsLeftOut, workloads::left_out(evidence)),
        (Code::TrafficDenied, workloads::denied(evidence)),
        (Code::ServiceNotGlobal, workloads::not_global(evidence)),
        (Code::NoRemoteSecret, path::no_secret(evidence)),
        (Code::NotInSync, path::not_in_sync(evidence)),
        (Code::NoNetwork, path::no_network(evidence)),
        (Code::SameNetwork, path::same_network(evidence)),
        (Code::NoEastWestGateway, path::no_east_west(evidence)),
        (
            Code::EastWestGatewayWithoutAddress,
            path::no_address(evidence),
        ),
        (Code::TrustDomainsDiffer, path::trust_domains(evidence)),
        (Code::ConnectionsFail, traffic::failed(evidence)),
        (Code::OldZtunnel, ztunnel::old(evidence)),
        (Code::NoResponseBaggage, ztunnel::silent(evidence)),
        (
            Code::ZtunnelNotCollected,
            collected::not_collected(evidence),
        ),
        (
            Code::WaypointNotCollected,
            collected::without_waypoint(evidence),
        ),
        (Code::CutOffByNetworkPolicy, collected::cut_off(evidence)),
        (Code::DeniedByPolicy, collected::denied(evidence)),
        (Code::GatewayWithoutAddress, scrape::no_address(evidence)),
        (Code::CertificatesDiffer, scrape::certificates(evidence)),
        (Code::ScrapeLimit, collected::limited(evidence)),
        (Code::ScrapeTimeout, scrape::too_slow(evidence)),
        (Code::ScrapeTargetDown, scrape::down(evidence)),
        (Code::NotWritten, store::not_written(evidence)),
        (Code::WrittenTwice, store::written_twice(evidence)),
        (Code::TooManyLabels, store::too_many_labels(evidence)),
        (Code::SamplesRefused, store::refused(evidence)),
        (Code::FederationDown, collected::no_federation(evidence)),
        (Code::NoClusterLabel, names::unnamed(evidence)),
        (Code::TwoSourcesOfCluster, names::twice(evidence)),
        (Code::ClusterNamesDiffer, names::different(evidence)),
        (Code::ShortHistory, store::short(evidence)),
        (Code::OnlyBurst, traffic::burst(evidence)),
        (Code::NoTraffic, traffic::none(evidence)),
        (Code::TokenEnded, kiali::token_ended(evidence)),
        (Code::TokenRefused, kiali::token_refused(evidence)),
        (Code::RemoteUnknown, kiali::remote_unknown(evidence)),
        (Code::KialiDown, kiali::down(evidence)),
        (Code::KialiBlind, kiali::blind(evidence)),
        (Code::NotQueried, store::not_queried(evidence)),
        (Code::OtherPrometheus, kiali::other_prometheus(evidence)),
        (Code::AmbientNotSeen, ztunnel::not_seen(evidence)),
    ];
    judged.into()
}

impl Judgement {
    fn unknown(why: &str) -> Judgement {
        Judgement {
            likely: Vec::new(),
            unknown: vec![Unknown {
                cluster: None,
                why: why.into(),
            }],
        }
    }

    fn likely(likely: impl IntoIterator<Item = Likely>) -> Judgement {
        Judgement {
            likely: likely.into_iter().collect(),
            unknown: Vec::new(),
        }
    }
}

/// Judges each cluster by what is known of it. Clusters that do not answer are unknown.
fn of_each(
    evidence: &Evidence,
    judge: impl Fn(&ClusterEvidence) -> Known<Vec<Likely>>,
) -> Judgement {
    let mut judgement = of_each_in_metrics(evidence, judge);
    let absent = evidence.absent.iter().map(|(name, why)| Unknown {
        cluster: Some(name.clone()),
        why: why.clone(),
    });
    judgement.unknown.extend(absent);
    judgement
}

/// The same for what does not need the cluster to answer this machine.
fn of_each_in_metrics(
    evidence: &Evidence,
    judge: impl Fn(&ClusterEvidence) -> Known<Vec<Likely>>,
) -> Judgement {
    let mut judgement = Judgement::default();
    for cluster in &evidence.clusters {
        match judge(cluster) {
            Ok(likely) => judgement.likely.extend(likely),
            Err(why) => judgement.unknown.push(Unknown {
                cluster: Some(cluster.name.clone()),
                why,
            }),
        }
    }
    judgement
}

/// The findings with this code.
fn with_code(cluster: &ClusterEvidence, code: Code) -> Known<Vec<&Finding>> {
    let findings = cluster.findings.as_ref().map_err(Clone::clone)?;
    Ok(findings.iter().filter(|one| one.code == code).collect())
}

/// The same; unknown if there is none and the user may not read objects of these kinds, which it would be about.
fn readable<'a>(
    cluster: &'a ClusterEvidence,
    code: Code,
    kinds: &[&str],
) -> Known<Vec<&'a Finding>> {
    let found = with_code(cluster, code)?;
    let blind = with_code(cluster, Code::NotLookedAt)?;
    let mut hidden = blind
        .iter()
        .filter(|one| kinds.contains(&one.object.kind.as_str()));
    match hidden.next() {
        Some(hidden) if found.is_empty() => Err(format!("{}: {}", hidden.object, hidden.cause)),
        _ => Ok(found),
    }
}

fn likely(
    cluster: &ClusterName,
    (likelihood, place): (Likelihood, Place),
    seen: impl Into<String>,
    fix: impl Into<String>,
) -> Likely {
    Likely {
        cluster: Some(cluster.clone()),
        likelihood,
        place,
        seen: seen.into(),
        fix: fix.into(),
    }
}
