//! The status of a pod, as the kubelet writes it.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::probes::Health;
use crate::Cluster;

/// The state of the container that a process or a stand-in runs.
pub enum State {
    /// A volume is missing, or the address is not available yet.
    Creating,
    Running(Health),
    /// Waits before a restart, with the kubelet's message.
    CrashLoop(String),
    /// Exited and is being restarted at once.
    Ended,
}

/// How the previous run ended.
#[derive(Clone)]
pub struct Exit {
    pub code: i32,
    pub message: Option<String>,
    pub started: Timestamp,
    pub finished: Timestamp,
}

pub struct Status {
    api: Api<Pod>,
    pod: Pod,
    played: usize,
    ip: Ipv4Addr,
    born: Timestamp,
    ready_since: (bool, Timestamp),
    pub started: Timestamp,
    pub restarts: u32,
    pub last: Option<Exit>,
}

impl Status {
    pub fn new(cluster: &Cluster, pod: &Pod, played: usize, ip: Ipv4Addr) -> Status {
        let now = Timestamp::now();
        let namespace = pod.namespace().unwrap_or_default();
        Status {
            api: Api::namespaced(cluster.client(), &namespace),
            pod: pod.clone(),
            played,
            ip,
            born: now,
            ready_since: (false, now),
            started: now,
            restarts: 0,
            last: None,
        }
    }

    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// Writes the status. Retries until the API server accepts it or the pod is gone.
    pub async fn write(&mut self, state: &State) {
        let ready = matches!(state, State::Running(Health { ready: true, .. }));
        if ready != self.ready_since.0 {
            self.ready_since = (ready, Timestamp::now());
        }
        // The UID keeps a new pod of the same name from getting the status of the old one.
        let patch = json!({
            "metadata": { "uid": self.pod.uid() },
            "status": self.render(state, ready),
        });
        let name = self.pod.name_any();
        loop {
            let params = PatchParams::default();
            match self
                .api
                .patch_status(&name, &params, &Patch::Strategic(&patch))
                .await
            {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                    return;
                }
                Err(kube::Error::Api(status)) if status.is_invalid() => {
                    eprintln!("status of pod {name} refused: {}", status.message);
                    return;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
            }
        }
    }

    fn render(&self, state: &State, ready: bool) -> Value {
        let creating = matches!(state, State::Creating);
        let spec = self.pod.spec.as_ref();
        let containers = spec.map(|s| s.containers.as_slice()).unwrap_or_default();
        let statuses: Vec<Value> = containers
            .iter()
            .enumerate()
            .map(|(index, container)| {
                if creating {
                    self.waiting(container, json!({ "reason": "ContainerCreating" }))
                } else if index == self.played {
                    self.played(container, state)
                } else {
                    self.beside(container)
                }
            })
            .collect();
        let init = spec
            .and_then(|s| s.init_containers.as_deref())
            .unwrap_or_default();
        let mut status = json!({
            "phase": if creating { "Pending" } else { "Running" },
            "startTime": self.born.to_string(),
            "hostIP": "127.0.0.1",
            "hostIPs": [{ "ip": "127.0.0.1" }],
            "conditions": self.conditions(ready, creating),
            "containerStatuses": statuses,
            "initContainerStatuses": init.iter().map(|c| self.done(c)).collect::<Vec<_>>(),
        });
        if !creating {
            let ip = self.ip.to_string();
            status["podIPs"] = json!([{ "ip": ip }]);
            status["podIP"] = json!(ip);
        }
        status
    }

    fn conditions(&self, ready: bool, creating: bool) -> Value {
        let born = self.born.to_string();
        let since = self.ready_since.1.to_string();
        let containers = self.pod.spec.iter().flat_map(|s| &s.containers);
        let unready: Vec<&str> = containers
            .enumerate()
            .filter(|(index, _)| creating || *index == self.played)
            .map(|(_, container)| container.name.as_str())
            .collect();
        let named = |kind: &str| match ready {
            true => json!({
                "type": kind, "status": "True", "lastTransitionTime": since,
                "reason": null, "message": null,
            }),
            false => json!({
                "type": kind, "status": "False", "lastTransitionTime": since,
                "reason": "ContainersNotReady",
                "message": format!("containers with unready status: [{}]", unready.join(" ")),
            }),
        };
        json!([
            { "type": "Initialized", "status": "True", "lastTransitionTime": born },
            { "type": "PodReadyToStartContainers", "status": if creating { "False" } else { "True" },
              "lastTransitionTime": born },
            named("Ready"),
            named("ContainersReady"),
        ])
    }

    fn played(&self, container: &Container, state: &State) -> Value {
        let mut status = match state {
            State::Creating => self.waiting(container, json!({ "reason": "ContainerCreating" })),
            State::Running(health) => {
                let running = json!({ "running": { "startedAt": self.started.to_string() } });
                self.container(container, health.ready, health.started, running)
            }
            State::CrashLoop(message) => self.waiting(
                container,
                json!({ "reason": "CrashLoopBackOff", "message": message }),
            ),
            State::Ended => {
                let ended = json!({ "terminated": self.last.as_ref().map(terminated) });
                self.container(container, false, false, ended)
            }
        };
        status["restartCount"] = json!(self.restarts);
        if let Some(exit) = self
            .last
            .as_ref()
            .filter(|_| !matches!(state, State::Ended))
        {
            status["lastState"] = json!({ "terminated": terminated(exit) });
        }
        status
    }

    fn beside(&self, container: &Container) -> Value {
        let running = json!({ "running": { "startedAt": self.born.to_string() } });
        self.container(container, true, true, running)
    }

    fn done(&self, container: &Container) -> Value {
        let born = self.born.to_string();
        let ended = json!({ "terminated": {
            "exitCode": 0, "reason": "Completed", "startedAt": born, "finishedAt": born,
        } });
        self.container(container, true, false, ended)
    }

    fn waiting(&self, container: &Container, why: Value) -> Value {
        self.container(container, false, false, json!({ "waiting": why }))
    }

    fn container(&self, container: &Container, ready: bool, started: bool, state: Value) -> Value {
        json!({
            "name": container.name,
            "image": container.image,
            "imageID": container.image,
            "ready": ready,
            "started": started,
            "restartCount": 0,
            "state": state,
        })
    }
}

fn terminated(exit: &Exit) -> Value {
    let mut value = json!({
        "exitCode": exit.code,
        "reason": if exit.code == 0 { "Completed" } else { "Error" },
        "startedAt": exit.started.to_string(),
        "finishedAt": exit.finished.to_string(),
    });
    if let Some(message) = &exit.message {
        value["message"] = json!(message);
    }
    value
}
