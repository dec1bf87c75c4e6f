use super::*;

fn target(cluster: &str, address: &str) -> ScrapeTarget {
    ScrapeTarget {
        cluster: ClusterName::new(cluster).unwrap(),
        address: address.into(),
        mutual_tls: false,
        https: None,
    }
}

fn federating(targets: &[ScrapeTarget]) -> PrometheusConfig {
    with(targets, Profile::Guide, &Accesses::new())
}

fn with(targets: &[ScrapeTarget], profile: Profile, accesses: &Accesses) -> PrometheusConfig {
    let interval = Interval::default();
    let metrics = Metrics {
        profile,
        interval,
        ..Metrics::default()
    };
    PrometheusConfig::federating(targets, metrics, accesses)
}

#[test]
fn the_configuration_is_the_guides_with_its_gaps_closed() {
    let config = federating(&[target("cluster1", "127.0.1.200:9090")]);
    assert_eq!(
        config.render().unwrap(),
        r#"global:
  scrape_interval: 15s
  scrape_timeout: 12s
scrape_configs:
- job_name: federate-cluster1
  honor_labels: true
  track_timestamps_staleness: true
  follow_redirects: false
  sample_limit: 180000
  body_size_limit: 320MB
  label_limit: 128
  label_name_length_limit: 512
  label_value_length_limit: 4096
  metrics_path: /federate
  params:
    "match[]":
    - "{job=\"kubernetes-pods\"}"
  static_configs:
  - targets:
    - 127.0.1.200:9090
    labels:
      cluster: cluster1
  metric_relabel_configs:
  - target_label: cluster
    replacement: cluster1
"#
    );
}

#[test]
fn a_gateway_with_mutual_tls_is_pinned_by_files_beside_the_configuration() {
    let exposed = ScrapeTarget {
        mutual_tls: true,
        ..target("cluster1", "127.0.1.200:9090")
    };
    let config = federating(std::slice::from_ref(&exposed));
    let text = config.render().unwrap();
    let tls = "  scheme: https
  tls_config:
    ca_file: gateway-cluster1.crt
    cert_file: client.crt
    key_file: client.key
    server_name: prometheus-gateway.ambikiali.dev
";
    assert!(text.contains(tls), "{text}");
    assert_eq!(super::target(&text, &exposed.cluster), Some(exposed));
}

#[test]
fn a_server_of_the_user_is_scraped_over_https_with_files_that_are_mounted() {
    let theirs = ScrapeTarget {
        https: Some("/prom".into()),
        ..target("west", "p.example.com:443")
    };
    let options = [
        ("prometheus-auth.west", "basic:metrics"),
        ("prometheus-ca.west", "bundle"),
        ("prometheus-selector.west", "{job=\"mesh\"}"),
    ];
    let options = options.map(|(k, v)| (k.to_string(), v.to_string()));
    let accesses = own_prometheus::accesses(&options.into());
    let federating = |profile| with(std::slice::from_ref(&theirs), profile, &accesses);
    let text = federating(Profile::Guide).render().unwrap();
    let scraped = "  scheme: https
  tls_config:
    ca_file: own-west-ca.crt
  basic_auth:
    username_file: own-west-username
    password_file: own-west-password
  metrics_path: /prom/federate
";
    assert!(text.contains(scraped), "{text}");
    let taken = "\"match[]\":\n    - \"{job=\\\"mesh\\\"}\"\n";
    assert!(text.contains(taken), "{text}");
    assert_eq!(super::target(&text, &theirs.cluster), Some(theirs.clone()));
    let lean = federating(Profile::Lean).render().unwrap();
    let within = lean.matches("instance!=\\\"\\\",job=\\\"mesh\\\"}").count();
    assert_eq!(within, Profile::Lean.selectors().len(), "{lean}");
    let bearer = [("prometheus-auth.west".to_string(), "bearer:t".to_string())];
    let accesses = own_prometheus::accesses(&bearer.into());
    let config = with(&[theirs], Profile::Guide, &accesses);
    let text = config.render().unwrap();
    let scraped = "  scheme: https
  authorization:
    credentials_file: own-west-token
  metrics_path: /prom/federate
";
    assert!(text.contains(scraped), "{text}");
}

#[test]
fn an_empty_target_never_leaves_this_module() {
    for address in [":9090", "", "host", "host:", "host:x"] {
        let config = federating(&[target("a", address)]);
        assert!(
            config
                .render()
                .unwrap_err()
                .to_string()
                .contains("has no host or no port"),
            "{address}"
        );
    }
}

#[test]
fn a_target_is_found_in_whatever_was_written() {
    let cluster = ClusterName::new("cluster1").unwrap();
    let config = federating(&[target("cluster1", "x:1")]);
    let text = config.render().unwrap() + "rule_files: [more]\n";
    assert_eq!(
        super::target(&text, &cluster),
        Some(target("cluster1", "x:1"))
    );
    let other = ClusterName::new("cluster2").unwrap();
    for (text, cluster) in [
        (text.as_str(), &other),
        ("", &cluster),
        ("- a: [", &cluster),
    ] {
        assert_eq!(super::target(text, cluster), None, "{text}");
    }
}

#[test]
fn a_configuration_tells_what_it_pulls() {
    let target = [target("cluster1", "x:1")];
    for profile in Profile::ALL {
        let interval = "30s".parse().unwrap();
        let options = [(MAX_SERIES.to_string(), "400000".to_string())];
        let limits = Limits::of(&options.into());
        let metrics = Metrics {
            profile,
            interval,
            limits,
        };
        let config = PrometheusConfig::federating(&target, metrics, &Accesses::new());
        let text = config.render().unwrap();
        assert_eq!(super::metrics(&text), metrics, "{text}");
        assert_eq!(
            text.contains("action: labeldrop"),
            profile != Profile::Guide
        );
    }
    for other in ["", "- a: [", "global: {scrape_interval: 1s}"] {
        assert_eq!(super::metrics(other), Metrics::default());
    }
}

#[test]
fn two_clusters_of_one_name_are_refused() {
    let config = federating(&[target("a", "x:1"), target("a", "y:1")]);
    assert!(
        config
            .render()
            .unwrap_err()
            .to_string()
            .contains("share one scrape job")
    );
}

#[test]
fn a_cluster_named_like_a_boolean_stays_a_name() {
    let text = federating(&[target("no", "x:1")]).render().unwrap();
    assert!(
        text.contains("cluster: \"no\"") || text.contains("cluster: 'no'"),
        "{text}"
    );
}
