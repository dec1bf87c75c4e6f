//! The proxy's own CA and certificate, and its connection to the API server.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::Cluster;

pub(super) struct Own {
    pub acceptor: TlsAcceptor,
    /// As PEM.
    pub ca: String,
}

impl Own {
    /// Creates a CA with one certificate, valid for 127.0.0.1 and for front.example, the host name of a proxy.
    pub fn new() -> Result<Own> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate()?;
        let mut server = CertificateParams::default();
        server.subject_alt_names = vec![
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::DnsName("front.example".try_into()?),
        ];
        let certificate = server.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Own {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca: pem(ca_certificate.der()),
        })
    }
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    format!("{begin}\n{text}\n{end}\n")
}

pub(super) struct Upstream {
    address: String,
    name: ServerName<'static>,
    admin: TlsConnector,
    anonymous: TlsConnector,
}

impl Upstream {
    pub fn to(cluster: &Cluster) -> Result<Upstream> {
        let address = cluster.server().trim_start_matches("https://").to_string();
        let host = address.split(':').next().unwrap_or_default().to_string();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(cluster.ca().as_bytes())?)?;
        let config: Value = serde_yaml::from_str(&std::fs::read_to_string(cluster.kubeconfig())?)?;
        let data = |field: &str| -> Result<Vec<u8>> {
            let data = config["users"][0]["user"][field].as_str();
            Ok(STANDARD.decode(data.with_context(|| format!("no {field} in the kubeconfig"))?)?)
        };
        let certificate = data("client-certificate-data")?;
        let key = data("client-key-data")?;
        let trusting = || ClientConfig::builder().with_root_certificates(roots.clone());
        let admin = trusting().with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(&certificate)?],
            PrivateKeyDer::from_pem_slice(&key)?,
        )?;
        Ok(Upstream {
            address,
            name: ServerName::try_from(host)?,
            admin: TlsConnector::from(Arc::new(admin)),
            anonymous: TlsConnector::from(Arc::new(trusting().with_no_client_auth())),
        })
    }

    pub async fn connect(&self, as_admin: bool) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let connector = if as_admin {
            &self.admin
        } else {
            &self.anonymous
        };
        Ok(connector.connect(self.name.clone(), stream).await?)
    }
}
