//! A TLS server that answers the first two requests of the binary like an API server, and requires credentials: a
//! token, a user with a password, or a known client certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

pub struct TlsServer {
    pub port: u16,
    task: JoinHandle<()>,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The crypto provider of the tests; the binary has its own.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Returns an acceptor with the chain and key in these files. It accepts the client certificates in `known`.
pub fn acceptor(chain: &Path, key: &Path, known: Vec<CertificateDer<'static>>) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(chain).expect("a file");
    let chain = chain.map(|certificate| certificate.expect("PEM")).collect();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let key = provider()
        .key_provider
        .load_private_key(key)
        .expect("a key");
    // Skips rustls' check of the certificate, which is up to the clients.
    let identity = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(Arc::new(Known { known }))
        .with_cert_resolver(Arc::new(identity));
    TlsAcceptor::from(Arc::new(config))
}

impl TlsServer {
    /// Listens on both loopback addresses. Connections to 0.0.0.0 arrive too. Go does not treat it as a loopback
    /// address, so it does not bypass a proxy.
    pub async fn start(tls: Option<TlsAcceptor>) -> TlsServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let six = TcpListener::bind(("::1", port)).await.ok();
        let task = tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    accepted = async {
                        match &six {
                            Some(six) => six.accept().await,
                            None => std::future::pending().await,
                        }
                    } => accepted,
                };
                let Ok((stream, _)) = accepted else { return };
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, false).await,
                        Some(tls) => {
                            let stream = tls.accept(stream).await?;
                            let known = stream.get_ref().1.peer_certificates().is_some();
                            serve(stream, known).await
                        }
                    }
                });
            }
        });
        TlsServer { port, task }
    }
}

async fn serve<S>(mut stream: S, certified: bool) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 16384 {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let path = head.split_whitespace().nth(1).unwrap_or_default();
        let allowed = certified
            || head.contains("authorization: bearer good\r\n")
            // user:pass
            || head.contains("authorization: basic dxnlcjpwyxnz\r\n");
        let (status, body) = match path {
            _ if !allowed => (
                "401 Unauthorized",
                r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#,
            ),
            path if path.ends_with("/api/v1/namespaces/kube-system") => (
                "200 OK",
                r#"{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"0a"}}"#,
            ),
            _ => (
                "200 OK",
                r#"{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{},"items":[]}"#,
            ),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Accepts these client certificates, of any version, if the client proves that it has the key.
#[derive(Debug)]
struct Known {
    known: Vec<CertificateDer<'static>>,
}

fn public_key(certificate: &CertificateDer) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let unread = |_| Error::General("unreadable certificate".into());
    let certificate = Certificate::from_der(certificate).map_err(unread)?;
    let info = certificate.tbs_certificate().subject_public_key_info();
    Ok(info.to_der().map_err(unread)?.into())
}

impl ClientCertVerifier for Known {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.known.contains(certificate) {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        let key = public_key(certificate)?;
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
