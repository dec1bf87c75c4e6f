//! Who a server must be, and who the user is, in a TLS handshake: what Go's programs take, and no more.
//! rustls alone takes less: no certificate that the kubeconfig names itself in place of its CA, and no
//! client certificate of X.509 version 1.

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

/// What a server's certificate is measured by.
pub enum Trust {
    /// The CAs of this machine: the kubeconfig names none.
    Machine,
    /// These, and nothing else.
    Named(Vec<CertificateDer<'static>>),
    /// The kubeconfig says insecure-skip-tls-verify.
    Anything,
}

/// Of a certificate that this machine's CAs do not know, which were asked for want of others.
pub const NAMES_NONE: &str = "the kubeconfig names no CA, and this machine's CAs do not know its certificate; put certificate-authority into the kubeconfig";

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

/// The user's certificate with its key, both in PEM.
pub fn identity(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    let chain = pem::certificates(certificate, Broken::Skipped);
    let chain = chain.map_err(|why| format!("client-certificate {why}"))?;
    let first = &chain[0];
    let signing = signing_key(key)?;
    let fits = signing.public_key().is_none_or(|public| {
        // Also in one that webpki does not read.
        first
            .windows(public.len())
            .any(|part| part == public.as_ref())
    });
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err("client-key is not the key of client-certificate".into())
        }
        _ if !fits => Err("client-key is not the key of client-certificate".into()),
        _ => Ok(certified),
    }
}

fn signing_key(bytes: &[u8]) -> Result<Arc<dyn SigningKey>, String> {
    if pem::is_locked(bytes) {
        return Err("client-key is encrypted with a password; decrypt it (openssl pkey)".into());
    }
    let forms = pem::key(bytes).ok_or("client-key has no private key in PEM")?;
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
            "client-key is of the curve P-521, which this program cannot use; have it issued with P-256, P-384, Ed25519 or RSA"
        }
        _ => {
            "client-key is neither RSA of 2048 to 8192 bits, nor P-256, P-384 or Ed25519, or it is damaged"
        }
    }
}

#[derive(Debug)]
struct Verifier {
    /// None: there is no CA to be measured by.
    chain: Option<Arc<dyn ServerCertVerifier>>,
    named: Vec<CertificateDer<'static>>,
    names_none: bool,
    /// A CA that the kubeconfig names has expired.
    expired: bool,
    anything: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(trust: Trust, provider: Arc<CryptoProvider>) -> Verifier {
        let mut verifier = Verifier {
            chain: None,
            named: Vec::new(),
            names_none: false,
            expired: false,
            anything: false,
            provider: provider.clone(),
        };
        match trust {
            Trust::Anything => verifier.anything = true,
            Trust::Machine => {
                verifier.names_none = true;
                let machine = rustls_platform_verifier::Verifier::new(provider).ok();
                verifier.chain = machine.map(|verifier| Arc::new(verifier) as _);
            }
            Trust::Named(named) => {
                let mut store = RootCertStore::empty();
                for certificate in &named {
                    // Go looks at the dates of a CA too; webpki does not.
                    match x509::valid(certificate, UnixTime::now()) {
                        Some(Err(_)) => verifier.expired = true,
                        _ => drop(store.add(certificate.clone())),
                    }
                }
                let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
                verifier.chain = chain.build().ok().map(|chain| chain as _);
                verifier.named = named;
            }
        }
        verifier
    }

    /// The very certificate that the kubeconfig names: nobody needs to vouch for it, but its dates, its
    /// use and its name must be right.
    fn itself(
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
                "its certificate is not for servers (extended key usage)",
            ));
        }
        let parsed = ParsedCertificate::try_from(certificate)
            .map_err(|_| Error::from(CertificateError::NotValidForName))?;
        verify_server_name(&parsed, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn explained(&self, error: Error) -> Error {
        let unknown = matches!(
            error,
            Error::InvalidCertificate(CertificateError::UnknownIssuer)
        );
        match error {
            _ if unknown && self.names_none => untrusted(NAMES_NONE),
            _ if unknown && self.expired => {
                untrusted("the CA that the kubeconfig names has expired, by this machine's clock")
            }
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                let text = format!("{other:?}");
                match text {
                    text if text.contains("CaUsedAsEndEntity") => untrusted(
                        "its certificate is a CA's own (CA:TRUE); put that very certificate into certificate-authority",
                    ),
                    text if text.contains("UnsupportedCertVersion") => untrusted(
                        "its certificate is of X.509 version 1, without the name of the server in it; have it issued again",
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
        if self.named.contains(end_entity) {
            return self.itself(end_entity, server_name, now);
        }
        let verified = match &self.chain {
            Some(chain) => {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        verified.map_err(|error| self.explained(error))
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
