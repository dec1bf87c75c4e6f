//! The kubelet's probes of a container: startup first, then readiness and liveness.
//!
//! What it cannot show: exec and gRPC probes, which always pass.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// The period before the first success, for a kubelet that does not wait.
const EAGER: Duration = Duration::from_millis(50);

/// The state of the probes in a container's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub started: bool,
    pub ready: bool,
}

pub struct Probes {
    startup: Option<Check>,
    readiness: Option<Check>,
    liveness: Option<Check>,
    /// Whether to keep the delays and periods of the probes. Otherwise they run as early as possible.
    patient: bool,
}

impl Probes {
    pub fn of(container: &Container, ip: Ipv4Addr, patient: bool) -> Probes {
        let check = |probe: &Option<Probe>| Check::of(probe.as_ref()?, container, ip);
        Probes {
            startup: check(&container.startup_probe),
            readiness: check(&container.readiness_probe),
            liveness: check(&container.liveness_probe),
            patient,
        }
    }

    /// Updates `health` until the container has to be restarted. Returns the reason.
    pub async fn watch(&self, since: Instant, health: &watch::Sender<Health>) -> String {
        if let Some(startup) = &self.startup
            && !self.started(startup, since).await
        {
            return "failed startup probe, will be restarted".to_owned();
        }
        health.send_modify(|health| health.started = true);
        tokio::select! {
            () = self.readiness(since, health) => String::new(),
            () = self.liveness(since) => "failed liveness probe, will be restarted".to_owned(),
        }
    }

    fn first(&self, check: &Check, since: Instant) -> Instant {
        since
            + if self.patient {
                check.initial
            } else {
                Duration::ZERO
            }
    }

    async fn started(&self, check: &Check, since: Instant) -> bool {
        let first = self.first(check, since);
        sleep_until(first).await;
        // A real kubelet probes for the last time one period before the end of the threshold.
        let end = first + check.period * check.failures;
        loop {
            if check.passes().await {
                return true;
            }
            if Instant::now() + self.pause(check) >= end {
                return false;
            }
            sleep(self.pause(check)).await;
        }
    }

    fn pause(&self, check: &Check) -> Duration {
        if self.patient { check.period } else { EAGER }
    }

    async fn readiness(&self, since: Instant, health: &watch::Sender<Health>) {
        let Some(check) = &self.readiness else {
            health.send_modify(|health| health.ready = true);
            return std::future::pending().await;
        };
        sleep_until(self.first(check, since)).await;
        let calm = if self.patient {
            check.period
        } else {
            check.period.min(Duration::from_secs(1))
        };
        let (mut ready, mut streak) = (false, 0);
        loop {
            if check.passes().await == ready {
                streak = 0;
            } else {
                streak += 1;
                let needed = if ready {
                    check.failures
                } else {
                    check.successes
                };
                if streak >= needed {
                    (ready, streak) = (!ready, 0);
                    health.send_modify(|health| health.ready = ready);
                }
            }
            sleep(if ready { calm } else { self.pause(check) }).await;
        }
    }

    async fn liveness(&self, since: Instant) {
        let Some(check) = &self.liveness else {
            return std::future::pending().await;
        };
        sleep_until(self.first(check, since)).await;
        let mut failures = 0;
        while failures < check.failures {
            sleep(check.period).await;
            failures = if check.passes().await {
                0
            } else {
                failures + 1
            };
        }
    }
}

struct Check {
    action: Action,
    initial: Duration,
    period: Duration,
    timeout: Duration,
    failures: u32,
    successes: u32,
}

enum Action {
    Http(Box<reqwest::Request>, reqwest::Client),
    Tcp(SocketAddr),
    /// A named port that the container does not declare.
    Impossible,
}

impl Check {
    fn of(probe: &Probe, container: &Container, ip: Ipv4Addr) -> Option<Check> {
        let action = if let Some(get) = &probe.http_get {
            http(get, container, ip).unwrap_or(Action::Impossible)
        } else if let Some(tcp) = &probe.tcp_socket {
            match port(&tcp.port, container) {
                Some(port) => Action::Tcp(SocketAddr::new(IpAddr::V4(ip), port)),
                None => Action::Impossible,
            }
        } else {
            return None;
        };
        let number = |value: Option<i32>, default: u32| match value {
            Some(value) if value > 0 => value.unsigned_abs(),
            _ => default,
        };
        let seconds = |value, default| Duration::from_secs(u64::from(number(value, default)));
        Some(Check {
            action,
            initial: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            failures: number(probe.failure_threshold, 3),
            successes: number(probe.success_threshold, 1),
        })
    }

    async fn passes(&self) -> bool {
        let answer = async {
            match &self.action {
                Action::Http(request, client) => match request.try_clone() {
                    Some(request) => client
                        .execute(request)
                        .await
                        .is_ok_and(|response| (200..400).contains(&response.status().as_u16())),
                    None => false,
                },
                Action::Tcp(address) => TcpStream::connect(address).await.is_ok(),
                Action::Impossible => false,
            }
        };
        tokio::time::timeout(self.timeout, answer)
            .await
            .unwrap_or(false)
    }
}

fn http(get: &HTTPGetAction, container: &Container, ip: Ipv4Addr) -> Option<Action> {
    let port = port(&get.port, container)?;
    let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
    let host = get.host.clone().unwrap_or_else(|| ip.to_string());
    let path = get.path.as_deref().unwrap_or("/");
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        // The kubelet does not verify certificates. A connection that is kept open would hide a dead process.
        .tls_danger_accept_invalid_certs(true)
        .pool_max_idle_per_host(0)
        .build()
        .ok()?;
    let mut request = client.get(format!("{scheme}://{host}:{port}{path}"));
    for header in get.http_headers.iter().flatten() {
        request = request.header(&header.name, &header.value);
    }
    let request = request
        .header("user-agent", "kube-probe/1.36")
        .build()
        .ok()?;
    Some(Action::Http(Box::new(request), client))
}

fn port(port: &IntOrString, container: &Container) -> Option<u16> {
    match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|p| p.name.as_ref() == Some(name))
            .and_then(|p| u16::try_from(p.container_port).ok()),
    }
}
