//! The CA of a store with https. Its certificates are public, so the options remember them, and every later command has
//! them without the file. The value of the option is their DER in base64, joined by commas.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::mesh::{pem, x509};
use crate::problem::{Exit, Problem};
use crate::{files, manifests};

/// Limits for the certificates, and for the size of the file and of the value.
const MOST: usize = 8;
pub const LARGEST: usize = 16 << 10;

/// Reads the file of the user. The error never quotes it.
pub fn read(path: &Path) -> Result<String, Problem> {
    let value = files::read(path).and_then(|bytes| of_file(&bytes, UnixTime::now()));
    value.map_err(|cause| {
        let cause = format!("--{} {}: {cause}", super::CA, path.display());
        Problem::new(Exit::Usage, cause)
            .fix("give a PEM file that has the certificates of the store's CA and nothing else")
    })
}

fn of_file(bytes: &[u8], now: UnixTime) -> Result<String, String> {
    if bytes.len() > LARGEST {
        return Err(format!("it has more than {} KiB", LARGEST >> 10));
    }
    let mut all = Vec::new();
    for one in pem::only_certificates(bytes).map_err(|why| format!("it {why}"))? {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    judge(&all)?;
    let ended = |one: &CertificateDer<'_>| !matches!(x509::valid(one, now), Some(Ok(())));
    match all.iter().any(ended) {
        true => Err("it has a certificate that is not valid now".into()),
        false => Ok(written(&all)),
    }
}

/// Kiali ignores every certificate that is not of a CA.
fn judge(all: &[CertificateDer<'_>]) -> Result<(), String> {
    if !(1..=MOST).contains(&all.len()) {
        return Err(format!("a CA has 1 to {MOST} certificates"));
    }
    match all
        .iter()
        .all(|one| x509::facts(one).is_some_and(|facts| facts.is_ca))
    {
        true => Ok(()),
        false => Err("it has a certificate that is not of a CA".into()),
    }
}

fn written(all: &[CertificateDer<'_>]) -> String {
    let each = all.iter().map(|one| STANDARD.encode(one));
    each.collect::<Vec<_>>().join(",")
}

/// Reads the value of the option, which may come from a record that others wrote.
pub fn parse(value: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let parts = value.split(',').take(MOST + 1);
    let all = parts.map(|part| STANDARD.decode(part).map(CertificateDer::from));
    let all = all.collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|_| "not certificates in base64")?;
    judge(&all).map(|()| all)
}

/// The certificates for those who read files.
pub fn text(value: &str) -> Option<String> {
    parse(value).ok().map(|all| pem::text(&all))
}

/// What is shown in place of the value.
pub fn fingerprint(value: &str) -> String {
    format!("sha256:{:.12}", manifests::hash(value))
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// The option for a CA.
    pub fn value() -> String {
        written(&[certificate(true, 2100)])
    }

    fn certificate(is_ca: bool, last: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["store".to_string()]).unwrap();
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_file_of_certificates_is_remembered_and_given_back() {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        let (one, two) = (certificate(true, 2100), certificate(true, 2100));
        let read = |text: &str| of_file(text.as_bytes(), now);
        let both = pem::text(&[one.clone(), two.clone()]);
        let value = read(&format!("# the CA of the store\n{both}{both}")).unwrap();
        assert_eq!(parse(&value), Ok(vec![one.clone(), two]));
        assert_eq!(text(&value), Some(both.clone()));
        let mark = fingerprint(&value);
        assert!(mark.len() == 19 && mark.starts_with("sha256:"), "{mark}");

        let key = pem::key_text(&[1, 2, 3]);
        let alone = pem::text(&[one]);
        for (file, why) in [
            (String::new(), "it has no PEM certificate"),
            (key.clone(), "it has something else than certificates"),
            (
                format!("{alone}{key}"),
                "it has something else than certificates",
            ),
            (
                format!(
                    "{alone}-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
                ),
                "it has something else than certificates",
            ),
            (
                format!("{alone}-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
                "it has an invalid PEM block",
            ),
            (
                pem::text(&[certificate(false, 2100)]),
                "it has a certificate that is not of a CA",
            ),
            (
                pem::text(&[certificate(true, 2021)]),
                "it has a certificate that is not valid now",
            ),
            (
                pem::text(&(0..9).map(|_| certificate(true, 2100)).collect::<Vec<_>>()),
                "a CA has 1 to 8 certificates",
            ),
            (
                format!("{alone}{}", " ".repeat(LARGEST)),
                "it has more than 16 KiB",
            ),
        ] {
            assert_eq!(read(&file), Err(why.to_string()));
        }
        crate::fuzz::fuzz("the CA of a store", &[&both, &value], |input| {
            let _ = of_file(input, now);
            if let Ok(all) = parse(&String::from_utf8_lossy(input)) {
                assert!(all.len() <= MOST);
            }
        });
    }
}
