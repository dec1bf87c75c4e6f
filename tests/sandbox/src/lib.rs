//! Real control planes on a bare machine, for the tests and the demo: etcd, kube-apiserver,
//! kube-controller-manager, kube-scheduler and kwok for each cluster, the Gateway API and Istio's
//! charts, a real istiod and real Prometheus. What cannot run without a container engine is a
//! stand-in, one file each under `standin`, whose header says what it cannot show.

pub mod audit;
pub mod cluster;
pub mod delays;
pub mod fault;
pub mod mesh;
pub mod run;
pub mod sandbox;
pub mod snapshot;
pub mod standin;
pub mod tools;

pub use cluster::Cluster;
pub use delays::Delays;
pub use sandbox::Sandbox;
