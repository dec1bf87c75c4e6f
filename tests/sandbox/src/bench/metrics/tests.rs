use std::collections::BTreeMap;

use super::*;

/// The histograms of a waypoint.
const HISTOGRAMS: usize = 3;

/// The number of series of each name that a profile pulls from a real Prometheus.
async fn pulled(bench: &Bench, edge: &Server, profile: &str) -> Result<BTreeMap<String, usize>> {
    let (home, _) = bench.configs(profile, &edge.address)?;
    let selectors = home["scrape_configs"][0]["params"]["match[]"].as_array();
    let page = edge.page(selectors.context("selectors")?).await?;
    let mut names = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, _) = line.split_once('{').context("a series")?;
        *names.entry(name.to_string()).or_default() += 1;
    }
    Ok(names)
}

#[tokio::test]
async fn each_profile_pulls_all_series_of_its_metrics_and_no_others() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tools = Tools::ensure(&target()?, |line| eprintln!("{line}"))?;
    let bench = Bench {
        run: Run::start()?,
        prometheus: tools.prometheus,
        ambikiali: build("ambikiali")?,
        interval: "5s".into(),
        pulls: 1,
    };
    let served = Mesh::of(4).serve().await?;
    let (_, config) = bench.configs("core", "127.0.0.1:9090")?;
    let mut config = scraping(config, &served);
    // A rule that keeps the name of a counter: what it sums up has no instance.
    let rules = bench.run.folder().join("rules.yml");
    let rule = json!({
        "record": "istio_requests_total",
        "expr": "sum without (pod, instance) (istio_requests_total)",
    });
    let groups = json!({"groups": [{"name": "sums", "interval": "1s", "rules": [rule]}]});
    std::fs::write(&rules, groups.to_string())?;
    config["rule_files"] = json!([rules]);
    let edge = bench.server("edge", &config).await?;
    bench.scraped(&edge, served.pods()).await?;

    let guide = pulled(&bench, &edge, "guide").await?;
    let core = pulled(&bench, &edge, "core").await?;
    let lean = pulled(&bench, &edge, "lean").await?;
    // Six edges, each with two codes at two replicas of a waypoint, and reported by three nodes at both ends.
    assert_eq!(served.mesh.edges, 6);
    for (name, count) in [
        ("istio_requests_total", 24),
        ("istio_request_duration_milliseconds_sum", 24),
        ("istio_response_bytes_count", 24),
        ("istio_tcp_received_bytes_total", 36),
        ("istio_tcp_connections_closed_total", 36),
        ("pilot_xds", 1),
    ] {
        assert_eq!(
            (core.get(name), lean.get(name)),
            (Some(&count), Some(&count)),
            "{name}"
        );
    }
    let recorded = guide["istio_requests_total"];
    assert!(recorded > 24, "the rule has recorded nothing: {recorded}");
    let buckets = "istio_request_duration_milliseconds_bucket";
    assert_eq!(core.get(buckets), Some(&(24 * 20)));
    let mut without = core.clone();
    without.remove(buckets);
    assert_eq!(lean, without);
    let of_sizes = |name: &&String| name.ends_with("_bucket");
    assert_eq!(guide.keys().filter(of_sizes).count(), HISTOGRAMS);
    assert_eq!(core.keys().filter(of_sizes).count(), 1);
    assert!(core.keys().all(|name| guide.contains_key(name)), "{core:?}");
    edge.stop().await?;
    bench.run.end()
}
