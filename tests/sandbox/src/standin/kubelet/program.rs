//! Which pods run a program or a stand-in, and how long each takes to start.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::Delays;
use crate::standin::container::Container;
use crate::standin::{gateway, kiali, kiali_operator, prometheus, ztunnel};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Prometheus,
    /// The image of Prometheus with the command `sleep`, for what is executed in it.
    Sleep,
    KialiOperator,
    Kiali,
    Ztunnel,
    /// Recognised by its GatewayClass, because other proxies have the same image.
    Gateway,
}

impl Program {
    /// Returns the index of the container that really runs, and its program. None if kwok simulates the whole pod.
    pub fn of(pod: &Pod) -> Option<(usize, Program)> {
        let containers = &pod.spec.as_ref()?.containers;
        if gateway::is_one(pod.labels()) {
            let proxy = containers.iter().position(|c| c.name == gateway::CONTAINER);
            return Some((proxy?, Program::Gateway));
        }
        containers
            .iter()
            .enumerate()
            .find_map(|(index, container)| {
                let program = Program::of_image(container.image.as_deref()?)?;
                let sleeps = container.command.iter().flatten().next();
                let sleeps = sleeps.is_some_and(|command| command == "sleep");
                Some((index, if sleeps { Program::Sleep } else { program }))
            })
    }

    fn of_image(image: &str) -> Option<Program> {
        let image = image.split('@').next().unwrap_or(image);
        // A colon before the last slash starts the port of a registry.
        let repository = match image.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => image,
        };
        let mut parts = repository.rsplit('/');
        match (parts.next()?, parts.next()) {
            ("prometheus", Some("prom")) => Some(Program::Prometheus),
            ("kiali-operator", _) => Some(Program::KialiOperator),
            ("kiali", Some("kiali")) => Some(Program::Kiali),
            ("ztunnel", _) => Some(Program::Ztunnel),
            _ => None,
        }
    }

    /// The ports that the program serves, whether or not the pod declares them.
    pub fn ports(self) -> &'static [u16] {
        match self {
            Program::Prometheus => &[9090],
            Program::Sleep => &[],
            Program::KialiOperator => &[6789, 8080],
            Program::Kiali => &[9090, 20001],
            Program::Ztunnel => &[15000, 15020, 15021],
            Program::Gateway => &[9090, 15000, 15021],
        }
    }

    /// The commands in its image that have a stand-in. None if exec is rejected.
    pub fn commands(self) -> Option<&'static str> {
        match self {
            Program::Prometheus => Some("wget,sha256sum,promtool"),
            Program::Sleep => Some("wget,sha256sum"),
            _ => None,
        }
    }

    /// The time from the start of the container until its process works. It does not include, in a restarted container,
    /// what a node does only once for a pod.
    pub fn boot(self, delays: Delays, restarted: bool) -> Duration {
        match self {
            Program::KialiOperator => delays.operator_start,
            Program::Kiali => delays.kiali_start,
            _ if restarted => Duration::ZERO,
            Program::Prometheus | Program::Sleep | Program::Ztunnel | Program::Gateway => {
                delays.pod
            }
        }
    }

    /// Whether the probes run with their real timing. Otherwise, the container is ready after the delay of the pod,
    /// like the pods that kwok simulates.
    pub fn probed(self) -> bool {
        matches!(self, Program::KialiOperator | Program::Kiali)
    }

    pub async fn run(self, container: Container) -> i32 {
        match self {
            Program::Prometheus => prometheus::run(container).await,
            Program::Sleep => std::future::pending().await,
            Program::KialiOperator => kiali_operator::run(container).await,
            Program::Kiali => kiali::run(container).await,
            Program::Ztunnel => ztunnel::run(container).await,
            Program::Gateway => gateway::envoy(container).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Program::{self, *};

    #[test]
    fn images() {
        let of = Program::of_image;
        assert_eq!(of("prom/prometheus"), Some(Prometheus));
        assert_eq!(of("docker.io/prom/prometheus:v3.10.0"), Some(Prometheus));
        assert_eq!(
            of("registry:5000/prom/prometheus@sha256:00"),
            Some(Prometheus)
        );
        assert_eq!(of("quay.io/kiali/kiali:v2.29.0"), Some(Kiali));
        assert_eq!(
            of("quay.io/kiali/kiali-operator:v2.29.0"),
            Some(KialiOperator)
        );
        assert_eq!(
            of("registry.istio.io/release/ztunnel:1.30.3-distroless"),
            Some(Ztunnel)
        );
        assert_eq!(
            of("ghcr.io/prometheus-operator/prometheus-config-reloader:v0.89.0"),
            None
        );
        assert_eq!(of("quay.io/prometheus/node-exporter"), None);
    }
}
