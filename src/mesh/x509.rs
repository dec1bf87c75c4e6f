//! Fields of a certificate that rustls does not expose.

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::ExtendedKeyUsage;

const SERVER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// Checks the validity dates; None if the certificate cannot be parsed.
pub fn valid(certificate: &CertificateDer, now: UnixTime) -> Option<Result<(), Error>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let now = now.as_secs();
    Some(match now {
        _ if now > validity.not_after.to_unix_duration().as_secs() => {
            Err(CertificateError::Expired.into())
        }
        _ if now < validity.not_before.to_unix_duration().as_secs() => {
            Err(CertificateError::NotValidYet.into())
        }
        _ => Ok(()),
    })
}

/// Whether the extended key usage allows servers. A certificate without this extension is allowed.
pub fn is_for_servers(certificate: &CertificateDer) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return false;
    };
    match certificate
        .tbs_certificate()
        .get_extension::<ExtendedKeyUsage>()
    {
        Ok(Some((_, usage))) => usage.0.iter().any(|use_| [SERVER, ANY].contains(use_)),
        Ok(None) => true,
        Err(_) => false,
    }
}
