//! Whether the user's own store can work: its addresses, the Secrets with its credentials, a Prometheus that is not
//! ours, and the labels of the series that a cluster has now.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use http::Uri;
use serde_json::json;

use super::Finding;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::forward::Connection;
use crate::k8s::{Scope, secret, write};
use crate::mesh::{Address, UnreachableReason};
use crate::metrics::Profile;
use crate::progress::ObjectId;
use crate::prometheus;
use crate::run::Run;
use crate::steps::cluster_prometheus;
use crate::store::{Credentials, Store};
use crate::visible;

/// For series of a Prometheus that may be busy.
const ANSWER: Duration = Duration::from_secs(10);
/// The series that are looked at: some of each metric, because a mesh has many with the same labels.
const SERIES: &str = "topk by (__name__) (50, {__name__=~\"istio_.+\"})";

pub async fn check(run: &Run<'_>, scope: &Scope<'_>) -> Result<Vec<Finding>> {
    let Some(store) = &scope.settings.store else {
        return Ok(Vec::new());
    };
    let allow_loopback = run.choices.allow_loopback;
    let is_own = scope.cluster.prometheus.is_none() && cluster_prometheus::is_own(scope).await;
    let mut findings = addresses(scope, store, allow_loopback);
    findings.extend(not_ours(scope, store, is_own));
    findings.extend(secrets(scope, store, is_own).await);
    if is_own {
        findings.extend(labels(scope, store).await);
    }
    Ok(findings)
}

fn id(url: &str) -> ObjectId {
    ObjectId::cluster_wide("Store", url)
}

/// Home queries the store, and every cluster writes to it.
fn addresses(scope: &Scope<'_>, store: &Store, allow_loopback: bool) -> Vec<Finding> {
    let useless = |url: &str, flag: &str, from_home: bool| {
        let why = unreachable(url)?;
        let fine = match why {
            UnreachableReason::Loopback => allow_loopback,
            UnreachableReason::InCluster | UnreachableReason::ShortName => from_home,
            UnreachableReason::Unroutable
            | UnreachableReason::Metadata
            | UnreachableReason::InvalidHost => false,
        };
        let finding = || {
            let cause = format!("its host {why}");
            let fix = format!("name an address that the pods of this cluster reach: --{flag} URL");
            Finding::new(Code::UselessStoreAddress, scope.cluster, id(url), cause).fix(fix)
        };
        (!fine).then(finding)
    };
    let home = scope.is_home();
    let written = useless(&store.write_url, "remote-write-url", home);
    let mut findings = written.into_iter().collect::<Vec<_>>();
    if home {
        findings.extend(useless(&store.url, "store-url", true));
        let health = store.health_url.as_deref();
        findings.extend(health.and_then(|url| useless(url, "store-health-url", true)));
        findings.extend(clear_text(scope, store));
    }
    findings
}

fn unreachable(url: &str) -> Option<UnreachableReason> {
    let uri = url.parse::<Uri>().ok()?;
    let port = uri.port_u16().unwrap_or(80);
    let address = Address::try_from(format!("{}:{port}", uri.host()?));
    let reason = |address: Address| address.unreachable_reason();
    address.map_or(Some(UnreachableReason::InvalidHost), reason)
}

fn clear_text(scope: &Scope<'_>, store: &Store) -> Option<Finding> {
    store.credentials.as_ref()?;
    let url = store.urls().find(|url| url.starts_with("http://"))?;
    let cause = "gets the credentials of --store-secret over plain HTTP";
    let finding = Finding::new(Code::StoreInClearText, scope.cluster, id(url), cause);
    Some(finding.fix("use https:// for the URLs of the store"))
}

fn not_ours(scope: &Scope<'_>, store: &Store, is_own: bool) -> Option<Finding> {
    if is_own {
        return None;
    }
    let object = match &scope.cluster.prometheus {
        Some(address) => ObjectId::cluster_wide("Prometheus", &format!("at {address}")),
        None => ObjectId::new("Service", ISTIO_NAMESPACE, "prometheus"),
    };
    let cause = format!(
        "is not ours, so it writes to {} only if you configure it",
        store.write_url
    );
    let finding = Finding::new(Code::NotOursToWrite, scope.cluster, object, cause);
    Some(finding.fix(format!(
        "add remote_write to its configuration: url {}, and in write_relabel_configs {{target_label: cluster, replacement: {}}}",
        store.write_url, scope.cluster.name
    )))
}

/// The Secrets that the user makes: of each, only the names of its keys count.
async fn secrets(scope: &Scope<'_>, store: &Store, is_own: bool) -> Vec<Finding> {
    let Some(credentials) = &store.credentials else {
        return Vec::new();
    };
    let places = [
        (scope.is_home(), scope.namespace),
        (is_own, ISTIO_NAMESPACE),
    ];
    let mut findings = Vec::new();
    for (_, namespace) in places.into_iter().filter(|(needed, _)| *needed) {
        let id = ObjectId::new("Secret", namespace, credentials.secret());
        // Not every user may read it.
        let Ok(live) = secret::live(scope, &id).await else {
            continue;
        };
        let Some(cause) = lacks(live.as_ref().map(|live| &live["data"]), credentials) else {
            continue;
        };
        let keys = credentials.keys().iter();
        let files = keys.map(|key| format!(" --from-file={key}"));
        let fix = format!(
            "-n {namespace} create secret generic {}{}",
            credentials.secret(),
            files.collect::<String>()
        );
        let finding = Finding::new(Code::NoStoreSecret, scope.cluster, id, cause);
        let finding = finding.kubectl(scope.cluster, &fix);
        findings.push(match has_namespace(scope, namespace).await {
            true => finding,
            false => {
                let first = format!("{} create namespace {namespace}", scope.cluster.kubectl);
                let both = format!("{first} && {}", finding.fix);
                finding.fix(both)
            }
        });
    }
    findings
}

