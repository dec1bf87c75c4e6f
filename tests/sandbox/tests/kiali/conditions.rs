//! The operator: what it writes, and which conditions it reports when.

use std::pin::pin;

use ambikiali_sandbox::Cluster;
use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::watcher::{Config, Event, watcher};
use serde_json::json;
use tokio::time::timeout;

use crate::operator::{self, apply};
use crate::{PATIENCE, condition, cr, home_spec, kialis, settled, until};

/// The CRs exist before the operators, and a ServiceAccount of our own before the CR.
pub async fn install(home: &Cluster, remote: &Cluster) -> Result<()> {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "kiali-service-account", "namespace": "kiali", "labels": {"ours": "yes"}},
    });
    operator::kinds(home).await?;
    operator::kinds(remote).await?;
    apply(remote, account).await?;
    let spec = json!({
        "auth": {"strategy": "anonymous"}, "deployment": {"remote_cluster_resources_only": true},
    });
    tokio::try_join!(cr(home, home_spec()), cr(remote, spec))?;
    tokio::try_join!(operator::install(home), operator::install(remote))?;
    let (a, b) = tokio::try_join!(settled(home), settled(remote))?;
    for cr in [a, b] {
        assert_eq!(condition(&cr, "Failure"), "False/");
        assert_eq!(
            cr.data["status"]["progress"]["message"],
            "6. Finished all resource creation"
        );
        assert_eq!(
            cr.data["status"]["environment"]["operatorVersion"],
            operator::VERSION
        );
        assert_eq!(
            cr.metadata.finalizers.unwrap_or_default(),
            ["kiali.io/finalizer"]
        );
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(remote.client(), "kiali");
    let adopted = accounts.get("kiali-service-account").await?.metadata;
    let labels = adopted.labels.unwrap_or_default();
    assert_eq!(
        (labels["ours"].as_str(), labels["app"].as_str()),
        ("yes", "kiali")
    );
    assert_eq!(adopted.owner_references, None);
    let deployments = |cluster: &Cluster| Api::<Deployment>::namespaced(cluster.client(), "kiali");
    assert!(deployments(remote).get_opt("kiali").await?.is_none());
    let made = deployments(home).get("kiali").await?.metadata;
    let owners = made.owner_references.unwrap_or_default();
    assert_eq!(
        (owners[0].kind.as_str(), owners[0].controller),
        ("Kiali", None)
    );
    let managers = made.managed_fields.unwrap_or_default();
    let managers: Vec<_> = managers
        .iter()
        .filter_map(|m| m.manager.as_deref())
        .collect();
    assert!(managers.contains(&"OpenAPI-Generator"), "{managers:?}");
    Ok(())
}

/// When the run in progress ends, the new generation looks done for a moment, with a new completion time.
pub async fn a_change_during_a_run(home: &Cluster) -> Result<()> {
    let crs = kialis(home);
    let before = crs
        .get("kiali")
        .await?
        .metadata
        .generation
        .context("no generation")?;
    let mut seen: Vec<(i64, String, String)> = Vec::new();
    let config = Config::default().fields("metadata.name=kiali");
    let mut events = pin!(watcher(crs.clone(), config));
    let change = |n: u32| Patch::Merge(json!({"spec": {"server": {"web_port": n.to_string()}}}));
    crs.patch("kiali", &PatchParams::default(), &change(1))
        .await?;
    let mut changed = false;
    let ended = timeout(PATIENCE, async {
        while let Some(event) = events.next().await {
            let Event::Apply(cr) = event? else { continue };
            let state = condition(&cr, "Running");
            if !changed && state == "True/Running" {
                changed = true;
                crs.patch("kiali", &PatchParams::default(), &change(2))
                    .await?;
            }
            let generation = cr.metadata.generation.unwrap_or_default();
            seen.push((generation, state, condition(&cr, "Successful")));
            let maps: Api<ConfigMap> = Api::namespaced(home.client(), "kiali");
            let data = maps.get("kiali").await?.data.unwrap_or_default();
            let done = data["config.yaml"].contains("web_port: '2'")
                || data["config.yaml"].contains("web_port: \"2\"");
            if done
                && seen
                    .last()
                    .is_some_and(|(_, running, _)| running == "True/Successful")
            {
                return anyhow::Ok(());
            }
        }
        bail!("the watch ended")
    });
    ended.await??;
    let trap = |(generation, running, successful): &(i64, String, String)| {
        *generation == before + 2 && running == "True/Successful" && successful == "True/Successful"
    };
    let first = seen.iter().position(trap).context("never done")?;
    let again = seen[first..]
        .iter()
        .any(|(_, running, _)| running == "True/Running");
    ensure!(again, "the new generation was done at once: {seen:?}");
    Ok(())
}

/// Whether the message of the failure contains this text.
fn says(text: &'static str) -> impl Fn(&DynamicObject) -> bool {
    move |cr| {
        let conditions = cr.data["status"]["conditions"].as_array();
        let failure = conditions
            .into_iter()
            .flatten()
            .find(|c| c["type"] == "Failure");
        failure.is_some_and(|c| c["message"].as_str().unwrap_or_default().contains(text))
    }
}

pub async fn failures(home: &Cluster) -> Result<()> {
    let key = json!({"auth": {"strategy": "token"}, "login_token": {"signing_key": "short"}});
    cr(home, key).await?;
    until(
        home,
        "a bad key",
        says("Signing key must be 16, 24 or 32 byte length"),
    )
    .await?;
    let mut image = home_spec();
    image["deployment"]["image_version"] = json!("v2.0.0");
    cr(home, image).await?;
    until(
        home,
        "an ad hoc image",
        says("ad hoc Kiali image [:v2.0.0]"),
    )
    .await?;
    let mut remote = home_spec();
    remote["deployment"]["remote_cluster_resources_only"] = json!(true);
    cr(home, remote).await?;
    until(home, "immutable", says("It was [false] but is now [true]")).await?;
    short_of_rights(home).await?;
    cr(home, home_spec()).await?;
    until(home, "healed", |cr| {
        condition(cr, "Successful") == "True/Successful" && condition(cr, "Failure") == "False/"
    })
    .await?;
    Ok(())
}

/// The operator fails when a right is missing.
async fn short_of_rights(home: &Cluster) -> Result<()> {
    let roles: Api<ClusterRole> = Api::all(home.client());
    let mut less = roles.get("kiali-operator").await?;
    let rules = less.rules.clone();
    less.rules.iter_mut().flatten().for_each(|rule| {
        let groups = rule.api_groups.get_or_insert_default();
        groups.retain(|group| group != "batch");
        if groups.is_empty() {
            groups.push("gone".into());
        }
    });
    let roles_without = roles
        .replace("kiali-operator", &Default::default(), &less)
        .await?;
    let mut viewer = home_spec();
    viewer["auth"]["strategy"] = json!("token");
    cr(home, viewer).await?;
    until(
        home,
        "short of rights",
        says("attempting to grant RBAC permissions not currently held"),
    )
    .await?;
    less = roles_without;
    less.rules = rules;
    roles
        .replace("kiali-operator", &Default::default(), &less)
        .await?;
    Ok(())
}
