//! § Deploy Kiali, the last command: a local port that leads to Kiali. Each connection finds the pod
//! anew, so the port outlives a restart of Kiali.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::net::{TcpListener, TcpStream};

use crate::k8s::{Deadline, Scope};
use crate::mesh::Cluster;
use crate::progress::Progress;
use crate::steps::kiali;

/// A bound port; `taken` when it is not the one asked for.
pub struct Dashboard {
    listener: TcpListener,
    pub url: String,
    pub taken: bool,
}

impl Dashboard {
    pub async fn bind(port: u16) -> Result<Dashboard> {
        let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let (listener, taken) = match bind(port).await {
            Ok(listener) => (listener, false),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => (bind(0).await?, true),
            Err(error) => return Err(error).with_context(|| format!("local port {port}")),
        };
        let port = listener.local_addr()?.port();
        let url = format!("http://localhost:{port}{}", kiali::WEB_ROOT);
        Ok(Dashboard {
            listener,
            url,
            taken,
        })
    }

    /// Serves until the process ends. `trouble` hears why a connection came to nothing.
    pub async fn serve(
        self,
        home: Cluster,
        namespace: String,
        progress: Progress,
        patience: Deadline,
        trouble: impl Fn(String) + Clone + Send + 'static,
    ) -> Result<()> {
        loop {
            let (local, _) = self.listener.accept().await?;
            let (home, namespace, progress, trouble) = (
                home.clone(),
                namespace.clone(),
                progress.clone(),
                trouble.clone(),
            );
            tokio::spawn(async move {
                let deadline = Deadline::after(patience.whole);
                let scope = Scope {
                    cluster: &home,
                    namespace: &namespace,
                    progress,
                    deadline,
                };
                if let Err(error) = connect(&scope, local).await {
                    trouble(format!("{error:#}"));
                }
            });
        }
    }
}

async fn connect(scope: &Scope<'_>, mut local: TcpStream) -> Result<()> {
    let target = kiali::target(scope)
        .await?
        .context("no pod of Kiali is ready; reload in a moment")?;
    let pods = Api::<Pod>::namespaced(scope.cluster.client.clone(), &target.namespace);
    let mut forward = pods.portforward(&target.pod, &[target.port]).await;
    let forward = forward
        .as_mut()
        .map_err(|e| anyhow::anyhow!(crate::problem::kube_text(e)))?;
    let mut remote = forward
        .take_stream(target.port)
        .context("port-forward without a stream")?;
    // A browser that closes early is nobody's trouble.
    let _ = tokio::io::copy_bidirectional(&mut local, &mut remote).await;
    Ok(())
}
