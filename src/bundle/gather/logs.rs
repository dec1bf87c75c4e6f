//! The logs of the pods of an install, and of istiod, ztunnel and the Gateways.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use super::{AT_ONCE, Of};
use crate::bundle::archive::Keep;
use crate::bundle::{File, Found, Missing};
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::pods;
use crate::k8s::request::send;
use crate::progress::ObjectId;

/// Limit for the lines of a log.
const LINES: i64 = 5000;
/// Limit for the bytes of a log.
const BYTES: i64 = 1 << 20;
/// The most logs of a namespace.
const MOST: usize = 50;
/// The most pods of a kind, such as ztunnel, whose logs are read.
const PODS: usize = 5;

/// One log of a container.
struct Log {
    namespace: String,
    pod: String,
    container: String,
    /// That of the container before the last restart.
    previous: bool,
}

pub async fn logs(of: &Of<'_>, since: Duration) -> Found {
    let mut found = Found::default();
    let mut wanted = Vec::new();
    for namespace in of.namespaces() {
        match pods::labelled(of.scope, namespace, "").await {
            Ok(pods) => {
                let (logs, missing) = chosen(of, namespace, pods);
                wanted.extend(logs);
                found.missing.extend(missing);
            }
            Err(error) => found
                .missing
                .push(of.missing(format!("logs in {namespace}"), format!("{error:#}"))),
        }
    }
    let asked = wanted.into_iter().map(|log| read(of, log, since));
    let logs = stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>();
    logs.await.into_iter().for_each(|log| found.add(log));
    found
}

/// The logs to read: a few pods of each kind, the newest ones.
fn chosen(of: &Of<'_>, namespace: &str, pods: Vec<Pod>) -> (Vec<Log>, Vec<Missing>) {
    let mut kinds: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
    let pods = pods.into_iter().filter_map(|pod| Some((kind(&pod)?, pod)));
    // In Istio's namespace, others may run their own programs.
    let is_read = |kind: &str| namespace != ISTIO_NAMESPACE || is_of_mesh(kind);
    for (kind, pod) in pods.filter(|(kind, _)| is_read(kind)) {
        kinds.entry(kind).or_default().push(pod);
    }
    let (mut logs, mut missing) = (Vec::new(), Vec::new());
    for (kind, pods) in &kinds {
        let more = pods.len().saturating_sub(PODS);
        if more > 0 {
            let what = format!("logs of {more} more pods of {kind} in {namespace}");
            missing.push(of.missing(what, format!("at most {PODS} are read")));
        }
        logs.extend(pods[more..].iter().flat_map(|pod| of_pod(namespace, pod)));
    }
    if logs.len() > MOST {
        let what = format!("{} more logs in {namespace}", logs.len() - MOST);
        missing.push(of.missing(what, format!("at most {MOST} are read")));
        logs.truncate(MOST);
    }
    (logs, missing)
}

/// What a pod is, by its labels.
fn kind(pod: &Pod) -> Option<String> {
    let labels = pod.metadata.labels.as_ref();
    let label = |name: &str| labels?.get(name).cloned();
    let names = [
        "gateway.networking.k8s.io/gateway-name",
        "app.kubernetes.io/name",
        "app",
        "k8s-app",
    ];
    let named = names.iter().find_map(|name| {
        let value = label(name)?;
        Some(match name.starts_with("gateway") {
            true => format!("gateway {value}"),
            false => value,
        })
    });
    named.or_else(|| pod.metadata.name.clone())
}

fn is_of_mesh(kind: &str) -> bool {
    let known = [
        "istiod",
        "ztunnel",
        "istio-cni",
        "istio-cni-node",
        "prometheus",
    ];
    known.contains(&kind) || kind.starts_with("gateway ") || kind.contains("eastwest")
}

fn of_pod(namespace: &str, pod: &Pod) -> Vec<Log> {
    let status = pod.status.as_ref();
    let statuses = status.and_then(|status| status.container_statuses.as_ref());
    let restarted = |container: &str| {
        let mut statuses = statuses.into_iter().flatten();
        statuses.any(|status| status.name == container && status.restart_count > 0)
    };
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let log = |container: &str, previous| Log {
        namespace: namespace.into(),
        pod: pod.metadata.name.clone().unwrap_or_default(),
        container: container.into(),
        previous,
    };
    let logs = containers.flat_map(|container| {
        let before = restarted(&container.name).then(|| log(&container.name, true));
        before.into_iter().chain([log(&container.name, false)])
    });
    logs.collect()
}

async fn read(of: &Of<'_>, log: Log, since: Duration) -> Found {
    let Log {
        namespace,
        pod,
        container,
        previous,
    } = log;
    let mut found = Found::default();
    let ending = if previous { ".previous.log" } else { ".log" };
    let Some(name) = of.name(&["logs", &namespace, &pod, &container], ending) else {
        return found;
    };
    let api = Api::<Pod>::namespaced(of.scope.cluster.client.clone(), &namespace);
    let params = LogParams {
        container: Some(container.clone()),
        previous,
        since_seconds: i64::try_from(since.as_secs())
            .ok()
            .map(|seconds| seconds.max(1)),
        tail_lines: Some(LINES),
        limit_bytes: Some(BYTES),
        ..LogParams::default()
    };
    let object = ObjectId::new("pods/log", &namespace, &format!("{pod} {container}"));
    match send(of.scope, &object, || api.logs(&pod, &params)).await {
        Ok(text) => found.files.push(File::text(name, &text, Keep::End)),
        Err(error) => found.missing.extend(of.refused(&error)),
    }
    found
}
