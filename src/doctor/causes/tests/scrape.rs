//! Causes in the scrapes.

use super::*;

#[test]
fn a_policy_that_does_not_keep_the_scrape_from_working_is_no_cause() {
    let with_policy = |change: fn(&mut Metrics)| {
        let mut evidence = with(change);
        let network = finding(
            NAMES[1],
            Code::CutOffByNetworkPolicy,
            ("NetworkPolicy", "allows nothing"),
        );
        let mesh = finding(
            NAMES[1],
            Code::DeniedByPolicy,
            ("AuthorizationPolicy", "denies"),
        );
        evidence.clusters[1].findings = Ok(vec![network, mesh]);
        judged(&evidence).0
    };
    assert_eq!(with_policy(|_| {}), [0; 0]);
    let down = |metrics: &mut Metrics| {
        metrics.targets.as_mut().unwrap()[1] = target("federate-cluster2", "cluster2", "down");
    };
    assert_eq!(with_policy(down), [1217, 1216, 1501]);
    assert_eq!(
        with_policy(|metrics| metrics.targets = Err("404".into())),
        [1217, 1216]
    );
}

#[test]
fn series_under_another_name_may_be_of_the_ztunnels_that_are_missed() {
    let missed = |series: [(Option<String>, f64); 2]| {
        with(|metrics| {
            metrics.ztunnels = Ok(vec![NAMES[0].into()]);
            metrics.series = Ok(series.into());
        })
    };
    let [home, remote] = NAMES.map(|name| (Some(name.to_string()), 1.0));
    let mut both = missed([home.clone(), remote]);
    assert_eq!(judged(&both), (vec![1522], vec![]));
    // It is a consequence of this.
    let cause = ("DaemonSet", "0 of 1 pods are ready");
    both.clusters[1].findings = Ok(vec![finding(NAMES[1], Code::ZtunnelNotReady, cause)]);
    assert_eq!(judged(&both), (vec![1208], vec![1522]));
    let unnamed = missed([home, (None, 1.0)]);
    assert_eq!(judged(&unnamed), (vec![1505], vec![1522]));
}

#[test]
fn a_policy_in_the_namespace_of_kiali_may_block_kiali_alone() {
    let mut evidence = healthy();
    let mut network = finding(
        NAMES[0],
        Code::CutOffByNetworkPolicy,
        ("NetworkPolicy", "allows nothing from Kiali"),
    );
    network.object.namespace = Some("kiali".into());
    evidence.clusters[0].findings = Ok(vec![network]);
    assert_eq!(judged(&evidence).0, [1217]);
}

#[test]
fn a_policy_is_no_cause_while_the_store_gets_all() {
    let mut evidence = healthy();
    evidence.has_store = true;
    evidence.metrics = Err("the metrics are in the store".into());
    let network = finding(
        NAMES[1],
        Code::CutOffByNetworkPolicy,
        ("NetworkPolicy", "allows nothing"),
    );
    evidence.clusters[1].findings = Ok(vec![network]);
    assert_eq!(judged(&evidence).0, [1217]);
    let has = crate::verify::Finding::on(Hop::Store, &evidence.clusters[1].name, Ok("has".into()));
    evidence.stored = Ok(vec![has]);
    assert_eq!(judged(&evidence).0, [0; 0]);
}

#[test]
fn a_gateway_without_an_address_is_told_before_the_scrape_that_fails() {
    let mut evidence = with(|metrics| {
        metrics.targets.as_mut().unwrap()[1] = target("federate-cluster2", "cluster2", "down");
    });
    evidence.clusters[1].exposed = Ok(None);
    let judged = judge(&evidence).into_iter();
    let likely = judged.flat_map(|(code, one)| one.likely.into_iter().map(move |one| (code, one)));
    let ranks = likely.map(|(code, one)| (one.likelihood, one.place, code));
    assert_eq!(
        ranks.collect::<Vec<_>>(),
        [
            (
                Likelihood::Seen,
                Place::Gateway,
                Code::GatewayWithoutAddress
            ),
            (Likelihood::Seen, Place::Federation, Code::ScrapeTargetDown),
        ]
    );
}

#[test]
fn a_timeout_is_one_of_a_slow_scrape_only_if_earlier_ones_were_slow() {
    let after = |seconds: Option<f64>| {
        let evidence = with(|metrics| {
            let mut late = serde_json::json!({
                "scrapePool": "federate-cluster2", "scrapeUrl": "http://cluster2:9090/federate",
                "lastScrape": "", "health": "down", "scrapeTimeout": "10s",
            });
            late["lastError"] =
                "Get \"http://cluster2:9090/federate\": context deadline exceeded".into();
            metrics.targets.as_mut().unwrap()[1] = serde_json::from_value(late).unwrap();
            let slowest = seconds.map(|seconds| ("federate-cluster2".to_string(), seconds));
            metrics.slowest = Ok(slowest.into_iter().collect());
        });
        judged(&evidence).0
    };
    assert_eq!(after(Some(6.0)), [1525]);
    assert_eq!(after(Some(1.0)), [1501]);
    assert_eq!(after(None), [1501]);
}
