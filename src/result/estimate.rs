//! `estimate`.

use serde::Serialize;

use super::{Cluster, Unreachable};
use crate::estimate::{self, Estimate, Share};
use crate::mesh::ClusterName;
use crate::metrics::{self, Metrics, Profile};
use crate::problem::Exit;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EstimateResult {
    pub clusters: Vec<Cluster>,
    /// The profile in use.
    pub profile: &'static str,
    pub timeout_seconds: f64,
    /// What the federating Prometheus takes at most.
    pub limits: Limits,
    /// Limits of which the profile in use takes at most half; null if the limits above are such, or if it is unknown.
    pub needed: Option<Limits>,
    /// The Prometheus of each cluster.
    pub estimates: Vec<ClusterEstimate>,
    /// What the federating Prometheus needs in total, as far as the clusters are known.
    pub home: Vec<Home>,
    pub unreachable: Vec<Unreachable>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Of one cluster.
    pub series: u32,
    /// Of one pull, before compression.
    pub bytes: u64,
    pub memory: String,
    pub memory_bytes: u64,
}

impl From<metrics::Limits> for Limits {
    fn from(limits: metrics::Limits) -> Limits {
        Limits {
            series: limits.series,
            bytes: limits.bytes(),
            memory: limits.memory_quantity(),
            memory_bytes: limits.memory(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterEstimate {
    pub cluster: ClusterName,
    /// Why nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub profiles: Vec<ProfileEstimate>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileEstimate {
    pub profile: &'static str,
    pub series: u64,
    pub labels: usize,
    /// Null if there are no series.
    pub bytes: Option<u64>,
    pub compressed_bytes: Option<u64>,
    pub seconds: Option<f64>,
    pub fit: Fit,
}

/// Whether a pull fits into its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fit {
    Fits,
    /// Takes more than half of the timeout, or brings more than half of the series that one cluster may send.
    Tight,
    /// Would fail.
    Fails,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Home {
    pub profile: &'static str,
    pub series: u64,
    pub memory_bytes: u64,
}

impl EstimateResult {
    pub fn of(
        clusters: Vec<Cluster>,
        metrics: Metrics,
        estimates: Vec<Estimate>,
        unreachable: Vec<Unreachable>,
    ) -> EstimateResult {
        let home = Profile::ALL.map(|profile| {
            let found = estimates.iter().filter_map(|one| one.found.as_ref().ok());
            let shares = found.flatten().filter(|share| share.profile == profile);
            let shares = shares.collect::<Vec<_>>();
            Home {
                profile: profile.name(),
                series: shares.iter().map(|share| share.series).sum(),
                memory_bytes: estimate::memory(shares),
            }
        });
        let timeout = metrics.interval.timeout().as_secs_f64();
        let of_cluster = |one: Estimate| {
            let (shares, reason) = match one.found {
                Ok(shares) => (shares, None),
                Err(reason) => (Vec::new(), Some(reason)),
            };
            let shares = shares
                .iter()
                .map(|share| ProfileEstimate::of(share, timeout, metrics.limits));
            ClusterEstimate {
                cluster: one.cluster,
                reason,
                profiles: shares.collect(),
            }
        };
        let mut result = EstimateResult {
            clusters,
            profile: metrics.profile.name(),
            timeout_seconds: timeout,
            limits: metrics.limits.into(),
            needed: None,
            estimates: estimates.into_iter().map(of_cluster).collect(),
            home: home.into(),
            unreachable,
        };
        result.needed = result.raised();
        result
    }

    /// Higher limits, of which the profile in use takes at most half. None if it does so of the ones in use.
    fn raised(&self) -> Option<Limits> {
        if !self.is_known() {
            return None;
        }
        let of_profile = self.estimates.iter().flat_map(|one| &one.profiles);
        let of_profile = of_profile.filter(|one| one.profile == self.profile);
        let (mut series, mut bytes) = (0, 0);
        for one in of_profile {
            series = series.max(one.series);
            bytes = bytes.max(one.bytes.unwrap_or(0));
        }
        let home = self.home.iter().find(|home| home.profile == self.profile)?;
        let needed = Limits::from(metrics::Limits::twice(series, bytes, home.memory_bytes));
        let mut limits = self.limits.clone();
        if needed.series > limits.series {
            (limits.series, limits.bytes) = (needed.series, needed.bytes);
        }
        if needed.memory_bytes > limits.memory_bytes {
            (limits.memory, limits.memory_bytes) = (needed.memory, needed.memory_bytes);
        }
        (limits != self.limits).then_some(limits)
    }

    /// Whether each cluster answered.
    fn is_known(&self) -> bool {
        self.unreachable.is_empty() && self.estimates.iter().all(|one| one.reason.is_none())
    }

    /// Whether the profile in use takes at most half of the timeout in each cluster.
    pub fn is_in_time(&self) -> bool {
        let all = self.estimates.iter().flat_map(|one| &one.profiles);
        let mut of_profile = all.filter(|one| one.profile == self.profile);
        of_profile.all(|one| one.seconds.unwrap_or(0.0) <= self.timeout_seconds / 2.0)
    }

    /// The worst of a profile in all clusters; None if one of them is unknown.
    fn fit_of(&self, profile: &str) -> Option<Fit> {
        let all = self.estimates.iter().flat_map(|one| &one.profiles);
        let of_profile = all.filter(|one| one.profile == profile).map(|one| one.fit);
        let home = self.home.iter().filter(|home| home.profile == profile);
        let of_home =
            home.map(|home| Fit::of(home.memory_bytes as f64 / self.limits.memory_bytes as f64));
        of_profile.chain(of_home).filter(|_| self.is_known()).max()
    }

    /// That of the profile in use.
    pub fn fit(&self) -> Option<Fit> {
        self.fit_of(self.profile)
    }

    /// Another profile that fits, the one with more series first.
    pub fn better(&self) -> Option<&'static str> {
        let others = Profile::ALL.into_iter().map(Profile::name);
        let mut others = others.filter(|name| *name != self.profile);
        others.find(|name| self.fit_of(name) == Some(Fit::Fits))
    }

    pub fn exit(&self) -> Option<Exit> {
        if !self.unreachable.is_empty() {
            return Some(Exit::Unreachable);
        }
        let unknown = self.estimates.iter().any(|one| one.reason.is_some());
        unknown.then_some(Exit::Unexpected)
    }
}

impl Fit {
    /// By the part of a limit that is used.
    fn of(part: f64) -> Fit {
        match part {
            part if part > 1.0 => Fit::Fails,
            part if part > 0.5 => Fit::Tight,
            _ => Fit::Fits,
        }
    }
}

impl ProfileEstimate {
    fn of(share: &Share, timeout: f64, limits: metrics::Limits) -> ProfileEstimate {
        let pull = share.pull;
        let seconds = pull.map(|pull| pull.time.as_secs_f64());
        let parts = [
            seconds.unwrap_or(0.0) / timeout,
            share.series as f64 / f64::from(limits.series),
            pull.map_or(0, |pull| pull.bytes) as f64 / limits.bytes() as f64,
        ];
        ProfileEstimate {
            profile: share.profile.name(),
            series: share.series,
            labels: share.labels,
            bytes: pull.map(|pull| pull.bytes),
            compressed_bytes: pull.map(|pull| pull.compressed),
            seconds,
            fit: Fit::of(parts.into_iter().fold(0.0, f64::max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::estimate::Pull;

    fn share(series: u64, bytes: u64, milliseconds: u64) -> Share {
        let pull = Pull {
            bytes,
            compressed: bytes / 50,
            time: Duration::from_millis(milliseconds),
        };
        Share {
            profile: Profile::Core,
            series,
            labels: 20,
            pull: Some(pull),
        }
    }

    fn fit(series: u64, bytes: u64, milliseconds: u64) -> Fit {
        let share = share(series, bytes, milliseconds);
        ProfileEstimate::of(&share, 10.0, metrics::Limits::default()).fit
    }

    fn estimated(series: u64, bytes: u64, milliseconds: u64) -> EstimateResult {
        let estimate = Estimate {
            cluster: crate::mesh::ClusterName::new("east").unwrap(),
            found: Ok(vec![share(series, bytes, milliseconds)]),
        };
        EstimateResult::of(vec![], Metrics::default(), vec![estimate], vec![])
    }

    #[test]
    fn limits_that_are_needed_are_named_only_if_they_help() {
        assert_eq!(estimated(50_000, 70_000_000, 100).needed, None);
        let large = estimated(263_582, 373_500_000, 4_000);
        assert_eq!((large.fit(), large.is_in_time()), (Some(Fit::Fails), true));
        let needed = large.needed.unwrap();
        assert_eq!((needed.series, needed.memory.as_str()), (530_000, "11Gi"));
        let slow = estimated(263_582, 373_500_000, 7_000);
        assert!(!slow.is_in_time());
    }

    #[test]
    fn a_pull_fits_into_half_of_each_limit() {
        let limits = metrics::Limits::default();
        let (series, bytes) = (u64::from(limits.series), limits.bytes());
        assert_eq!(fit(series / 2, bytes / 2, 5_000), Fit::Fits);
        assert_eq!(fit(series / 2 + 1, 1, 1), Fit::Tight);
        assert_eq!(fit(1, bytes / 2 + 1, 1), Fit::Tight);
        assert_eq!(fit(1, 1, 5_001), Fit::Tight);
        assert_eq!(fit(series + 1, 1, 1), Fit::Fails);
        assert_eq!(fit(1, bytes + 1, 1), Fit::Fails);
        assert_eq!(fit(1, 1, 10_001), Fit::Fails);
    }
}
