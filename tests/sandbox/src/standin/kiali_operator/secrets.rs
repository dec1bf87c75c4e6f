//! Restarts Kiali when a Secret with the multi-cluster label appears or changes. A deletion does not restart it.
//! Ordinary remote cluster Secrets are not watched at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt, pin_mut};
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, Patch};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Error, ResourceExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::Operator;
use super::apply::by_roles;
use super::reconcile::roll;

const LABEL: &str = "kiali.io/kiali-multi-cluster-secret=true";

pub(super) async fn run(operator: &Operator) {
    let (changed, changes) = unbounded_channel();
    tokio::join!(watch(operator, changed), rolls(operator, changes));
}

async fn watch(operator: &Operator, changed: UnboundedSender<String>) {
    let client = operator.container.client.clone();
    let secrets: Api<Secret> = match &operator.settings.watch_namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let events = watcher(secrets, watcher::Config::default().labels(LABEL)).default_backoff();
    pin_mut!(events);
    let mut known: HashMap<(String, String), BTreeMap<String, ByteString>> = HashMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(secret) | watcher::Event::InitApply(secret)) => {
                let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
                let data = secret.data.unwrap_or_default();
                let before = known.insert((namespace.clone(), name), data.clone());
                if before.is_none_or(|before| before != data) && changed.send(namespace).is_err() {
                    return;
                }
            }
            Ok(watcher::Event::Delete(secret)) => {
                known.remove(&(secret.namespace().unwrap_or_default(), secret.name_any()));
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
            Err(why) => operator
                .container
                .log(format_args!("error: watching Secrets: {why}")),
        }
    }
}

/// Restarts Kiali once for all changes that are waiting. A change during a restart causes another one.
async fn rolls(operator: &Operator, mut changes: UnboundedReceiver<String>) {
    while let Some(first) = changes.recv().await {
        let mut namespaces = BTreeSet::from([first]);
        while let Ok(more) = changes.try_recv() {
            namespaces.insert(more);
        }
        sleep(operator.container.world.delays().roll).await;
        for namespace in namespaces {
            if let Err(why) = roll_all(operator, &namespace).await {
                operator.container.log(format_args!(
                    "ignoring: rolling Kiali in {namespace}: {why}"
                ));
            }
        }
    }
}

async fn roll_all(operator: &Operator, namespace: &str) -> Result<(), Error> {
    let client = operator.container.client.clone();
    let deployments: Api<Deployment> = Api::namespaced(client, namespace);
    let kialis = ListParams::default().labels("app.kubernetes.io/name=kiali");
    for kiali in deployments.list(&kialis).await? {
        deployments
            .patch(&kiali.name_any(), &by_roles(), &Patch::Strategic(roll()))
            .await?;
    }
    Ok(())
}
