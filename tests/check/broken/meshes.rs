//! The meshes with one defect each, and the expected finding.

use serde_json::{Value, json};

use super::super::changed::{Change, Object};
use super::objects::{
    CRD, CRD_OF_TEXT, GATEWAY, OPERATOR, OTHER_CLASS, ROLE, SECOND_ISTIOD, SERVICE,
};

const ISTIOD: Object = ("apps/v1", "Deployment", "istio-system/istiod");
const ZTUNNEL: Object = ("apps/v1", "DaemonSet", "istio-system/ztunnel");
const ISTIO_SYSTEM: Object = ("v1", "Namespace", "istio-system");
const MESH: Object = ("v1", "ConfigMap", "istio-system/istio");
const ROOT: Object = ("v1", "ConfigMap", "istio-system/istio-ca-root-cert");
const CLASS: Object = ("gateway.networking.k8s.io/v1", "GatewayClass", "istio");
const EAST_WEST: Object = (
    "gateway.networking.k8s.io/v1",
    "Gateway",
    "istio-system/istio-eastwestgateway",
);
const REMOTE_SECRET: Object = ("v1", "Secret", "istio-system/istio-remote-secret-cluster1");

/// A defect of the remote, and the expected finding.
pub struct Broken {
    pub code: &'static str,
    pub change: Change,
    /// The text of the finding after the code and the cluster.
    pub said: &'static str,
    /// Whether a running istiod repairs the defect.
    pub mended: bool,
}

fn broken(code: &'static str, change: Change, said: &'static str) -> Broken {
    Broken {
        code,
        change,
        said,
        mended: false,
    }
}

impl Broken {
    fn if_istiod_lets(self) -> Broken {
        Broken {
            mended: true,
            ..self
        }
    }
}

/// Sets a variable of istiod's first container.
fn env(name: &str, value: &str) -> Change {
    Change::Env(ISTIOD, name.into(), value.into())
}

fn label(object: Object, name: &str, value: Value) -> Change {
    Change::Of(object, json!({"metadata": {"labels": {name: value}}}))
}

fn mesh_config(mesh_id: &str, trust_domain: &str) -> Change {
    let mesh = format!("defaultConfig: {{meshId: {mesh_id}}}\ntrustDomain: {trust_domain}\n");
    Change::Of(MESH, json!({"data": {"mesh": mesh}}))
}