/// Whether it exists, as far as the user may know.
async fn has_namespace(scope: &Scope<'_>, name: &str) -> bool {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let id = ObjectId::cluster_wide("Namespace", name);
    !matches!(write::read(scope, &object, &id).await, Ok(None))
}

fn lacks(data: Option<&serde_json::Value>, credentials: &Credentials) -> Option<String> {
    let Some(data) = data else {
        return Some("is missing".into());
    };
    let has = |key: &str| data[key].as_str().is_some_and(|value| !value.is_empty());
    let missing = credentials.keys().iter().find(|key| !has(key))?;
    Some(format!("has no key {missing}"))
}

/// Looks at the series of our own Prometheus, if it is there already.
async fn labels(scope: &Scope<'_>, store: &Store) -> Option<Finding> {
    let most = store.engine.most_labels()?;
    let target = cluster_prometheus::target(scope).await.ok()??;
    let mut server = Connection::once(scope, &target, ANSWER).await.ok()?;
    let series = prometheus::query(&mut server, SERIES).await.ok()?;
    let series = series.into_iter().map(|sample| sample.metric);
    let series = series.collect::<Vec<_>>();
    let (name, count) = widest(&series, scope.settings.metrics.profile)?;
    if count <= most {
        return None;
    }
    let object = ObjectId::new("Deployment", ISTIO_NAMESPACE, "prometheus");
    let name = visible::short(name, 80);
    let cause = format!(
        "has series {name} with {count} labels, and the store takes {most} by default: it {}",
        store.engine.beyond()
    );
    Some(Finding::new(
        Code::TooManyLabels,
        scope.cluster,
        object,
        cause,
    ))
}

/// The name of the series with the most labels on its way to the store, and their number with `cluster`.
fn widest(series: &[BTreeMap<String, String>], profile: Profile) -> Option<(&str, usize)> {
    let (names, labels) = (profile.names(), profile.labels_regex());
    let kept = labels.split('|').collect::<Vec<_>>();
    let is_kept = |label: &str| names.is_none() || kept.contains(&label);
    let counted = series.iter().filter_map(|series| {
        let name = series.get("__name__")?.as_str();
        let sent = names.as_ref().is_none_or(|names| names.contains(&name));
        let own = series.keys().filter(|l| *l != "cluster" && is_kept(l));
        sent.then(|| (name, own.count() + 1))
    });
    counted.max_by_key(|(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_are_counted_as_they_are_sent() {
        let series = |name: &str, labels: &[&str]| {
            let labels = labels.iter().map(|l| ((*l).to_string(), "x".to_string()));
            let name = ("__name__".to_string(), name.to_string());
            labels.chain([name]).collect::<BTreeMap<_, _>>()
        };
        let all = [
            series("istio_requests_total", &["app", "pod", "chart", "release"]),
            series(
                "istio_agent_x",
                &["app", "pod", "namespace", "instance", "job"],
            ),
        ];
        assert_eq!(
            widest(&all, Profile::Core),
            Some(("istio_requests_total", 4))
        );
        assert_eq!(widest(&all, Profile::Guide), Some(("istio_agent_x", 7)));
        assert_eq!(widest(&[], Profile::Core), None);
    }

    #[test]
    fn a_secret_needs_each_key() {
        let basic = Credentials::Basic("store".into());
        let whole = json!({"username": "YQ==", "password": "Yg=="});
        assert_eq!(lacks(Some(&whole), &basic), None);
        let half = json!({"username": "YQ==", "password": ""});
        assert_eq!(
            lacks(Some(&half), &basic).as_deref(),
            Some("has no key password")
        );
        let bearer = Credentials::Bearer("store".into());
        assert_eq!(
            lacks(Some(&whole), &bearer).as_deref(),
            Some("has no key token")
        );
        assert_eq!(lacks(None, &bearer).as_deref(), Some("is missing"));
    }

    #[test]
    fn a_host_is_judged_as_a_pod_sees_it() {
        for (url, why) in [
            ("http://127.0.0.1:8428", Some(UnreachableReason::Loopback)),
            ("http://localhost/x", Some(UnreachableReason::Loopback)),
            (
                "http://169.254.169.254/latest",
                Some(UnreachableReason::Unroutable),
            ),
            (
                "http://vm.monitoring.svc:8428",
                Some(UnreachableReason::InCluster),
            ),
            ("https://[2001:db8::1]", None),
            ("https://vm.example.com", None),
        ] {
            assert_eq!(unreachable(url), why, "{url}");
        }
    }
}
