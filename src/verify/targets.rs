//! Checks the hop from each cluster's Prometheus to the federating one: the scrape target is the currently
//! exposed address and is up, and the address exposes nothing else.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use tokio::time::{Instant, sleep};

use super::report::{WaitReporter, report_one};
use super::{Finding, Hop, Verdict, exposure};
use crate::guide::{ISTIO_NAMESPACE, Step};
use crate::k8s::kinds;
use crate::k8s::request::send_opt;
use crate::mesh::ClusterName;
use crate::mesh::pages;
use crate::metrics::Profile;
use crate::policies;
use crate::progress::ObjectId;
use crate::run::Run;
use crate::steps::aggregate_metrics::{self, ActiveTarget, Federation};
use crate::steps::{ScrapeTarget, expose_prometheus};

/// How long two scrapes by the federating Prometheus may take after two intervals.
const SCRAPED: Duration = Duration::from_secs(10);
/// Prometheus lists its jobs up to 5 s after it is ready.
const SHOWN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);
/// For a target that is up, but slow.
const ADVICE: &str = "ambikiali explain AK1470";

/// Returns two findings for each cluster: scrape target and exposure.
pub async fn targets(
    run: &Run<'_>,
    federation: &Result<Federation<'_>>,
    expected: &[ClusterName],
) -> Vec<Finding> {
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    let own = match run.settings.exposure.mutual_tls() {
        true => aggregate_metrics::certificate(&home).await.ok(),
        false => None,
    };
    let own = own.as_deref();
    let found = expected.iter().map(|c| of_cluster(run, federation, own, c));
    let (scraped, exposed): (Vec<_>, Vec<_>) = join_all(found).await.into_iter().unzip();
    [scraped, exposed].concat()
}

async fn of_cluster(
    run: &Run<'_>,
    federation: &Result<Federation<'_>>,
    own: Option<&str>,
    cluster: &ClusterName,
) -> (Finding, Finding) {
    let target = exposed(run, cluster).await;
    let scraped = async {
        let target = target.as_ref().map_err(|e| format!("{e:#}"))?;
        let federation = federation.as_ref().map_err(|e| format!("{e:#}"))?;
        match up(run, federation, cluster, target.as_ref()).await {
            Err(error) if error.contains("HTTP status 403") => {
                Err(format!("{error}; {}", denied(run, cluster).await))
            }
            seen => seen,
        }
    };
    let theirs = is_theirs(run, cluster);
    let exposure = async {
        match &target {
            _ if theirs => {
                let why = "its Prometheus is not managed by ambikiali";
                Finding::with_verdict(Hop::Exposure, Some(cluster), Verdict::Skipped, why)
            }
            Ok(Some(target)) => Finding::on(
                Hop::Exposure,
                cluster,
                closed(run, own, cluster, target).await,
            ),
            _ => {
                let why = "the address of its Gateway is unknown";
                Finding::with_verdict(Hop::Exposure, Some(cluster), Verdict::Unproven, why)
            }
        }
    };
    let scraped = async { Finding::on(Hop::ScrapeTarget, cluster, scraped.await) };
    tokio::join!(
        report_one(run, Hop::ScrapeTarget, cluster, scraped),
        report_one(run, Hop::Exposure, cluster, exposure),
    )
}

/// Whether the address lets in the federating Prometheus alone. This machine can try it only without a certificate, so
/// also looks at which ones the Gateway trusts.
async fn closed(
    run: &Run<'_>,
    own: Option<&str>,
    cluster: &ClusterName,
    target: &ScrapeTarget,
) -> Result<String, String> {
    let closed = exposure::closed(target).await?;
    if !target.mutual_tls {
        return Ok(closed);
    }
    match lets_in_others(run, own, cluster).await {
        Ok(true) => Err(format!(
            "https://{} also lets in a client with another certificate than that of the federating Prometheus: run install again",
            target.address
        )),
        Ok(false) => Ok(closed),
        Err(_) => Ok(format!("{closed}; which ones its Secret trusts is unknown")),
    }
}

