//! The certificates with which the federating Prometheus and the Gateways prove themselves to each other. Each side
//! trusts exactly the certificate of the other one: there is no CA whose key could make more of them. A key exists only
//! in the Secret of the side that uses it.

mod held;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::mesh::{ClusterName, pem, tls, x509};

pub use held::{Held, certificates, held, held_or_new, not_in_use, now, status};

/// The name in the certificate of every Gateway, which the federating Prometheus expects whatever the address is.
pub const SERVER_NAME: &str = "prometheus-gateway.ambikiali.dev";
/// How long a certificate is valid.
const VALID: Duration = Duration::from_secs(730 * DAY);
/// A certificate is valid since the day before, because the clocks of the clusters differ.
const DAY: u64 = 24 * 60 * 60;
/// Limit for the size of a certificate or key that is read.
const LARGEST: usize = 16 * 1024;

/// The side that a certificate proves. It cannot be used on the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The Gateway of a cluster.
    Server,
    /// The federating Prometheus.
    Client,
}

impl Side {
    fn usage(self) -> ExtendedKeyUsagePurpose {
        match self {
            Side::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Side::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Side::Server => SERVER_NAME,
            Side::Client => "federating-prometheus.ambikiali.dev",
        }
    }
}

/// A certificate and its key, both in PEM. The Debug output of the key is redacted.
#[derive(Clone, Debug)]
pub struct Pair {
    pub certificate: String,
    key: SecretString,
    pub made: Timestamp,
    pub expires: Timestamp,
}

impl Pair {
    /// A new pair. `now` is the time of the cluster that will use it.
    pub fn new(side: Side, now: Timestamp) -> Result<Pair> {
        let key = KeyPair::generate().context("cannot create a key")?;
        let mut params = CertificateParams::new([side.name().to_string()])?;
        params
            .distinguished_name
            .push(DnType::CommonName, side.name());
        params.extended_key_usages = vec![side.usage()];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let now = SystemTime::from(now);
        params.not_before = (now - Duration::from_secs(DAY)).into();
        params.not_after = (now + VALID).into();
        let certificate = params.self_signed(&key)?;
        let key = pem::key_text(&key.serialize_der());
        let certificate = pem::text(std::slice::from_ref(certificate.der()));
        let read = Pair::read(side, certificate.as_bytes(), key.as_bytes(), now_unix(now));
        read.map_err(anyhow::Error::msg)
            .context("a new certificate cannot be read")
    }

    /// A pair from a Secret, which anybody may have written.
    pub fn read(side: Side, certificate: &[u8], key: &[u8], now: UnixTime) -> Result<Pair, String> {
        if certificate.len().max(key.len()) > LARGEST {
            return Err(format!("is larger than {LARGEST} bytes"));
        }
        let all = pem::certificates(certificate, pem::Broken::Refused)?;
        let [only] = &all[..] else {
            return Err(format!("has {} certificates", all.len()));
        };
        let (made, expires) = judge(side, only, now)?;
        tls::identity(certificate, key).map_err(|_| "has a key that does not fit it")?;
        let key = std::str::from_utf8(key).map_err(|_| "has a key that is not text")?;
        Ok(Pair {
            // Without other text around it.
            certificate: pem::text(&all),
            key: key.to_string().into(),
            made,
            expires,
        })
    }

    /// From the values of a Secret under these names.
    fn of(side: Side, data: &Value, names: [&str; 2], now: Timestamp) -> Result<Pair, String> {
        let [certificate, key] = names.map(|name| value(data, name));
        Pair::read(side, &certificate?, &key?, now_unix(now.into()))
    }

    /// The TLS configuration of a client with this pair that takes any certificate of a server.
    pub fn config(&self) -> Result<ClientConfig> {
        let key = self.key.expose_secret().as_bytes();
        let identity = tls::identity(self.certificate.as_bytes(), key);
        let config = identity.and_then(|own| tls::config(tls::Trust::Anything, Some(own)));
        config.map_err(anyhow::Error::msg)
    }

    /// Whether this is the certificate that a server presented.
    pub fn is(&self, presented: &CertificateDer) -> bool {
        self.certificate == pem::text(std::slice::from_ref(presented))
    }

    /// The key as the value of a Secret.
    pub fn key_data(&self) -> Value {
        data(self.key.expose_secret())
    }
}

/// A value of a Secret.
fn value(data: &Value, name: &str) -> Result<Vec<u8>, String> {
    let text = data[name]
        .as_str()
        .ok_or_else(|| format!("has no {name}"))?;
    if text.len() > LARGEST * 2 {
        return Err(format!("has a {name} larger than {LARGEST} bytes"));
    }
    STANDARD
        .decode(text)
        .map_err(|_| format!("has no readable {name}"))
}

/// A value of a Secret as text.
pub fn text(data: &Value, name: &str) -> Result<String, String> {
    String::from_utf8(value(data, name)?).map_err(|_| format!("has a {name} that is not text"))
}

/// A text as the value of a Secret.
pub fn data(text: &str) -> Value {
    json!(STANDARD.encode(text))
}

fn now_unix(now: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(
        now.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

/// Whether a certificate proves this side now; when it was made, and when it ends.
fn judge(
    side: Side,
    certificate: &CertificateDer,
    now: UnixTime,
) -> Result<(Timestamp, Timestamp), String> {
    let facts = x509::facts(certificate).ok_or("has a certificate that cannot be read")?;
    match x509::valid(certificate, now) {
        Some(Ok(())) => {}
        _ if now.as_secs() > facts.not_after.as_secs() => return Err("has expired".into()),
        _ => return Err("is not valid yet".into()),
    }
    let wanted = match side {
        Side::Server => x509::SERVER,
        Side::Client => x509::CLIENT,
    };
    if facts.usages != [wanted] {
        return Err(format!("is not for a {side:?} alone").to_lowercase());
    }
    if facts.is_ca || facts.dns_names != [side.name()] {
        return Err(format!("is not that of {} alone", side.name()));
    }
    let time = |since: Duration| {
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_second(seconds).map_err(|_| "has a date that cannot be read")
    };
    let made = time(facts.not_before + Duration::from_secs(DAY))?;
    Ok((made, time(facts.not_after)?))
}

/// The certificates of an install.
pub struct Certificates {
    /// That of the federating Prometheus.
    pub client: Pair,
    /// Those of the Gateways.
    pub gateways: BTreeMap<ClusterName, Pair>,
}

#[cfg(test)]
mod tests;
