//! The mesh of a cluster: the CRDs of the Gateway API, Istio's charts rendered by helm, a real istiod and the sample
//! apps of Istio's multi-cluster documentation.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::cluster::Cluster;
use crate::tools::Tools;
use ca::Ca;
use manifests::{CRD, apply, helm, namespace, objects_of, read_folder, served};

pub use peers::join;
pub use ready::ready;

pub(crate) mod ca;
mod gateways;
mod istiod;
mod manifests;
mod peers;
mod ready;
mod sample;

/// The version that istiod reports. The charts in its repository have `latest` instead.
pub(crate) const TAG: &str = "1.31-alpha";

/// What is the same in every cluster and is therefore read and rendered only once.
pub struct Shared {
    kinds: Vec<Value>,
    /// The CRDs of the Gateway API. The clusters take turns, so that both versions are tested.
    gateway_apis: [Vec<Value>; 2],
    base: Vec<Value>,
    tools: Tools,
    ca: Ca,
}

/// Does the work that needs no cluster. It takes a second and can run while the clusters start.
pub async fn prepare(tools: &Tools) -> Result<Shared> {
    let tools = tools.clone();
    tokio::task::spawn_blocking(move || {
        let chart = tools.istio_charts.join("base");
        let rendered = helm(&tools.helm, "istio-base", &chart, &[])?;
        let is_kind = |object: &Value| object["kind"] == CRD;
        let objects = objects_of(&rendered)?.into_iter();
        let (kinds, base): (Vec<_>, Vec<_>) = objects.partition(is_kind);
        let gateway_apis = [
            read_folder(&tools.gateway_api_crds)?,
            read_folder(&tools.old_gateway_api_crds)?,
        ];
        let ca = Ca::new()?;
        Ok(Shared {
            kinds,
            gateway_apis,
            base,
            tools,
            ca,
        })
    })
    .await?
}

/// Returns when istiod has accepted its GatewayClasses. `index` counts the clusters from 0.
pub async fn install(cluster: &Cluster, shared: &Shared, index: usize) -> Result<()> {
    let network = format!("network{}", index + 1);
    let client = cluster.client();
    let istio_system = namespace("istio-system", ("topology.istio.io/network", &network));
    let sample = namespace("sample", ("istio.io/dataplane-mode", "ambient"));
    apply(&client, "kubectl", &[istio_system, sample]).await?;
    let gateway_api = &shared.gateway_apis[index % shared.gateway_apis.len()];
    let (charts, kinds, gateways) = tokio::join!(
        charts(cluster, shared, &network),
        apply(&client, "helm", &shared.kinds),
        apply(&client, "helm", gateway_api),
    );
    let charts = charts?;
    kinds?;
    gateways?;
    served(&client, &shared.kinds).await?;
    served(&client, gateway_api).await?;
    cluster.start_controllers(&shared.tools.kube_controller_manager)?;
    // When istiod starts, it looks once for the ConfigMap with its templates. Without it, no Gateway ever gets a
    // Deployment and a Service.
    let (configuration, charts): (Vec<_>, Vec<_>) = charts
        .into_iter()
        .partition(|object| object["kind"] == json!("ConfigMap"));
    apply(&client, "helm", &configuration).await?;
    // Start it before the rest, because it takes longest to become ready.
    shared.ca.plug_in(&istiod::folder(cluster))?;
    istiod::start(cluster, &shared.tools.pilot_discovery, &configuration)?;
    let rest = tokio::join!(
        gateways::keep_to_their_pods(cluster),
        apply(&client, "helm", &shared.base),
        apply(&client, "helm", &charts),
        sample::deploy(&client, index),
        istiod::forward(cluster),
        cluster.takes_work(),
    );
    rest.0?;
    rest.1?;
    rest.2?;
    rest.3?;
    rest.4?;
    rest.5?;
    let accepted = timeout(Duration::from_secs(180), gateway_classes(cluster)).await;
    let log = istiod::log(cluster);
    let hint = || {
        format!(
            "istiod of {} accepts no Gateway: {}",
            cluster.name(),
            log.display()
        )
    };
    accepted.with_context(hint)
}

async fn charts(cluster: &Cluster, shared: &Shared, network: &str) -> Result<Vec<Value>> {
    let Tools {
        helm: program,
        istio_charts,
        ..
    } = shared.tools.clone();
    let cluster_name = format!("global.multiCluster.clusterName={}", cluster.name());
    let network = format!("global.network={network}");
    tokio::task::spawn_blocking(move || {
        let tag = format!("global.tag={TAG}");
        let values = [
            "profile=ambient",
            &cluster_name,
            &network,
            "global.meshID=mesh1",
            "global.hub=docker.io/istio",
            &tag,
            "env.AMBIENT_ENABLE_MULTI_NETWORK=true",
            // The autoscaler would only report repeatedly that there are no metrics.
            "autoscaleEnabled=false",
        ];
        let istiod = istio_charts.join("istio-control/istio-discovery");
        let mut objects = objects_of(&helm(&program, "istiod", &istiod, &values)?)?;
        let ztunnel = istio_charts.join("ztunnel");
        objects.extend(objects_of(&helm(&program, "ztunnel", &ztunnel, &values)?)?);
        Ok(objects)
    })
    .await?
}

/// The GatewayClasses that istiod creates in ambient mode, in no fixed order. A cluster is settled when it has all.
const CLASSES: [&str; 4] = ["istio", "istio-remote", "istio-waypoint", "istio-east-west"];

async fn gateway_classes(cluster: &Cluster) {
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "GatewayClass");
    let kind = ApiResource::from_gvk_with_plural(&kind, "gatewayclasses");
    let classes: Api<DynamicObject> = Api::all_with(cluster.client(), &kind);
    let accepted = |class: &DynamicObject| {
        let conditions = class.data["status"]["conditions"].as_array();
        conditions.is_some_and(|all| {
            all.iter()
                .any(|c| c["type"] == json!("Accepted") && c["status"] == json!("True"))
        })
    };
    for name in CLASSES {
        // The kind is new, so an error only means that it is not served yet.
        while !classes.get(name).await.is_ok_and(|class| accepted(&class)) {
            sleep(Duration::from_millis(50)).await;
        }
    }
}
