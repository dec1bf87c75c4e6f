use serde_json::json;

use super::*;
use crate::mesh::ClusterName;
use crate::metrics::Metrics;

fn options(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    let each = all.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    each.collect()
}

fn store(all: &[(&str, &str)]) -> Store {
    Store::of(&options(all)).expect("a store")
}

#[test]
fn a_preset_fills_the_fields_of_its_engine() {
    let of = |text: &str| {
        let store = store(&[(STORE, text)]);
        let headers = store.headers.into_iter();
        let headers = headers.map(|(name, value)| format!("{name}={value}"));
        (
            store.url,
            store.write_url,
            store.health_url.unwrap_or_default(),
            headers.collect::<String>(),
        )
    };
    let filled = |url: &str, write: &str, health: &str, header: &str| {
        (url.into(), write.into(), health.into(), header.into())
    };
    let cases = [
        (
            "mimir=https://mimir.example.com/,tenant=mesh-1",
            filled(
                "https://mimir.example.com/prometheus",
                "https://mimir.example.com/api/v1/push",
                "https://mimir.example.com/ready",
                "X-Scope-OrgID=mesh-1",
            ),
        ),
        (
            "victoriametrics=http://192.0.2.7:8428",
            filled(
                "http://192.0.2.7:8428",
                "http://192.0.2.7:8428/api/v1/write",
                "",
                "",
            ),
        ),
        (
            "victoriametrics=https://vm.example.com,cluster=1:2",
            filled(
                "https://vm.example.com/select/1:2/prometheus",
                "https://vm.example.com/insert/1:2/prometheus/api/v1/write",
                "https://vm.example.com/health",
                "",
            ),
        ),
        (
            "thanos=http://query:10902,receive=https://receive.example.com:19291",
            filled(
                "http://query:10902",
                "https://receive.example.com:19291/api/v1/receive",
                "",
                "",
            ),
        ),
        (
            "thanos=http://query:10902,receive=https://r.example.com/in",
            filled("http://query:10902", "https://r.example.com/in", "", ""),
        ),
        (
            "prometheus=https://[2001:db8::1]:9090/p",
            filled(
                "https://[2001:db8::1]:9090/p",
                "https://[2001:db8::1]:9090/p/api/v1/write",
                "",
                "",
            ),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(of(text), expected, "{text}");
    }
}

#[test]
fn a_field_of_its_own_goes_before_that_of_the_preset() {
    let mimir = (STORE, "mimir=https://m.example.com,tenant=a");
    let own = store(&[
        mimir,
        (STORE_URL, "http://mimir.monitoring/prometheus"),
        (HEALTH_URL, "http://mimir.monitoring/ready"),
        ("store-header.X-Scope-OrgID", "b"),
    ]);
    assert_eq!(own.engine, Engine::Mimir);
    assert_eq!(own.url, "http://mimir.monitoring/prometheus");
    assert_eq!(own.write_url, "https://m.example.com/api/v1/push");
    assert_eq!(own.headers["X-Scope-OrgID"], "b");
    let generic = store(&[(STORE_URL, "http://a/x"), (WRITE_URL, "http://b/y")]);
    assert_eq!(generic.engine, Engine::Other);
    assert!(Store::of(&options(&[(STORE_URL, "http://a/x")])).is_none());
}

#[test]
fn options_without_a_store_are_refused() {
    for (all, cause) in [
        (
            vec![(STORE_URL, "http://a")],
            "--store-url needs --remote-write-url",
        ),
        (
            vec![(WRITE_URL, "http://a")],
            "--remote-write-url needs --store-url",
        ),
        (
            vec![(SECRET, "a")],
            "--store-secret goes with --store, or with --store-url and --remote-write-url",
        ),
        (
            vec![("store-header.A", "b")],
            "--store-header goes with --store, or with --store-url and --remote-write-url",
        ),
    ] {
        assert_eq!(check(&options(&all)).unwrap_err(), cause);
    }
    assert_eq!(check(&options(&[("registry", "a.b")])), Ok(()));
}

#[test]
fn values_are_validated_as_a_record_has_them() {
    for (name, value) in [
        (STORE, "mimir=https://a"),
        (STORE, "mimir=https://a,tenant="),
        (STORE, "mimir=https://a,tenant=a|b"),
        (STORE, "mimir=https://a,tenant=.."),
        (STORE, "victoriametrics=http://a,cluster=x"),
        (STORE, "victoriametrics=http://a,cluster=1:2:3"),
        (STORE, "victoriametrics=http://a,cluster=1,cluster=2"),
        (STORE, "thanos=http://a"),
        (STORE, "prometheus=http://a,x=y"),
        (STORE, "none"),
        (STORE, "default"),
        (STORE, "influx=http://a"),
        (STORE_URL, "a.example.com"),
        (STORE_URL, "ftp://a"),
        (STORE_URL, "http://"),
        (STORE_URL, "http://:8428"),
        (STORE_URL, "http://a:0"),
        (STORE_URL, "http://a:x"),
        (STORE_URL, "http://user:password@a"),
        (STORE_URL, "http://a?b=c"),
        (STORE_URL, "http://a#b"),
        (STORE_URL, "http://a/%2e%2e"),
        (STORE_URL, "http://a/../b"),
        (STORE_URL, "http://a//b"),
        (STORE_URL, "http://a\n- b"),
        (WRITE_URL, "http://a/${x}"),
        (HEALTH_URL, "default"),
        (STORE_URL, &format!("http://{}", "a".repeat(600))),
        (SECRET, ""),
        (SECRET, "A"),
        (SECRET, "a/b"),
        (SECRET, "a..b"),
        (SECRET, "a:password"),
        ("store-header.", "a"),
        ("store-header.a b", "c"),
        ("store-header.Authorization", "Bearer"),
        ("store-header.X-Api-Token", "a"),
        ("store-header.Host", "a"),
        ("store-header.A", "b c"),
        ("store-header.A", ""),
    ] {
        assert!(known(name, value).unwrap().is_err(), "{name} {value:?}");
    }
    for (name, value) in [
        (
            STORE_URL,
            "http://vm.monitoring.svc:8428/select/0/prometheus",
        ),
        (SECRET, "store.credentials"),
        (SECRET, "store:token"),
        ("store-header.THANOS-TENANT", "mesh"),
    ] {
        assert_eq!(known(name, value), Some(Ok(())), "{name} {value}");
    }
    assert_eq!(known("registry", "a"), None);
    let samples = [
        "mimir=https://a:1/b,tenant=c",
        "http://[::1]:9/a",
        "a.b:token",
    ];
    crate::fuzz::fuzz("the options of a store", &samples, |input| {
        let text = String::from_utf8_lossy(input);
        for name in [STORE, STORE_URL, SECRET, "store-header.A"] {
            let _ = known(name, &text);
        }
        if let Ok(url) = url(&text) {
            assert!(!url.contains(['@', '?', '#', '%', '$', '"', '\n', ' ']));
        }
    });
}

#[test]
fn kiali_and_prometheus_are_told_the_same_store() {
    let mimir = store(&[
        (STORE, "mimir=https://m.example.com,tenant=a"),
        (SECRET, "store"),
    ]);
    let metrics = Metrics::default();
    assert_eq!(
        mimir.for_kiali(metrics),
        json!({
            "url": "https://m.example.com/prometheus",
            "health_check_url": "https://m.example.com/ready",
            "custom_headers": {"X-Scope-OrgID": "a"},
            "thanos_proxy": {"enabled": true, "scrape_interval": "15s", "retention_period": "15d"},
            "auth": {"type": "basic", "username": "secret:store:username", "password": "secret:store:password"},
        })
    );
    let cluster = ClusterName::new("C3.prod").unwrap();
    let written = &mimir.remote_write(&cluster, metrics)["remote_write"][0];
    assert_eq!(written["url"], "https://m.example.com/api/v1/push");
    assert_eq!(written["headers"], json!({"X-Scope-OrgID": "a"}));
    assert_eq!(
        written["basic_auth"],
        json!({"username_file": "/etc/store/username", "password_file": "/etc/store/password"})
    );
    let relabel = written["write_relabel_configs"].as_array().unwrap();
    let actions = relabel.iter().map(|rule| rule["action"].as_str().unwrap());
    assert_eq!(
        actions.collect::<Vec<_>>(),
        ["keep", "labelkeep", "replace"]
    );
    assert_eq!(relabel[2]["replacement"], "C3.prod");
    let plain = store(&[
        (STORE, "prometheus=http://p.example.com:9090"),
        (SECRET, "store:token"),
    ]);
    assert_eq!(
        plain.for_kiali(metrics),
        json!({
            "url": "http://p.example.com:9090",
            "auth": {"type": "bearer", "token": "secret:store:token"},
        })
    );
    let written = &plain.remote_write(&cluster, metrics)["remote_write"][0];
    assert_eq!(
        written["authorization"]["credentials_file"],
        "/etc/store/token"
    );
    assert!(written.get("headers").is_none() && written.get("basic_auth").is_none());
}
