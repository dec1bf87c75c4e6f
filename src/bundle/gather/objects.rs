//! Objects of an install, and of the mesh around it. Secrets are not among them: none is asked for, neither by its name
//! nor in a list.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};

use super::{AT_ONCE, Of};
use crate::bundle::{File, Found};
use crate::guide::{ISTIO_NAMESPACE, SAMPLE};
use crate::k8s::request::{RequestError, send};
use crate::k8s::{kinds, record};
use crate::mesh::pages;
use crate::planned;
use crate::progress::ObjectId;
use crate::run::Run;
use crate::steps::kiali;

/// Kinds that are read as lists.
const LISTED: [&str; 6] = [
    "Deployment",
    "Service",
    "Pod",
    "NetworkPolicy",
    "Gateway",
    "Kiali",
];
/// Kinds of an install that are not read: they hold secrets, or are the same in every cluster.
const UNREAD: [&str; 2] = ["Secret", "CustomResourceDefinition"];
/// The most objects of a kind in a namespace.
const MOST: usize = 1000;
/// Namespace of Istio's sample apps, whose labels decide whether `verify` can send traffic.
/// What tells the Gateways of a network from those of applications.
const NETWORK: &str = "topology.istio.io/network";

/// One request.
struct Wanted {
    resource: ApiResource,
    namespace: Option<String>,
    which: Which,
}

enum Which {
    Name(String),
    /// All that have these labels.
    Labels(&'static str),
    /// The Gateways of the two namespaces, and those between networks.
    Gateways,
}

/// All objects, in a file for each kind and namespace.
pub async fn objects(run: &Run<'_>, of: &Of<'_>) -> Found {
    let asked = wanted(run, of).into_iter().map(|one| asked(of, one));
    let answers = stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>();
    let (mut found, mut files) = (Found::default(), BTreeMap::new());
    for (plural, answer) in answers.await {
        match answer {
            Ok(objects) => objects.into_iter().for_each(|object| {
                let metadata = &object["metadata"];
                let namespace = metadata["namespace"].as_str().unwrap_or("cluster");
                let place = (namespace.to_string(), plural.clone());
                let key = metadata["name"].as_str().unwrap_or_default().to_string();
                let file: &mut BTreeMap<_, _> = files.entry(place).or_default();
                file.insert(key, object);
            }),
            Err(error) => found.missing.extend(of.refused(&error)),
        }
    }
    for ((namespace, plural), objects) in files {
        if objects.len() > MOST {
            let what = format!("{} more {plural} in {namespace}", objects.len() - MOST);
            let why = format!("at most {MOST} are kept");
            found.missing.push(of.missing(what, why));
        }
        let name = of.name(&["objects", &namespace, &plural], ".yaml");
        let objects = objects.into_values().take(MOST).collect();
        found
            .files
            .extend(name.map(|name| File::yaml(name, objects)));
    }
    found
}

fn wanted(run: &Run<'_>, of: &Of<'_>) -> Vec<Wanted> {
    let list = |resource: &ApiResource, namespace: Option<&str>, labels| Wanted {
        resource: resource.clone(),
        namespace: namespace.map(Into::into),
        which: Which::Labels(labels),
    };
    let mut wanted = Vec::new();
    for resource in [
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<Pod>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
    ] {
        wanted.extend(
            of.namespaces()
                .map(|namespace| list(&resource, Some(namespace), "")),
        );
    }
    wanted.push(list(
        &kinds::authorization_policy(),
        Some(ISTIO_NAMESPACE),
        "",
    ));
    wanted.push(list(&kinds::kiali(), Some(of.scope.namespace), ""));
    let ztunnels = ApiResource::erase::<DaemonSet>(&());
    wanted.push(list(&ztunnels, None, "app.kubernetes.io/name=ztunnel"));
    wanted.push(Wanted {
        resource: kinds::gateway(),
        namespace: None,
        which: Which::Gateways,
    });
    let mut ids = own(run, of);
    let mesh_config = of.scope.cluster.revision.config_map();
    ids.push(key("ConfigMap", Some(ISTIO_NAMESPACE), &mesh_config));
    let maps = [record::NAME, kiali::NAME];
    ids.extend(maps.map(|name| key("ConfigMap", Some(of.scope.namespace), name)));
    let namespaces = [ISTIO_NAMESPACE, of.scope.namespace, SAMPLE];
    ids.extend(namespaces.map(|name| key("Namespace", None, name)));
    ids.sort_by_key(Value::to_string);
    ids.dedup();
    wanted.extend(ids.iter().filter_map(named));
    wanted.push(Wanted {
        resource: kinds::gateway_class(),
        namespace: None,
        which: Which::Name("istio".into()),
    });
    wanted
}

/// The other objects of an install, by their names.
fn own(run: &Run<'_>, of: &Of<'_>) -> Vec<Value> {
    let planned = planned::planned(run, of.scope.cluster).unwrap_or_default();
    let objects = planned.into_iter().map(|(_, object)| object);
    let is_read = |object: &Value| {
        let kind = object["kind"].as_str().unwrap_or_default();
        !LISTED.contains(&kind) && !UNREAD.contains(&kind)
    };
    let read = objects.filter(is_read);
    read.map(|object| {
        json!({
            "apiVersion": object["apiVersion"], "kind": object["kind"],
            "metadata": {"namespace": object["metadata"]["namespace"], "name": object["metadata"]["name"]},
        })
    })
    .collect()
}

/// The identity of an object of the core group.
fn key(kind: &str, namespace: Option<&str>, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"namespace": namespace, "name": name}})
}

