//! What a cluster needs so that another one can reach it: an API server address that pods can use, a network name, an
//! east-west gateway with an address, and an istiod that knows the other clusters.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::core::DynamicObject;

use super::Finding;
use super::facts::Facts;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::mesh::{ApiServer, Cluster, ClusterName, Mesh};
use crate::progress::ObjectId;

const EAST_WEST: &str = "istio-east-west";
/// The label of a Service that istiod makes for a Gateway.
const OF_GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";
const NETWORK: &str = "topology.istio.io/network";

pub fn judge(facts: &Facts<'_>, mesh: &Mesh) -> Vec<Finding> {
    let others = mesh.others(facts.cluster);
    let secrets = others.flat_map(|other| remote_secret(facts, &other.name));
    let address = match facts.cluster.uid == mesh.home.uid {
        true => Vec::new(),
        false => address(facts.cluster, mesh),
    };
    [address, network(facts), east_west(facts), secrets.collect()].concat()
}

/// Whether pods can reach the address is only known after an attempt.
fn address(remote: &Cluster, mesh: &Mesh) -> Vec<Finding> {
    let endpoint = &remote.endpoint;
    if let Err(fault) = ApiServer::try_from(endpoint.server.clone()) {
        let object = ObjectId::cluster_wide("API server", "of the kubeconfig");
        let cause = format!("cannot be given to Kiali: {fault}");
        let finding = Finding::new(Code::UnusableAddress, remote, object, cause);
        return vec![finding.fix(format!(
            "name the address that pods of home reach: {} https://HOST:PORT",
            endpoint.flag
        ))];
    }
    if !endpoint.behind_proxy {
        return Vec::new();
    }
    let object = ObjectId::cluster_wide("API server", &endpoint.server);
    let cause = format!(
        "is reached through the kubeconfig's proxy from here, and without it from pods of {}",
        mesh.home.name
    );
    let finding = Finding::new(Code::AddressBehindProxy, remote, object, cause);
    vec![finding.fix(format!(
        "name the address that pods of home reach, be it the same: {} https://HOST:PORT",
        endpoint.flag
    ))]
}

fn network(facts: &Facts<'_>) -> Vec<Finding> {
    match &facts.istio_namespace {
        Err(blind) => vec![*blind.clone()],
        Ok(Some(namespace)) if namespace.labels().contains_key(NETWORK) => Vec::new(),
        Ok(_) => {
            let object = ObjectId::cluster_wide("Namespace", ISTIO_NAMESPACE);
            let cause = format!("has no label {NETWORK}");
            let label = format!("label namespace {ISTIO_NAMESPACE} {NETWORK}=NETWORK");
            let finding = Finding::new(Code::NoNetwork, facts.cluster, object, cause);
            vec![finding.kubectl(facts.cluster, &label)]
        }
    }
}

fn east_west(facts: &Facts<'_>) -> Vec<Finding> {
    let gateways = match &facts.gateways {
        Err(blind) => return vec![*blind.clone()],
        // The missing kind is another finding.
        Ok(None) => return Vec::new(),
        Ok(Some(gateways)) => gateways,
    };
    let is_one = |g: &&DynamicObject| g.data["spec"]["gatewayClassName"] == EAST_WEST;
    let Some(gateway) = gateways.iter().find(is_one) else {
        let all = ObjectId::cluster_wide("Gateways", EAST_WEST);
        let cause = "there is none of this class: no traffic comes from other clusters";
        let finding = Finding::new(Code::NoEastWestGateway, facts.cluster, all, cause);
        let page = "https://istio.io/latest/docs/ambient/install/multicluster/multi-primary_multi-network/";
        return vec![finding.fix(format!("make one: {page}"))];
    };
    let addresses = gateway.data["status"]["addresses"]
        .as_array()
        .map_or(0, Vec::len);
    // istiod merges the Services of one name, so the status may have the address of another cluster.
    if addresses > 0 && !waits_for_address(facts, gateway) {
        return Vec::new();
    }
    let namespace = gateway.namespace().unwrap_or_default();
    let object = ObjectId::new("Gateway", &namespace, &gateway.name_any());
    let describe = format!("-n {namespace} describe gateway {}", gateway.name_any());
    let cause = "has no address: no traffic comes from other clusters";
    let code = Code::EastWestGatewayWithoutAddress;
    vec![Finding::new(code, facts.cluster, object, cause).kubectl(facts.cluster, &describe)]
}

/// Whether the Service of a Gateway waits for its load balancer.
fn waits_for_address(facts: &Facts<'_>, gateway: &DynamicObject) -> bool {
    let services = facts.load_balancers.as_ref().ok().and_then(Option::as_ref);
    let mut services = services.into_iter().flatten();
    let name = gateway.name_any();
    let is_of_it = |service: &&Service| {
        service.namespace() == gateway.namespace()
            && service.labels().get(OF_GATEWAY) == Some(&name)
    };
    services.find(is_of_it).is_some_and(|service| {
        let spec = service.spec.as_ref();
        let status = service
            .status
            .as_ref()
            .and_then(|status| status.load_balancer.as_ref());
        let ingress = status.and_then(|status| status.ingress.as_ref());
        let external = spec.and_then(|spec| spec.external_ips.as_ref());
        ingress.is_none_or(Vec::is_empty) && external.is_none_or(Vec::is_empty)
    })
}

fn remote_secret(facts: &Facts<'_>, other: &ClusterName) -> Vec<Finding> {
    let secrets = match &facts.remote_secrets {
        Err(blind) => return vec![*blind.clone()],
        Ok(secrets) => secrets.as_deref().unwrap_or_default(),
    };
    let names = secrets.iter().filter_map(|secret| {
        let annotations = secret.annotations.as_ref()?;
        annotations.get("networking.istio.io/cluster")
    });
    if names.into_iter().any(|name| name == other.as_str()) {
        return Vec::new();
    }
    let name = format!("istio-remote-secret-{other}");
    let object = ObjectId::new("Secret", ISTIO_NAMESPACE, &name);
    let cause = format!("istiod has no Secret for {other}: no traffic goes there");
    let finding = Finding::new(Code::NoRemoteSecret, facts.cluster, object, cause);
    vec![finding.fix(remedy(facts.cluster, other))]
}

fn remedy(cluster: &Cluster, other: &ClusterName) -> String {
    format!(
        "istioctl create-remote-secret --context OTHER --name {other} | {} apply -f -",
        cluster.kubectl
    )
}
