//! § Deploy Kiali, the last command: forwards a local port to Kiali. It looks for the pod all the time, because a
//! port-forward does not report that its pod is gone; so the port survives restarts of Kiali.

mod guarded;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::future::select_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::deadline::Deadline;
use crate::k8s::Scope;
use crate::k8s::forward::Target;
use crate::problem::{Exit, Problem, kube_text};
use crate::steps::kiali;

const LOOK: Duration = Duration::from_secs(1);
/// How long a connection waits for a restart of Kiali.
const RESTART: Duration = Duration::from_secs(60);

/// Attempts to find a port that is free at both addresses.
const TRIES: usize = 8;

/// A bound port; `taken` if it is not the requested one.
pub struct Dashboard {
    listeners: Vec<TcpListener>,
    port: u16,
    target: Target,
    pub url: String,
    pub taken: bool,
}

impl Dashboard {
    /// Fails unless a Kiali pod is ready.
    pub async fn open(scope: &Scope<'_>, port: u16) -> Result<Dashboard> {
        let missing = || {
            let cause = format!("{}: no Kiali pod is ready", scope.cluster.name);
            Problem::new(Exit::Unexpected, cause).fix("ambikiali status")
        };
        let target = kiali::target(scope).await?.ok_or_else(missing)?;
        let (listeners, taken) = match bind(port).await {
            Ok(listeners) => (listeners, false),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                (bind_any().await?, port != 0)
            }
            Err(error) => return Err(error).with_context(|| format!("local port {port}")),
        };
        let port = listeners[0].local_addr()?.port();
        let url = format!("http://localhost:{port}{}", kiali::WEB_ROOT);
        Ok(Dashboard {
            listeners,
            port,
            target,
            url,
            taken,
        })
    }

    /// Serves until the process ends. `trouble` gets the errors of connections.
    pub async fn serve(
        self,
        scope: &Scope<'_>,
        trouble: impl Fn(String) + Clone + Send + 'static,
    ) -> Result<()> {
        let (found, target) = watch::channel(Some(self.target));
        let begin = |local| {
            let (client, target) = (scope.cluster.client.clone(), target.clone());
            let (trouble, port) = (trouble.clone(), self.port);
            tokio::spawn(async move {
                if let Err(error) = forward(client, target, local, port).await {
                    trouble(format!("{error:#}"));
                }
            });
        };
        tokio::select! {
            () = accept(&self.listeners, begin, &trouble) => {}
            () = look(scope, found) => {}
        }
        Ok(())
    }
}

/// Never returns.
async fn accept(listeners: &[TcpListener], begin: impl Fn(TcpStream), trouble: &impl Fn(String)) {
    loop {
        match accepted(listeners).await {
            Ok(local) => begin(local),
            // Too many connections, or one that is closed already: the next one may work.
            Err(error) => {
                trouble(format!("a connection is lost: {error}"));
                sleep(LOOK).await;
            }
        }
    }
}

/// Listens at both addresses that a browser may use for localhost, so that no other program gets one of them.
async fn bind(port: u16) -> io::Result<Vec<TcpListener>> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = first.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        // This machine has no IPv6 loopback address.
        Err(_) => Ok(vec![first]),
    }
}

async fn bind_any() -> io::Result<Vec<TcpListener>> {
    for _ in 1..TRIES {
        if let Ok(listeners) = bind(0).await {
            return Ok(listeners);
        }
    }
    bind(0).await
}

async fn accepted(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    let all = listeners.iter().map(|listener| Box::pin(listener.accept()));
    let (first, ..) = select_all(all).await;
    first.map(|(local, _)| local)
}

/// Never returns.
async fn look(scope: &Scope<'_>, found: watch::Sender<Option<Target>>) {
    loop {
        sleep(LOOK).await;
        let scope = Scope {
            deadline: Deadline::after(scope.deadline.whole),
            ..scope.clone()
        };
        // An unreachable API server tells nothing about the pod.
        if let Ok(now) = kiali::target(&scope).await {
            found.send_if_modified(|last| {
                let changed = *last != now;
                *last = now;
                changed
            });
        }
    }
}

/// Serves one connection until either end closes it or the pod is gone.
async fn forward(
    client: Client,
    mut target: watch::Receiver<Option<Target>>,
    local: TcpStream,
    port: u16,
) -> Result<()> {
    let found = timeout(RESTART, target.wait_for(Option::is_some)).await;
    let found = found.map(|found| found.ok().and_then(|target| target.clone()));
    let to = found.ok().flatten();
    let to = to.context("no Kiali pod is ready; reload the page in a moment")?;
    let pods = Api::<Pod>::namespaced(client, &to.namespace);
    let mut forward = pods
        .portforward(&to.pod, &[to.port])
        .await
        .map_err(|e| anyhow!(kube_text(&e)))?;
    let kiali = forward
        .take_stream(to.port)
        .context("port-forward has no stream")?;
    tokio::select! {
        served = guarded::serve(local, port, kiali) => served,
        _ = target.wait_for(|now| now.as_ref() != Some(&to)) => Ok(()),
    }
}
