//! Whether the objects exist with which home scrapes Prometheus servers of the user, and whether it gets series. Of a
//! Secret, only the names of its keys are used.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use super::Finding;
use crate::code::Code;
use crate::k8s::Scope;
use crate::k8s::request::send_opt;
use crate::progress::ObjectId;
use crate::run::Run;
use crate::steps::aggregate_metrics::Federation;

pub async fn check(run: &Run<'_>, scope: &Scope<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !scope.is_home() {
        return findings;
    }
    for (cluster, access) in &scope.settings.own_prometheus {
        let theirs = run.mesh.all().find(|one| one.name == *cluster);
        let theirs = theirs.and_then(|one| one.prometheus.as_ref());
        let https = theirs.is_some_and(|address| address.https().is_some());
        if theirs.is_none() && access.selector.is_some() {
            let id = ObjectId::cluster_wide("Prometheus", &format!("of {cluster}"));
            let cause = "is not one of yours, and --prometheus-selector is only for those";
            let finding = Finding::new(Code::OwnPrometheusOption, scope.cluster, id, cause);
            findings.push(finding.fix(format!(
                "give its address with --prometheusN, or take the option back: --prometheus-selector {cluster}=default"
            )));
        }
        for (kind, name, keys) in access.mounted() {
            let id = ObjectId::new(kind, scope.namespace, name);
            let finding = |cause: String, fix: String| {
                Finding::new(Code::OwnPrometheusOption, scope.cluster, id.clone(), cause).fix(fix)
            };
            if !https {
                findings.push(finding(
                    format!("is for the Prometheus of {cluster}, which is not scraped over https"),
                    format!("give its address with --prometheusN https://HOST:PORT, or take the option back: --prometheus-auth {cluster}=default --prometheus-ca {cluster}=default"),
                ));
                continue;
            }
            // Not every user may read it.
            let Some(has) = has(scope, &id).await else {
                continue;
            };
            let missing = keys.iter().filter(|key| !has.iter().any(|has| has == *key));
            let missing = missing.copied().collect::<Vec<_>>();
            if !missing.is_empty() {
                findings.push(finding(
                    format!(
                        "lacks {}, with which home scrapes the Prometheus of {cluster}",
                        missing.join(", ")
                    ),
                    format!("create it with {}", keys.join(" and ")),
                ));
            }
        }
    }
    findings.extend(without_series(run, scope).await);
    findings
}

/// The servers that the last install scraped with the same selector as this one, and that brought nothing. Only the
/// federating Prometheus of an install can tell.
async fn without_series(run: &Run<'_>, scope: &Scope<'_>) -> Vec<Finding> {
    let stored = scope.record.stored_options().unwrap_or_default().settings();
    let all = scope.settings.own_prometheus.iter();
    let selected = all.filter_map(|(cluster, access)| {
        let selector = access.selector.as_ref()?;
        let before = stored.own_prometheus.get(cluster)?.selector.as_ref()?;
        let cluster = run.mesh.all().find(|one| one.name == *cluster)?;
        (before == selector).then_some((cluster, selector))
    });
    let selected = selected.collect::<Vec<_>>();
    if selected.is_empty() {
        return Vec::new();
    }
    let Ok(federation) = Federation::find(scope).await else {
        return Vec::new();
    };
    let samples = federation
        .by_cluster("scrape_samples_scraped{job=~\"federate-.*\"}")
        .await;
    let Ok(samples) = samples else {
        return Vec::new();
    };
    let none = selected
        .into_iter()
        .filter(|(cluster, _)| samples.get(cluster.name.as_str()) == Some(&0.0));
    none.map(|(cluster, selector)| {
        let id = ObjectId::cluster_wide("Prometheus", "of the user");
        let cause = format!("sends no series to home: none match {selector}");
        let finding = Finding::new(Code::NoSeries, cluster, id, cause);
        finding.fix(format!(
            "name series that it has: --prometheus-selector '{}={{job=\"JOB\"}}'",
            cluster.name
        ))
    })
    .collect()
}

/// The keys of an object, none if it is missing; None if that is unknown.
async fn has(scope: &Scope<'_>, id: &ObjectId) -> Option<Vec<String>> {
    let client = scope.cluster.client.clone();
    if id.kind == "Secret" {
        let api = Api::<Secret>::namespaced(client, scope.namespace);
        let found = send_opt(scope, id, || api.get(&id.name)).await.ok()?;
        let data = found.and_then(|found| found.data).unwrap_or_default();
        return Some(data.into_keys().collect());
    }
    let api = Api::<ConfigMap>::namespaced(client, scope.namespace);
    let found = send_opt(scope, id, || api.get(&id.name)).await.ok()?;
    let data = found.and_then(|found| found.data).unwrap_or_default();
    Some(data.into_keys().collect())
}
