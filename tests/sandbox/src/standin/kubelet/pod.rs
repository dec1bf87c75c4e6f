//! The life of a pod: creates its volumes and then runs its container again and again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as Spec, Pod};
use kube::ResourceExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::log::Log;
use super::probes::{Health, Probes};
use super::program::Program;
use super::status::{Exit, State, Status};
use super::{Node, debugging, mounts, volumes};
use crate::Cluster;
use crate::standin::container::Container;

/// The path at which the kubelet mounts the token of a ServiceAccount.
pub const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A run of this length resets the back-off.
const FORGIVEN: Duration = Duration::from_secs(600);

pub fn folder(cluster: &Cluster, pod: &Pod) -> PathBuf {
    cluster
        .dir()
        .join("pods")
        .join(pod.uid().unwrap_or_default())
}

/// Runs the pod until it is dropped.
pub async fn live(node: Arc<Node>, pod: Pod, played: usize, program: Program) {
    let Some(spec) = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.containers.get(played))
        .cloned()
    else {
        return;
    };
    let mut status = Status::new(&node.cluster, &pod, played, node.address(program));
    status.write(&State::Creating).await;
    let container = loop {
        match create(&node, &pod, &spec, program, &status).await {
            Ok(container) => break container,
            Err(why) => {
                if !why.contains("not found") {
                    eprintln!("pod {}: {why}", pod.name_any());
                }
                sleep(Duration::from_millis(300)).await;
            }
        }
    };
    let refresh = refresh(&node, &container);
    tokio::select! {
        () = restart_for_ever(&node, &container, program, &mut status) => {}
        () = refresh => {}
    }
}

/// Creates everything that must exist before the first start.
async fn create(
    node: &Node,
    pod: &Pod,
    spec: &Spec,
    program: Program,
    status: &Status,
) -> Result<Container, String> {
    let dir = folder(&node.cluster, pod);
    volumes::write(&node.cluster, pod, &dir, None).await?;
    let own = dir.join("root");
    std::fs::create_dir_all(&own).map_err(|e| e.to_string())?;
    let mounts = mounts::of(pod, spec, &dir).map_err(|e| e.to_string())?;
    let token = crate::standin::container::map(&mounts, TOKEN)
        .and_then(|path| std::fs::read_to_string(path).ok())
        .unwrap_or_default();
    let logs = dir.join("logs");
    let log = Log::create(&logs).map_err(|e| e.to_string())?;
    debugging::publish(node, pod, spec, program, status.ip(), &logs, &mounts)
        .await
        .map_err(|e| e.to_string())?;
    Ok(Container {
        cluster: node.cluster.clone(),
        world: node.world.clone(),
        pod: pod.clone(),
        ip: status.ip(),
        client: node
            .cluster
            .client_with_token(&token)
            .map_err(|e| e.to_string())?,
        token,
        spec: spec.clone(),
        dir: own,
        mounts: Arc::new(mounts),
        log: Arc::new(log),
    })
}

/// Updates the volumes with changed ConfigMaps and Secrets. A kubelet does this about once a minute.
async fn refresh(node: &Node, container: &Container) {
    node.copies.are_whole().await;
    let dir = folder(&container.cluster, &container.pod);
    loop {
        let patient = container.world.delays().probes;
        sleep(Duration::from_secs(if patient { 30 } else { 2 })).await;
        // The content of a deleted object stays, as on a real node.
        let (pod, copies) = (&container.pod, Some(&node.copies));
        let _ = volumes::write(&container.cluster, pod, &dir, copies).await;
    }
}

async fn restart_for_ever(
    node: &Node,
    container: &Container,
    program: Program,
    status: &mut Status,
) {
    let mut failures = 0;
    loop {
        let begun = Instant::now();
        status.started = Timestamp::now();
        let code = run(node, container, program, status).await;
        let fallback = container.spec.termination_message_policy.as_deref();
        let quote = code != 0 && fallback == Some("FallbackToLogsOnError");
        status.last = Some(Exit {
            code,
            message: quote.then(|| container.log.tail()),
            started: status.started,
            finished: Timestamp::now(),
        });
        if begun.elapsed() > FORGIVEN {
            failures = 0;
        }
        back_off(node, container, failures, status).await;
        failures += 1;
        status.restarts += 1;
        if let Err(error) = container.log.rotate() {
            eprintln!("log of pod {}: {error}", container.pod.name_any());
        }
    }
}

/// Waits before a restart. The first restart is immediate, then the wait doubles each time, up to five minutes.
async fn back_off(node: &Node, container: &Container, failures: u32, status: &mut Status) {
    status.write(&State::Ended).await;
    let Some(power) = failures.checked_sub(1) else {
        return;
    };
    let base = if node.world.delays().probes { 10 } else { 1 };
    let seconds = (base << power.min(5)).min(base * 30);
    let message = format!(
        "back-off {} restarting failed container={} pod={}_{}({})",
        if seconds < 60 {
            format!("{seconds}s")
        } else {
            format!("{}m{}s", seconds / 60, seconds % 60)
        },
        container.spec.name,
        container.pod.name_any(),
        container.pod.namespace().unwrap_or_default(),
        container.pod.uid().unwrap_or_default(),
    );
    status.write(&State::CrashLoop(message)).await;
    sleep(Duration::from_secs(seconds)).await;
}

/// Runs the container until it exits or its probes end it, and returns the exit code.
async fn run(node: &Node, container: &Container, program: Program, status: &mut Status) -> i32 {
    let delays = node.world.delays();
    let (health, mut seen) = watch::channel(Health::default());
    status.write(&State::Running(Health::default())).await;
    let since = Instant::now();
    let boot = program.boot(delays, status.restarts > 0);
    let process = {
        let container = container.clone();
        async move {
            sleep(boot).await;
            program.run(container).await
        }
    };
    // Use a separate task, because a panic of a stand-in must not end the kubelet.
    let mut process = AbortOnDropHandle::new(tokio::spawn(process));
    let patient = delays.probes && program.probed();
    let probes = Probes::of(&container.spec, container.ip, patient);
    let watching = async {
        // A container without a readiness probe is ready after the delay of the pod.
        if !program.probed() {
            sleep(boot).await;
        }
        probes.watch(since, &health).await
    };
    let mut watching = std::pin::pin!(watching);
    loop {
        tokio::select! {
            code = &mut process => return code.unwrap_or_else(|panic| {
                eprintln!("pod {}: {panic}", container.pod.name_any());
                2
            }),
            why = &mut watching => {
                eprintln!("pod {}: container {why}", container.pod.name_any());
                process.abort();
                let _ = process.await;
                return 137;
            }
            Ok(()) = seen.changed() => {
                let now = *seen.borrow_and_update();
                status.write(&State::Running(now)).await;
            }
        }
    }
}
