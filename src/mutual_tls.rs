//! The certificates with which the federating Prometheus and the Gateways prove themselves to each other. Each side
//! trusts exactly the certificate of the other one: there is no CA whose key could make more of them. A key exists only
//! in the Secret of the side that uses it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::UnixTime;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::k8s::health::Health;
use crate::k8s::look::Component;
use crate::k8s::{Scope, secret};
use crate::mesh::{ClusterName, pem, tls, x509};
use crate::progress::ObjectId;

/// The name in the certificate of every Gateway, which the federating Prometheus expects whatever the address is.
pub const SERVER_NAME: &str = "prometheus-gateway.ambikiali.dev";
/// How long a certificate is valid.
const VALID: Duration = Duration::from_secs(730 * DAY);
/// A certificate is valid since the day before, because the clocks of the clusters differ.
const DAY: u64 = 24 * 60 * 60;
/// `status` counts the days of a certificate that ends within so many.
const WARNED: i64 = 60;
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
    expires: Timestamp,
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
        let expires = judge(side, only, now)?;
        tls::identity(certificate, key).map_err(|_| "has a key that does not fit it")?;
        let key = std::str::from_utf8(key).map_err(|_| "has a key that is not text")?;
        Ok(Pair {
            // Without other text around it.
            certificate: pem::text(&all),
            key: key.to_string().into(),
            expires,
        })
    }

    /// From the values of a Secret under these names.
    fn of(side: Side, data: &Value, names: [&str; 2], now: Timestamp) -> Result<Pair, String> {
        let [certificate, key] = names.map(|name| value(data, name));
        Pair::read(side, &certificate?, &key?, now_unix(now.into()))
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

/// Whether a certificate proves this side now; until when.
fn judge(
    side: Side,
    certificate: &rustls::pki_types::CertificateDer,
    now: UnixTime,
) -> Result<Timestamp, String> {
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
    let expires = i64::try_from(facts.not_after.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(expires).map_err(|_| "has no readable end".into())
}

/// The certificates of an install.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// That of the federating Prometheus.
    pub client: Pair,
    /// Those of the Gateways.
    pub gateways: BTreeMap<ClusterName, Pair>,
}

/// The pair in a Secret, if it is usable. Tells of one that is not.
pub async fn held(
    scope: &Scope<'_>,
    id: &ObjectId,
    side: Side,
    names: [&str; 2],
) -> Result<Option<Pair>> {
    let Some(live) = secret::live(scope, id).await? else {
        return Ok(None);
    };
    match Pair::of(side, &live["data"], names, now(scope)) {
        Ok(pair) => Ok(Some(pair)),
        // One of others is not replaced, which the apply says.
        Err(_) if !scope.record.is_ours(&live) => Ok(None),
        Err(fault) => {
            let name = &scope.cluster.name;
            scope.progress.note(format!(
                "{name}: the certificate in {id} {fault}: it is replaced"
            ));
            Ok(None)
        }
    }
}

/// The pair that is there, or a new one.
pub fn held_or_new(scope: &Scope<'_>, side: Side, held: Option<Pair>) -> Result<Pair> {
    held.map_or_else(|| Pair::new(side, now(scope)), Ok)
}

/// The time by which certificates of a cluster are judged.
fn now(scope: &Scope<'_>) -> Timestamp {
    scope.cluster.server_time().unwrap_or_else(Timestamp::now)
}

/// The Secret of one side: its own pair under `names`, and the certificates of its `peers`.
pub async fn status(
    scope: &Scope<'_>,
    id: ObjectId,
    side: Side,
    names: [&str; 2],
    peers: &[String],
) -> Component {
    let now = now(scope);
    let judged = match secret::live(scope, &id).await {
        Err(error) => Err(Health::Failed(format!("{error:#}"))),
        Ok(None) => Err(Health::InProgress("not found".into())),
        Ok(Some(live)) => ends(side, &live["data"], names, peers, now)
            .map_err(|fault| Health::Failed(format!("{fault}: run install again"))),
    };
    match judged {
        Err(health) => Component::new(id, health),
        Ok(ends) => Component {
            note: Some(told_end(ends, now)),
            ..Component::new(id, Health::Ready)
        },
    }
}

fn told_end(ends: Timestamp, now: Timestamp) -> String {
    let day = ends.strftime("%F");
    match ends.duration_since(now).as_hours() / 24 {
        days @ ..WARNED => format!("its certificates are valid for {days} more days, until {day}"),
        _ => format!("its certificates are valid until {day}"),
    }
}

/// When the first certificate of a Secret ends; an error if one of them is unusable.
fn ends(
    side: Side,
    data: &Value,
    names: [&str; 2],
    peers: &[String],
    now: Timestamp,
) -> Result<Timestamp, String> {
    let pair = Pair::of(side, data, names, now);
    let own = pair
        .map_err(|fault| format!("{} {fault}", names[0]))?
        .expires;
    let other = match side {
        Side::Server => Side::Client,
        Side::Client => Side::Server,
    };
    let peer = |name: &String| {
        let end = value(data, name).and_then(|text| trusted(other, &text, now));
        end.map_err(|fault| format!("{name} {fault}"))
    };
    let ends = peers.iter().map(peer).collect::<Result<Vec<_>, _>>()?;
    Ok(ends.into_iter().fold(own, Timestamp::min))
}

/// When the last of some trusted certificates ends.
fn trusted(side: Side, text: &[u8], now: Timestamp) -> Result<Timestamp, String> {
    let all = pem::certificates(text, pem::Broken::Refused)?;
    let ends = all.iter().map(|one| judge(side, one, now_unix(now.into())));
    let last = ends.collect::<Result<Vec<_>, _>>()?.into_iter().max();
    last.ok_or_else(|| "has no certificate".into())
}

#[cfg(test)]
mod tests;