fn named(key: &Value) -> Option<Wanted> {
    let id = kinds::id(key).ok()?;
    Some(Wanted {
        resource: kinds::of(key).ok()?,
        namespace: id.namespace,
        which: Which::Name(id.name),
    })
}

/// The plural of the kind, and what the cluster answers.
async fn asked(of: &Of<'_>, wanted: Wanted) -> (String, Result<Vec<Value>, RequestError>) {
    let Wanted {
        resource,
        namespace,
        which,
    } = wanted;
    let client = of.scope.cluster.client.clone();
    let api = match &namespace {
        Some(namespace) => Api::<DynamicObject>::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let id = |kind: &str, name: &str| ObjectId {
        kind: kind.into(),
        namespace: namespace.clone(),
        name: name.into(),
    };
    let answer = match &which {
        Which::Name(name) => {
            let object = id(&resource.kind, name);
            send(of.scope, &object, || api.get(name))
                .await
                .map(|one| vec![one])
        }
        Which::Labels(labels) => {
            let object = id(&resource.plural, "all");
            let params = ListParams::default().labels(labels);
            send(of.scope, &object, || pages::list(&api, &params)).await
        }
        Which::Gateways => {
            let object = id(&resource.plural, "of all namespaces");
            let params = ListParams::default();
            let all = send(of.scope, &object, || pages::list(&api, &params)).await;
            all.map(|all| all.into_iter().filter(|one| is_of_mesh(of, one)).collect())
        }
    };
    let typed = |objects: Vec<DynamicObject>| {
        let objects = objects.into_iter().map(|object| typed(&resource, object));
        objects.collect()
    };
    (resource.plural.clone(), answer.map(typed))
}

fn is_of_mesh(of: &Of<'_>, gateway: &DynamicObject) -> bool {
    let namespace = gateway.metadata.namespace.as_deref().unwrap_or_default();
    let labels = gateway.metadata.labels.iter().flatten();
    of.namespaces().contains(&namespace) || labels.into_iter().any(|(label, _)| label == NETWORK)
}

/// The items of a list do not say what they are.
fn typed(resource: &ApiResource, object: DynamicObject) -> Value {
    let mut whole = json!({"apiVersion": resource.api_version, "kind": resource.kind});
    if let (Value::Object(whole), Ok(Value::Object(fields))) =
        (&mut whole, serde_json::to_value(object))
    {
        whole.extend(
            fields
                .into_iter()
                .filter(|(key, _)| key != "apiVersion" && key != "kind"),
        );
    }
    whole
}
