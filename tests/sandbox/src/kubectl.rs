//! Replaces `kubectl` for the only call that kwokctl makes: `kubectl --kubeconfig FILE get --raw PATH`. The machine may
//! have no kubectl, and kwokctl would download one.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [_, file, _, _, path] = words.as_slice() else {
        bail!("this is only what kwokctl needs of kubectl");
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(file)?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.connect_timeout = Some(Duration::from_secs(1));
    config.read_timeout = Some(Duration::from_secs(1));
    config.default_retry = false;
    let request = Request::get(path).body(Vec::new()).context("not a path")?;
    Client::try_from(config)?.request_text(request).await?;
    Ok(())
}
