//! Client certificates signed by the cluster's own CA, valid for as long as a test needs.

use std::fs;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, DnValue, Issuer, KeyPair, date_time_ymd};

use super::Cluster;

impl Cluster {
    /// Returns a kubeconfig user: a cluster admin whose certificate is valid from 2019 until the start of `year`.
    pub fn admin_until(&self, year: i32) -> Result<serde_json::Value> {
        let pem = fs::read_to_string(self.state().join("pki/ca.key"))?;
        let ca_key = KeyPair::try_from(pkcs8(&pkcs1(&pem)?))?;
        let mut ca = CertificateParams::default();
        let name = DnValue::PrintableString("kwok-ca".try_into()?);
        ca.distinguished_name = Default::default();
        ca.distinguished_name.push(DnType::CommonName, name);
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate()?;
        let mut admin = CertificateParams::default();
        let name = &mut admin.distinguished_name;
        name.push(DnType::OrganizationName, "system:masters");
        name.push(DnType::CommonName, "kwok-admin");
        admin.not_before = date_time_ymd(2019, 1, 1);
        admin.not_after = date_time_ymd(year, 1, 1);
        let certificate = admin.signed_by(&key, &issuer)?;
        let data = |label: &str, der: &[u8]| {
            let (begin, end) = (
                format!("-----BEGIN {label}-----"),
                format!("-----END {label}-----"),
            );
            STANDARD.encode(format!("{begin}\n{}\n{end}\n", STANDARD.encode(der)))
        };
        Ok(serde_json::json!({
            "client-certificate-data": data("CERTIFICATE", certificate.der()),
            "client-key-data": data("PRIVATE KEY", &key.serialize_der()),
        }))
    }
}

fn pkcs1(pem: &str) -> Result<Vec<u8>> {
    let body = pem.trim().strip_prefix("-----BEGIN RSA PRIVATE KEY-----");
    let body = body.and_then(|body| body.strip_suffix("-----END RSA PRIVATE KEY-----"));
    let body = body.context("not an RSA key")?;
    Ok(STANDARD.decode(body.split_whitespace().collect::<String>())?)
}

/// Converts the key to PKCS #8, which rcgen can read.
fn pkcs8(pkcs1: &[u8]) -> Vec<u8> {
    let tagged = |tag: u8, content: &[u8]| {
        let [high, low] = (content.len() as u16).to_be_bytes();
        [&[tag, 0x82, high, low], content].concat()
    };
    // Version 0, and the algorithm rsaEncryption without parameters.
    let head = [
        0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
        0x01, 0x05, 0x00,
    ];
    tagged(0x30, &[&head[..], &tagged(0x04, pkcs1)].concat())
}
