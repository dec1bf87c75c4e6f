//! A client of a Gateway that trusts the certificate in the Gateway's Secret, with any certificate of its own.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use ambikiali_sandbox::Cluster;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::{exposed, get};

/// The Secret with the certificate of a Gateway.
pub const GATEWAY_SECRET: &str = "istio-system/prometheus-gateway-tls";
/// The Secret with that of the federating Prometheus.
pub const CLIENT_SECRET: &str = "kiali/prometheus-tls";
/// The name in the certificate of every Gateway.
const SERVER: &str = "prometheus-gateway.ambikiali.dev";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate and its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// That of a Secret, from the values `NAME.crt` and `NAME.key`.
    pub async fn held(cluster: &Cluster, secret: &str, name: &str) -> Identity {
        let [certificate, key] = ["crt", "key"].map(|kind| format!("{name}.{kind}"));
        let certificate = value(cluster, secret, &certificate).await;
        let key = value(cluster, secret, &key).await;
        Identity {
            certificate: CertificateDer::from_pem_slice(&certificate).expect("a certificate"),
            key: PrivateKeyDer::from_pem_slice(&key).expect("a key"),
        }
    }

    /// A new one that ends after so many days.
    pub fn made(name: &str, usage: ExtendedKeyUsagePurpose, days: i32) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_string()]).expect("a name");
        params.extended_key_usages = vec![usage];
        let day = |days: i32| match u32::try_from(days) {
            Ok(days) => SystemTime::now() + DAY * days,
            Err(_) => SystemTime::now() - DAY * days.unsigned_abs(),
        };
        params.not_before = day(-9).into();
        params.not_after = day(days).into();
        let certificate = params.self_signed(&key).expect("a certificate");
        Identity {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        }
    }

    /// The certificate as the value of a Secret.
    pub fn data(&self) -> String {
        let lines = STANDARD.encode(&self.certificate);
        STANDARD.encode(format!(
            "-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"
        ))
    }
}

async fn value(cluster: &Cluster, secret: &str, name: &str) -> Vec<u8> {
    let secret = get(cluster, "v1", "Secret", secret).await;
    let secret = secret.expect("a Secret");
    let value = secret["data"][name].as_str().expect("a value");
    STANDARD.decode(value).expect("base64")
}

/// The status with which the Gateway of a cluster answers over a new connection; None if it refuses the client.
pub async fn asked(cluster: &Cluster, identity: Option<&Identity>, path: &str) -> Option<u16> {
    let answer = answer(cluster, identity, path).await.ok()?;
    Some(answer.status().as_u16())
}

/// The page that home's Prometheus gets.
pub async fn page(cluster: &Cluster, home: &Cluster, path: &str) -> String {
    let identity = Identity::held(home, CLIENT_SECRET, "client").await;
    let answer = answer(cluster, Some(&identity), path).await;
    let answer = answer.expect("an answer from the Gateway");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("a page")
}

async fn answer(
    cluster: &Cluster,
    identity: Option<&Identity>,
    path: &str,
) -> reqwest::Result<reqwest::Response> {
    let own = value(cluster, GATEWAY_SECRET, "tls.crt").await;
    let mut roots = RootCertStore::empty();
    let own = CertificateDer::from_pem_slice(&own).expect("a certificate");
    roots.add(own).expect("a certificate");
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { certificate, key }) => config
            .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
            .expect("a pair"),
    };
    let at: SocketAddr = exposed(cluster).await.parse().expect("an address");
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .resolve(SERVER, at)
        .tls_backend_preconfigured(config);
    let client = client.build().expect("a client");
    let url = format!("https://{SERVER}:{}{path}", at.port());
    client.get(url).send().await
}