/// Defects that stop an install.
pub fn errors() -> Vec<Broken> {
    let denied = json!({"conditions": [{
        "type": "Accepted", "status": "False", "reason": "Unsupported", "message": "no",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]});
    vec![
        broken(
            "AK1103",
            Change::Replaced(CLASS, ""),
            "GatewayClass istio: there is none",
        )
        .if_istiod_lets(),
        broken(
            "AK1105",
            Change::Replaced(CLASS, OTHER_CLASS),
            "GatewayClass istio: belongs to example.com/controller, not to istio.io/gateway-controller",
        )
        .if_istiod_lets(),
        broken(
            "AK1402",
            Change::By(OPERATOR),
            "Deployment operators/kiali-operator: was there before, of version v1.89.0; only v2.x is known to serve",
        ),
        broken(
            "AK1104",
            Change::OfStatus(CLASS, denied),
            "GatewayClass istio: istiod has not accepted it",
        )
        .if_istiod_lets(),
        broken(
            "AK1201",
            env("CLUSTER_ID", ""),
            "no Deployment with label app=istiod in namespace istio-system has an environment variable CLUSTER_ID",
        ),
        broken(
            "AK1202",
            Change::By(SECOND_ISTIOD),
            "its istiods disagree about the cluster id: Deployment istio-system/istiod says cluster2, istio-system/istiod-other says other",
        ),
        broken(
            "AK1203",
            env("CLUSTER_ID", "Kubernetes"),
            "cluster id \"Kubernetes\" is Istio's default for every cluster",
        ),
        broken(
            "AK1204",
            Change::Scaled("istio-system/istiod", [0, 1]),
            "Deployment istio-system/istiod: no replica of it is available",
        ),
        broken(
            "AK1205",
            env("PILOT_ENABLE_AMBIENT", "false"),
            "Deployment istio-system/istiod: does not set PILOT_ENABLE_AMBIENT=true",
        ),
        broken(
            "AK1206",
            env("AMBIENT_ENABLE_MULTI_NETWORK", "false"),
            "Deployment istio-system/istiod: does not set AMBIENT_ENABLE_MULTI_NETWORK=true",
        ),
        broken(
            "AK1207",
            label(ZTUNNEL, "app.kubernetes.io/name", json!("other")),
            "DaemonSet istio-system/ztunnel: there is none",
        ),
        broken(
            "AK1210",
            label(ISTIO_SYSTEM, "topology.istio.io/network", json!(null)),
            "Namespace istio-system: has no label topology.istio.io/network",
        ),
        broken(
            "AK1301",
            env("CLUSTER_ID", "cluster1"),
            "have the same Istio cluster id \"cluster1\"",
        ),
        broken(
            "AK1303",
            mesh_config("mesh2", "cluster.local"),
            "ConfigMap istio-system/istio: meshId is mesh2, but mesh1 in cluster1",
        ),
        broken(
            "AK1304",
            mesh_config("mesh1", "elsewhere"),
            "ConfigMap istio-system/istio: trustDomain is elsewhere, but cluster.local in cluster1",
        ),
        broken(
            "AK1305",
            Change::Of(ROOT, json!({"data": {"root-cert.pem": "another"}})),
            "ConfigMap istio-system/istio-ca-root-cert: is another root CA than in cluster1",
        )
        .if_istiod_lets(),
        broken(
            "AK1401",
            Change::By(ROLE),
            "ClusterRole ambikiali-prometheus: already exists, created by somebody, and differs from what is needed at .metadata.labels",
        ),
        broken(
            "AK1401",
            Change::By(GATEWAY),
            "Gateway istio-system/prometheus-gateway: already exists, created by somebody, and differs from what is needed at .",
        ),
        broken(
            "AK1403",
            label(
                ISTIO_SYSTEM,
                "pod-security.kubernetes.io/enforce",
                json!("restricted"),
            ),
            "Namespace istio-system: enforces pod security level restricted",
        ),
        broken(
            "AK1406",
            Change::By(SERVICE),
            "Service istio-system/prometheus: already exists, but has neither port 9090 nor one named http or web",
        ),
        broken(
            "AK1407",
            Change::By(CRD),
            "CustomResourceDefinition kialis.kiali.io: already exists and serves v9, but not v1alpha1",
        ),
        broken(
            "AK1407",
            Change::By(CRD_OF_TEXT),
            "CustomResourceDefinition kialis.kiali.io: already exists, and its v1alpha1 has a spec that is no object",
        ),
    ]
}

/// Defects that are only warnings.
pub fn warnings() -> Vec<Broken> {
    let image = json!([{"name": "istio-proxy", "image": "docker.io/istio/ztunnel:1.28.3"}]);
    let old = json!({"spec": {"template": {"spec": {"containers": image}}}});
    // Another class of Istio would make istiod create another Service.
    let other_class = json!({"spec": {"gatewayClassName": "somebody-else"}});
    vec![
        broken(
            "AK1209",
            Change::Of(ZTUNNEL, old),
            "DaemonSet istio-system/ztunnel: is of version 1.28.3",
        ),
        broken(
            "AK1221",
            Change::Of(MESH, json!({"data": {"mesh": "trustDomain: [\n"}})),
            "ConfigMap istio-system/istio: is not legible, and meshId and trustDomain are not compared: ",
        ),
        broken(
            "AK1222",
            mesh_config("mesh1", "cluster.local\nrootNamespace: elsewhere"),
            "ConfigMap istio-system/istio: says that elsewhere is the root namespace; policies there hold everywhere",
        ),
        broken(
            "AK1230",
            Change::Env(ZTUNNEL, "ENABLE_RESPONSE_BAGGAGE".into(), "false".into()),
            "DaemonSet istio-system/ztunnel: sets ENABLE_RESPONSE_BAGGAGE=false",
        ),
        broken(
            "AK1211",
            Change::Of(EAST_WEST, other_class),
            "Gateways istio-east-west: there is none of this class",
        )
        .if_istiod_lets(),
        broken(
            "AK1212",
            Change::OfStatus(EAST_WEST, json!({"addresses": null})),
            "Gateway istio-system/istio-eastwestgateway: has no address",
        )
        .if_istiod_lets(),
        broken(
            "AK1213",
            label(REMOTE_SECRET, "istio/multiCluster", json!("false")),
            "Secret istio-system/istio-remote-secret-cluster1: istiod has no Secret for cluster1",
        ),
        broken(
            "AK1302",
            label(ISTIO_SYSTEM, "topology.istio.io/network", json!("network1")),
            "Namespace istio-system: is in network network1, like cluster1",
        ),
    ]
}
