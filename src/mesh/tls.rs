//! TLS with the certificates that Go accepts, and no others. rustls alone rejects two kinds that kubectl
//! accepts: a server certificate given as the CA in the kubeconfig, and an X.509 version 1 client certificate.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, InconsistentKeys, OtherError,
    RootCertStore, SignatureScheme,
};

use super::pem::{self, Broken};
use super::x509;
use crate::problem::Untrusted;

/// What a server's certificate is verified against.
pub enum Trust {
    /// The CAs of this machine, because the kubeconfig has none.
    Machine,
    /// Only these certificates.
    Named(Vec<CertificateDer<'static>>),
    /// The kubeconfig sets insecure-skip-tls-verify.
    Anything,
}

/// Message for a certificate that this machine does not trust, if the kubeconfig has no CA.
pub const NO_CA: &str = "the kubeconfig has no CA, and this machine does not trust the server's certificate; set certificate-authority in the kubeconfig";

fn untrusted(cause: &'static str) -> Error {
    CertificateError::Other(OtherError(Arc::new(Untrusted(cause)))).into()
}

pub fn config(trust: Trust, identity: Option<CertifiedKey>) -> Result<ClientConfig, String> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.ok_or("no TLS provider is installed")?;
    let verifier = Verifier::new(trust, provider.clone());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(match identity {
        Some(identity) => {
            config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        None => config.with_no_client_auth(),
    })
}

/// Parses the user's client certificate and key from PEM.
pub fn identity(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    let chain = pem::certificates(certificate, Broken::Skipped);
    let chain = chain.map_err(|why| format!("client-certificate {why}"))?;
    let first = &chain[0];
    let signing = signing_key(key)?;
    let fits = signing.public_key().is_none_or(|public| {
        // This also works for certificates that webpki cannot parse.
        first
            .windows(public.len())
            .any(|part| part == public.as_ref())
    });
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err("client-key does not match client-certificate".into())
        }
        _ if !fits => Err("client-key does not match client-certificate".into()),
        _ => Ok(certified),
    }
}

fn signing_key(bytes: &[u8]) -> Result<Arc<dyn SigningKey>, String> {
    if pem::is_locked(bytes) {
        return Err("client-key is encrypted with a password; decrypt it (openssl pkey)".into());
    }
    let forms = pem::key(bytes).ok_or("client-key has no PEM private key")?;
    let loaded = forms.iter().find_map(|der| {
        let provider = CryptoProvider::get_default()?;
        provider.key_provider.load_private_key(der.clone_key()).ok()
    });
    loaded.ok_or_else(|| unusable(&forms[0]).into())
}

fn unusable(key: &PrivateKeyDer) -> &'static str {
    /// The object identifier of secp521r1.
    const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
    match key.secret_der() {
        der if der.windows(P521.len()).any(|part| part == P521) => {
            "client-key uses curve P-521, which ambikiali does not support; issue it with P-256, P-384, Ed25519 or RSA"
        }
        _ => {
            "client-key must be RSA (2048 to 8192 bits), P-256, P-384 or Ed25519, or it is damaged"
        }
    }
}

#[derive(Debug)]
struct Verifier {
    /// None if there is no usable CA.
    chain: Option<Arc<dyn ServerCertVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
    no_ca: bool,
    /// Whether a CA in the kubeconfig has expired.
    expired: bool,
    anything: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(trust: Trust, provider: Arc<CryptoProvider>) -> Verifier {
        let mut verifier = Verifier {
            chain: None,
            pinned: Vec::new(),
            no_ca: false,
            expired: false,
            anything: false,
            provider: provider.clone(),
        };
        match trust {
            Trust::Anything => verifier.anything = true,
            Trust::Machine => {
                verifier.no_ca = true;
                let machine = rustls_platform_verifier::Verifier::new(provider).ok();
                verifier.chain = machine.map(|verifier| Arc::new(verifier) as _);
            }
            Trust::Named(pinned) => {
                let mut store = RootCertStore::empty();
                for certificate in &pinned {
                    // Go checks the validity dates of a CA; webpki does not.
                    match x509::valid(certificate, UnixTime::now()) {
                        Some(Err(_)) => verifier.expired = true,
                        _ => drop(store.add(certificate.clone())),
                    }
                }
                let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
                verifier.chain = chain.build().ok().map(|chain| chain as _);
                verifier.pinned = pinned;
            }
        }
        verifier
    }

    /// Verifies a server certificate that the kubeconfig itself lists as a CA. It needs no issuer, but its
    /// dates, key usage and name must be valid.
    fn verify_pinned(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match x509::valid(certificate, now) {
            Some(valid) => valid?,
            None => return Err(CertificateError::BadEncoding.into()),
        }
        if !x509::is_for_servers(certificate) {
            return Err(untrusted(
                "its certificate is not valid for servers (extended key usage)",
            ));
        }
        let parsed = ParsedCertificate::try_from(certificate)
            .map_err(|_| Error::from(CertificateError::NotValidForName))?;
        verify_server_name(&parsed, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn explain(&self, error: Error) -> Error {
        let unknown = matches!(
            error,
            Error::InvalidCertificate(CertificateError::UnknownIssuer)
        );
        match error {
            _ if unknown && self.no_ca => untrusted(NO_CA),
            _ if unknown && self.expired => {
                untrusted("the CA in the kubeconfig has expired by this machine's clock")
            }
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                let text = format!("{other:?}");
                match text {
                    text if text.contains("CaUsedAsEndEntity") => untrusted(
                        "its certificate is a CA certificate (CA:TRUE); set certificate-authority to this certificate",
                    ),
                    text if text.contains("UnsupportedCertVersion") => untrusted(
                        "its certificate is X.509 version 1 and cannot name the server; reissue it",
                    ),
                    _ => Error::InvalidCertificate(CertificateError::Other(other)),
                }
            }
            other => other,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.anything {
            return Ok(ServerCertVerified::assertion());
        }
        if self.pinned.contains(end_entity) {
            return self.verify_pinned(end_entity, server_name, now);
        }
        let verified = match &self.chain {
            Some(chain) => {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        verified.map_err(|error| self.explain(error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.anything {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.anything {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let mut schemes = algorithms.supported_schemes();
        if self.anything && !schemes.contains(&SignatureScheme::ECDSA_NISTP521_SHA512) {
            schemes.push(SignatureScheme::ECDSA_NISTP521_SHA512);
        }
        schemes
    }
}
