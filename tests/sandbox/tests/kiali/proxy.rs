//! A network to a remote cluster that can refuse connections and hang.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub struct Proxy {
    pub port: u16,
    to: SocketAddr,
    frozen: watch::Sender<bool>,
    running: JoinSet<()>,
}

impl Proxy {
    pub async fn start(server: &str) -> Result<Proxy> {
        let to = server.trim_start_matches("https://").parse()?;
        let (frozen, _) = watch::channel(false);
        let mut proxy = Proxy {
            port: 0,
            to,
            frozen,
            running: JoinSet::new(),
        };
        proxy.back().await?;
        Ok(proxy)
    }

    pub async fn refuse(&mut self) {
        self.running.shutdown().await;
    }

    pub async fn back(&mut self) -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        self.port = listener.local_addr()?.port();
        self.running
            .spawn(accept(listener, self.to, self.frozen.subscribe()));
        Ok(())
    }

    pub fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, frozen: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let frozen = frozen.clone();
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect(to).await else {
                return;
            };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::select! {
                () = pass(from_client, to_server, frozen.clone()) => {}
                () = pass(from_server, to_client, frozen) => {}
            }
        });
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut frozen: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        if frozen.wait_for(|frozen| !frozen).await.is_err()
            || to.write_all(&bytes[..n]).await.is_err()
        {
            return;
        }
    }
}
