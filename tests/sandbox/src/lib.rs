//! Real control planes without a container engine, for the tests and the demo. Each cluster has etcd, kube-apiserver,
//! kube-controller-manager, kube-scheduler and kwok, the Gateway API, Istio's charts, a real istiod, a real Prometheus
//! and a real Envoy behind each Gateway. What needs a container engine is a stand-in in a file of its own under
//! `standin`, whose header says what it cannot show.

pub mod audit;
pub mod cluster;
pub mod delays;
pub mod fault;
pub mod mesh;
pub mod oidc;
pub mod receiver;
pub mod run;
pub mod sandbox;
pub mod snapshot;
pub mod standin;
pub mod tools;
pub mod victoria_metrics;

pub use cluster::Cluster;
pub use delays::Delays;
pub use sandbox::Sandbox;
