//! A real cluster: etcd, API server, controller manager, scheduler and kwok. kwokctl starts it on its own loopback
//! addresses and with an audit log.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::http::{HeaderValue, header::USER_AGENT};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::delays::Delays;
use crate::run::{Block, GO, MARK, Run};
use crate::tools::Tools;

mod api_server;
mod certificate;
mod config;
mod controllers;
mod kept;
mod kubeconfig;
mod kwokctl;
mod ready;

pub use api_server::Issuer;
pub(crate) use config::{ISTIOD_OTHERS, OIDC, PLAIN_STORE, STORE};
use kept::Kept;

/// A running cluster. Clones are handles to the same one.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    block: Block,
    run: PathBuf,
    dir: PathBuf,
    server: String,
    ca: String,
    kubeconfig: Kubeconfig,
    config: Config,
    client: Client,
    kept: Kept,
}

/// The loopback addresses and ports that belong to one cluster: `127.<block>.0.0/16`.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The second octet, from 10 to 120. A lock file reserves it for this run.
    pub block: u8,
}

/// How many addresses the pods of Gateways can have. The mesh must know each of them in advance.
pub const GATEWAY_PODS: u16 = 64;

impl Addresses {
    /// The address range of the pods that kwok simulates.
    pub fn kwok_pods(self) -> String {
        format!("127.{}.0.0/17", self.block)
    }

    /// The address of the n-th pod that runs as a process or a stand-in.
    pub fn process_pod(self, n: u16) -> Ipv4Addr {
        let n = n % 25_000;
        Ipv4Addr::new(127, self.block, 128 + (n / 250) as u8, 1 + (n % 250) as u8)
    }

    /// The address of the n-th pod of a Gateway, one of `GATEWAY_PODS` addresses.
    pub fn gateway_pod(self, n: u16) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block, 254, 1 + (n % GATEWAY_PODS) as u8)
    }

    /// The n-th address of the load balancer.
    pub fn load_balancer(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block, 255, n)
    }

    /// The k-th port of this cluster on 127.0.0.1, for example of its API server, etcd or istiod. k must be below 100.
    /// All ports are below 32768, where the range for outgoing connections starts.
    pub fn port(self, k: u16) -> u16 {
        20_000 + u16::from(self.block) * 100 + k
    }
}

impl Cluster {
    /// Starts an empty cluster with one node. Its controllers do not run yet.
    pub async fn start(run: &Run, tools: &Tools, name: &str, delays: Delays) -> Result<Cluster> {
        // The program that uses this library may have installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let block = Block::take()?;
        let dir = run.folder().join(name);
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        kwokctl::create(run, tools, &dir, name, block.addresses, delays).await?;

        let server = format!(
            "https://127.0.0.1:{}",
            block.addresses.port(config::API_SERVER)
        );
        let pki = dir.join("clusters").join(name).join("pki");
        let ca = fs::read_to_string(pki.join("ca.crt")).context("no CA")?;
        let kubeconfig = kubeconfig::write(&dir, &pki, name, &server)?;
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await?;
        let agent = HeaderValue::from_static("sandbox");
        config.headers.push((USER_AGENT, agent));
        let client = Client::try_from(config.clone())?;
        ready::add_node(&client, name, block.addresses).await?;
        let inner = Inner {
            name: name.into(),
            block,
            run: run.folder().into(),
            dir,
            server,
            ca,
            kubeconfig,
            config,
            client,
            kept: Kept::default(),
        };
        Ok(Cluster {
            inner: Arc::new(inner),
        })
    }

    /// Waits until pods can be scheduled and created.
    pub async fn takes_work(&self) -> Result<()> {
        ready::takes_work(&self.client(), self.name()).await
    }

    /// The name, such as `cluster1`, of both the kubeconfig context and the cluster in Istio.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub fn addresses(&self) -> Addresses {
        self.inner.block.addresses
    }

    /// A client with cluster-admin rights and the user agent `sandbox`.
    pub fn client(&self) -> Client {
        self.inner.client.clone()
    }

    /// The URL of the API server: `https://127.0.0.1:PORT`.
    pub fn server(&self) -> &str {
        &self.inner.server
    }

    /// The CA of the API server, as PEM.
    pub fn ca(&self) -> &str {
        &self.inner.ca
    }

    /// The folder of this cluster's files, which is deleted with the run.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The path of a kubeconfig with only this cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir().join("kubeconfig")
    }

    /// The content of that kubeconfig.
    pub(crate) fn kubeconfig_data(&self) -> &Kubeconfig {
        &self.inner.kubeconfig
    }

    /// The path of the API server's audit log.
    pub fn audit_log(&self) -> PathBuf {
        self.state().join("logs/audit.log")
    }

    /// Returns a command for a program that ends with the run.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env(MARK, &self.inner.run).envs(GO);
        command
    }

    /// Requests a token of a ServiceAccount, like the one that a kubelet mounts.
    pub async fn token(&self, namespace: &str, service_account: &str) -> Result<String> {
        let hour = TokenRequestSpec {
            expiration_seconds: Some(3607),
            ..TokenRequestSpec::default()
        };
        self.token_as(namespace, service_account, hour).await
    }

    /// Requests a token with this lifetime and audience.
    pub(crate) async fn token_as(
        &self,
        namespace: &str,
        service_account: &str,
        wanted: TokenRequestSpec,
    ) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let request = TokenRequest {
            spec: Some(wanted),
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(service_account, &PostParams::default(), &request)
            .await
            .with_context(|| format!("no token for {namespace}/{service_account}"))?;
        let status = answer.status.context("a token request without status")?;
        status.token.context("a token request without token")
    }

    /// Returns a client whose only credential is this token.
    pub fn client_with_token(&self, token: &str) -> Result<Client> {
        let mut config = self.inner.config.clone();
        config.auth_info = AuthInfo {
            token: Some(token.to_string().into()),
            ..AuthInfo::default()
        };
        Ok(Client::try_from(config)?)
    }

    /// The port of istiod's plain HTTP server on 127.0.0.1, which serves `/ready`.
    pub fn istiod_http_port(&self) -> u16 {
        self.addresses().port(config::ISTIOD_HTTP)
    }

    /// The port on 127.0.0.1 where istiod configures proxies over TLS.
    pub fn istiod_xds_port(&self) -> u16 {
        self.addresses().port(config::ISTIOD_XDS)
    }

    /// The folder that kwokctl created for this cluster.
    fn state(&self) -> PathBuf {
        self.dir().join("clusters").join(self.name())
    }
}
