//! The addresses of Kiali's pages.

/// The traffic graph of a namespace in all clusters, over the last five minutes, with a box for each cluster and
/// namespace. Without the kinds of traffic, Kiali shows what the user chose last.
pub fn graph(url: &str, namespace: &str) -> String {
    const TRAFFIC: &str = "ambient,ambientTotal,grpc,grpcRequest,http,httpRequest,tcp,tcpSent";
    let traffic = TRAFFIC.replace(',', "%2C");
    format!(
        "{url}/console/graph/namespaces?namespaces={namespace}&graphType=workload&duration=300&boxByCluster=true&boxByNamespace=true&traffic={traffic}"
    )
}

/// The mesh: control planes, data planes and what Kiali is connected to.
pub fn mesh(url: &str) -> String {
    format!("{url}/console/mesh")
}
