//! One CA for all istiods, because the clusters of a mesh need a common root of trust. Without it, every istiod signs
//! with its own root.

use std::fs;
use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// Certificate and key as PEM.
pub struct Ca {
    certificate: String,
    key: String,
}

impl Ca {
    pub fn new() -> Result<Ca> {
        let key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name
            .push(DnType::CommonName, "sandbox mesh root");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = ca.self_signed(&key)?;
        Ok(Ca {
            certificate: pem("CERTIFICATE", certificate.der()),
            key: pem("PRIVATE KEY", &key.serialize_der()),
        })
    }

    /// Writes the CA to the folder below istiod's working directory where istiod looks for it.
    pub fn plug_in(&self, istiod: &Path) -> Result<()> {
        let folder = istiod.join("etc/cacerts");
        fs::create_dir_all(&folder)?;
        for file in ["ca-cert.pem", "root-cert.pem", "cert-chain.pem"] {
            fs::write(folder.join(file), &self.certificate)?;
        }
        Ok(fs::write(folder.join("ca-key.pem"), &self.key)?)
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der).into_bytes();
    let lines = body.chunks(64).map(String::from_utf8_lossy);
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}