/// `own` is the certificate of the federating Prometheus.
async fn lets_in_others(run: &Run<'_>, own: Option<&str>, cluster: &ClusterName) -> Result<bool> {
    let own = own.context("that of the federating Prometheus is unknown")?;
    let cluster = run.mesh.all().find(|one| one.name == *cluster);
    let gateway = run.on(
        Step::ExposePrometheus,
        cluster.context("a cluster of the mesh")?,
    );
    Ok(!expose_prometheus::lets_in_only(&gateway, own).await?)
}

/// Explains a 403: names the AuthorizationPolicy that may cause it.
async fn denied(run: &Run<'_>, cluster: &ClusterName) -> String {
    let Some(cluster) = run.mesh.all().find(|c| c.name == *cluster) else {
        return "an AuthorizationPolicy there may deny it".into();
    };
    let scope = run.on(Step::ExposePrometheus, cluster);
    let kind = kinds::authorization_policy();
    let client = cluster.client.clone();
    let api = Api::<DynamicObject>::namespaced_with(client, ISTIO_NAMESPACE, &kind);
    let all = ObjectId::new("AuthorizationPolicies", ISTIO_NAMESPACE, "all");
    let list = ListParams::default();
    let policies = send_opt(&scope, &all, || pages::list(&api, &list)).await;
    let policies = policies.ok().flatten();
    match policies::denying(policies.as_deref().unwrap_or_default()) {
        Some((policy, what)) => {
            format!(
                "{} {what}: ambikiali explain AK1216",
                policies::name(policy)
            )
        }
        None => format!(
            "an AuthorizationPolicy may deny it: {} -n {ISTIO_NAMESPACE} get authorizationpolicies",
            cluster.kubectl
        ),
    }
}

/// Where a cluster's Prometheus is exposed; None for an unreachable cluster.
async fn exposed(run: &Run<'_>, cluster: &ClusterName) -> Result<Option<ScrapeTarget>> {
    let Some(cluster) = run.mesh.all().find(|c| c.name == *cluster) else {
        return Ok(None);
    };
    expose_prometheus::target(&run.on(Step::ExposePrometheus, cluster), true).await
}

/// Whether the user supplied the Prometheus of this cluster.
fn is_theirs(run: &Run<'_>, cluster: &ClusterName) -> bool {
    let mut all = run.mesh.all();
    all.any(|c| c.name == *cluster && c.prometheus.is_some())
}

/// Describes the Prometheus of a cluster for messages.
fn server(run: &Run<'_>, cluster: &ClusterName) -> String {
    match is_theirs(run, cluster) {
        true => format!("the Prometheus of {cluster}"),
        false => format!("Deployment istio-system/prometheus of {cluster}"),
    }
}

/// Waits for a new scrape, because the last one may be older than the failure.
async fn up(
    run: &Run<'_>,
    federation: &Federation<'_>,
    cluster: &ClusterName,
    exposed: Option<&ScrapeTarget>,
) -> Result<String, String> {
    let job = aggregate_metrics::job(cluster);
    let scraped = run.settings.metrics.interval.times(2) + SCRAPED;
    let (begin, patience) = (Instant::now(), run.deadline.at_most(scraped));
    let object = ObjectId::cluster_wide("scrape job", &job);
    let mut waits = WaitReporter::of(run, Hop::ScrapeTarget, cluster, object);
    let mut first: Option<String> = None;
    let server = server(run, cluster);
    loop {
        let targets = federation.targets().await;
        let targets = targets.map_err(|e| format!("federating Prometheus: {e:#}"))?;
        match targets.into_iter().find(|t| t.scrape_pool == job) {
            None if begin.elapsed() > SHOWN => {
                return Err(format!(
                    "the federating Prometheus has no scrape job {job}: run install again"
                ));
            }
            None => waits.update("the federating Prometheus does not list it yet".into()),
            Some(target) => {
                at(&target, exposed)?;
                let since = first.get_or_insert_with(|| target.last_scrape.clone());
                let scraped = *since != target.last_scrape && target.health != "unknown";
                if scraped {
                    judge(&target, &server)?;
                    if has_samples(federation, cluster).await? {
                        let slow = target.slow().map(|slow| format!("; it {slow}: {ADVICE}"));
                        return Ok(format!("{} up{}", target.url(), slow.unwrap_or_default()));
                    }
                }
                if begin.elapsed() > patience {
                    return Err(match scraped {
                        true => no_series(run, &target, cluster),
                        false => not_scraped(&target, patience),
                    });
                }
                let url = target.url();
                waits.update(match scraped {
                    true => format!("{url} is up, but has sent no series yet"),
                    false => format!("waiting for the next scrape of {url}"),
                });
            }
        }
        sleep(PAUSE).await;
    }
}

