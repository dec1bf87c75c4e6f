//! The hop from each cluster's Prometheus to the federating one: scraped where it is exposed now, and
//! nothing else let through there.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::prometheus::{ActiveTarget, Federation};
use super::{Finding, Hop, exposure};
use crate::guide::Step;
use crate::install::Run;
use crate::mesh::{Cluster, ClusterName};
use crate::steps::{aggregate_metrics, expose_prometheus};

/// Two scrapes of the federating Prometheus, and some air.
const SCRAPED: Duration = Duration::from_secs(40);

/// Two findings for each cluster.
pub async fn targets(run: &Run<'_>, federation: Option<&Federation<'_>>) -> Vec<Finding> {
    let found = join_all(
        run.mesh
            .all()
            .map(|cluster| of_cluster(run, cluster, federation)),
    )
    .await;
    let (scraped, exposed): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    [scraped, exposed].concat()
}

async fn of_cluster(
    run: &Run<'_>,
    cluster: &Cluster,
    federation: Option<&Federation<'_>>,
) -> (Finding, Finding) {
    let scope = run.on(Step::ExposePrometheus, cluster);
    let address = match expose_prometheus::target(&scope).await {
        Ok(target) => target.map(|t| t.address),
        Err(error) => {
            let broken = |hop| Finding::new(hop, &cluster.name, Err(format!("{error:#}")));
            return (broken(Hop::ScrapeTarget), broken(Hop::Exposure));
        }
    };
    let scraped = async {
        match federation {
            Some(federation) => scraped(federation, &cluster.name, address.as_deref()).await,
            None => Err("no pod of the federating Prometheus is ready".into()),
        }
    };
    let exposed = async {
        match &address {
            Some(address) => exposure::closed(address).await,
            None => Ok("no address".into()),
        }
    };
    let (scraped, exposed) = tokio::join!(scraped, exposed);
    (
        Finding::new(Hop::ScrapeTarget, &cluster.name, scraped),
        Finding::new(Hop::Exposure, &cluster.name, exposed),
    )
}

/// Waits for a scrape that is newer than this question: the last one may be of before it broke.
async fn scraped(
    federation: &Federation<'_>,
    cluster: &ClusterName,
    address: Option<&str>,
) -> Result<String, String> {
    let job = aggregate_metrics::job(cluster);
    let end = Instant::now() + SCRAPED;
    let mut first: Option<String> = None;
    loop {
        let targets = federation
            .targets()
            .await
            .map_err(|e| format!("federating Prometheus: {e:#}"))?;
        let target = targets.into_iter().find(|t| t.scrape_pool == job);
        let late = Instant::now() > end;
        match target {
            // A Prometheus that has just started does not know its targets yet.
            None if late => {
                return Err(format!("the federating Prometheus has no scrape job {job}"));
            }
            None => {}
            Some(target) => {
                moved(&target, address)?;
                let since = first.get_or_insert_with(|| target.last_scrape.clone());
                if *since != target.last_scrape && target.health != "unknown" {
                    return judge(&target);
                }
                if late {
                    return Err(format!(
                        "{} was not scraped within {} s",
                        target.scrape_url,
                        SCRAPED.as_secs()
                    ));
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn moved(target: &ActiveTarget, address: Option<&str>) -> Result<(), String> {
    match address {
        Some(address) if !target.scrape_url.contains(&format!("//{address}/")) => Err(format!(
            "the Gateway's address is {address} now, but the federating Prometheus scrapes {}: run install again",
            target.scrape_url
        )),
        _ => Ok(()),
    }
}

fn judge(target: &ActiveTarget) -> Result<String, String> {
    let url = target.scrape_url.split('?').next().unwrap_or_default();
    match target.health.as_str() {
        "up" => Ok(format!("{url} up")),
        _ => Err(format!("{url} is {}: {}", target.health, target.last_error)),
    }
}
