//! Fields of a certificate that rustls does not expose.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};

pub const SERVER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub const CLIENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
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

/// What a certificate is for, and until when.
pub struct Facts {
    pub not_before: Duration,
    pub not_after: Duration,
    /// Empty without the extension.
    pub usages: Vec<ObjectIdentifier>,
    /// Empty if it has names of another kind.
    pub dns_names: Vec<String>,
    pub is_ca: bool,
}

/// None if the certificate cannot be parsed.
pub fn facts(certificate: &CertificateDer) -> Option<Facts> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let certificate = certificate.tbs_certificate();
    let usage = certificate.get_extension::<ExtendedKeyUsage>().ok()?;
    let names = certificate.get_extension::<SubjectAltName>().ok()?;
    let names = names.into_iter().flat_map(|(_, names)| names.0);
    let dns_names = names.map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    });
    let constraints = certificate.get_extension::<BasicConstraints>().ok()?;
    Some(Facts {
        not_before: certificate.validity().not_before.to_unix_duration(),
        not_after: certificate.validity().not_after.to_unix_duration(),
        usages: usage.map(|(_, usage)| usage.0).unwrap_or_default(),
        dns_names: dns_names.collect::<Option<_>>().unwrap_or_default(),
        is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
    })
}