fn at(target: &ActiveTarget, exposed: Option<&ScrapeTarget>) -> Result<(), String> {
    match exposed.map(ScrapeTarget::url) {
        Some(url) if target.url() != url => Err(format!(
            "the Gateway is at {url}, but the federating Prometheus scrapes {}: run install again",
            target.url()
        )),
        _ => Ok(()),
    }
}

fn judge(target: &ActiveTarget, server: &str) -> Result<(), String> {
    let (url, why) = (target.url(), target.error());
    match target.health.as_str() {
        "up" => Ok(()),
        health => Err(format!(
            "{url} is {health}: {why}{}",
            hint(&target.last_error, server)
        )),
    }
}

/// A hint for errors that are not about the connection.
fn hint(error: &str, server: &str) -> String {
    match () {
        () if error.contains("deadline exceeded") => {
            format!("; {server} needs more CPU, or fewer series to keep")
        }
        () if error.contains("label_") && error.contains("limit exceeded") => format!(
            "; a series of {server} has more or longer labels than ConfigMap prometheus-config allows"
        ),
        () if error.contains("limit exceeded") => {
            format!("; {server} keeps more series than ConfigMap prometheus-config allows")
        }
        () if error.contains("tls: ") || error.contains("x509: ") => {
            "; the certificates of both sides do not match, or have ended: run install again".into()
        }
        () if error.contains("HTTP status 30") => {
            "; redirects are not followed: the address is not that of a Prometheus".into()
        }
        () => String::new(),
    }
}

/// Whether the target sends any series. A target is `up` without any, which is fine only until the cluster's
/// own Prometheus has scraped something.
async fn has_samples(federation: &Federation<'_>, cluster: &ClusterName) -> Result<bool, String> {
    let job = aggregate_metrics::job(cluster);
    let query = format!("scrape_samples_scraped{{job=\"{job}\"}}");
    let samples = federation.by_cluster(&query).await;
    let samples = samples.map_err(|e| format!("federating Prometheus: {e:#}"))?;
    Ok(samples.get(cluster.as_str()).is_some_and(|n| *n > 0.0))
}

fn no_series(run: &Run<'_>, target: &ActiveTarget, cluster: &ClusterName) -> String {
    let access = run.settings.own_prometheus.get(cluster);
    let selector = access.and_then(|access| access.selector.as_ref());
    let from = match (selector, run.settings.metrics.profile) {
        (Some(selector), _) => {
            format!("that match {selector}, which must be those of ztunnels and waypoints")
        }
        (None, Profile::Guide) => {
            "from job kubernetes-pods, which must scrape ztunnels and waypoints".into()
        }
        (None, Profile::Core | Profile::Lean) => {
            "of the mesh: one of its jobs must scrape ztunnels and waypoints".into()
        }
    };
    format!(
        "{} is up but sends no series: the Prometheus of {cluster} has none {from}",
        target.url()
    )
}

fn not_scraped(target: &ActiveTarget, patience: Duration) -> String {
    let waited = patience.as_secs();
    format!("{} was not scraped within {waited} s", target.url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_tls_is_told_from_one_of_the_server() {
        let mismatch =
            "; the certificates of both sides do not match, or have ended: run install again";
        for error in [
            "Get \"https://192.0.2.7:9090/federate\": remote error: tls: unknown certificate authority",
            "Get \"https://192.0.2.7:9090/federate\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ] {
            assert_eq!(hint(error, "server"), mismatch);
        }
        let redirect = hint("server returned HTTP status 302 Found", "server");
        assert!(redirect.contains("redirects are not followed"));
        assert_eq!(hint("connection refused", "server"), "");
    }
}
