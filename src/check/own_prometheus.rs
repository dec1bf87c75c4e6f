//! Whether the objects exist with which home scrapes Prometheus servers of the user. Of a Secret, only the names of its
//! keys are used.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use super::Finding;
use crate::code::Code;
use crate::k8s::Scope;
use crate::k8s::request::send_opt;
use crate::progress::ObjectId;
use crate::run::Run;

pub async fn check(run: &Run<'_>, scope: &Scope<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !scope.is_home() {
        return findings;
    }
    for (cluster, access) in &scope.settings.own_prometheus {
        let https = run.mesh.all().find(|one| one.name == *cluster);
        let https = https.and_then(|one| one.prometheus.as_ref());
        let https = https.is_some_and(|address| address.https().is_some());
        for (kind, name, keys) in access.mounted() {
            let id = ObjectId::new(kind, scope.namespace, name);
            let finding = |cause: String, fix: String| {
                Finding::new(Code::OwnPrometheusObject, scope.cluster, id.clone(), cause).fix(fix)
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
    findings
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
