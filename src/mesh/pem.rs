//! Parses certificates and keys in PEM as Go does: any other text around the blocks is ignored.

use rustls::pki_types::pem::{Error, SectionKind, SliceIter};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

const BEGIN: &[u8] = b"-----BEGIN ";

/// How to handle a block that cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Skip it, as Go does. For files of the user.
    Skipped,
    /// Fail. For data from a cluster, which is accepted as a whole or not at all.
    Refused,
}

/// All blocks; an error for each that cannot be parsed.
fn blocks(bytes: &[u8]) -> Vec<Result<(SectionKind, Vec<u8>), Error>> {
    let mut blocks = Vec::new();
    let mut rest = bytes;
    while let Some(start) = position(rest, BEGIN) {
        let block = &rest[start..];
        // Parse only up to the next block, so that a broken block does not swallow it.
        let end = position(&block[BEGIN.len()..], BEGIN).map_or(block.len(), |p| p + BEGIN.len());
        let found = SliceIter::<(SectionKind, Vec<u8>)>::new(&block[..end]).next();
        blocks.extend(found);
        rest = &block[end..];
    }
    blocks
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}

/// All certificates. Fails if there are none.
pub fn certificates(
    bytes: &[u8],
    broken: Broken,
) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let mut certificates = Vec::new();
    for block in blocks(bytes) {
        match block {
            Ok((SectionKind::Certificate, der)) => certificates.push(der.into()),
            Err(_) if broken == Broken::Refused => return Err("has an invalid PEM block"),
            _ => {}
        }
    }
    match certificates.is_empty() {
        true => Err("has no PEM certificate"),
        false => Ok(certificates),
    }
}

/// The certificates of a file that has nothing but certificates.
pub fn only_certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    const OTHER: &str = "has something else than certificates";
    let is_other = |block: &Result<(SectionKind, Vec<u8>), Error>| {
        block
            .as_ref()
            .is_ok_and(|(kind, _)| *kind != SectionKind::Certificate)
    };
    if blocks(bytes).iter().any(is_other) {
        return Err(OTHER);
    }
    let found = certificates(bytes, Broken::Refused)?;
    // The parser passes over a block of a kind that it does not know.
    let begun = bytes.windows(BEGIN.len()).filter(|part| *part == BEGIN);
    match found.len() == begun.count() {
        true => Ok(found),
        false => Err(OTHER),
    }
}

/// The first key in each encoding that it may have, whatever its heading says.
pub fn key(bytes: &[u8]) -> Option<[PrivateKeyDer<'static>; 3]> {
    use SectionKind::{EcPrivateKey, PrivateKey, RsaPrivateKey};
    let mut all = blocks(bytes).into_iter().flatten();
    let is_key = |kind: &SectionKind| matches!(kind, PrivateKey | RsaPrivateKey | EcPrivateKey);
    let (_, der) = all.find(|(kind, _)| is_key(kind))?;
    Some([
        PrivatePkcs8KeyDer::from(der.clone()).into(),
        PrivatePkcs1KeyDer::from(der.clone()).into(),
        PrivateSec1KeyDer::from(der).into(),
    ])
}

/// Whether the key is encrypted with a password.
pub fn is_locked(bytes: &[u8]) -> bool {
    let said = |words: &[u8]| position(bytes, words).is_some();
    said(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || said(b"Proc-Type: 4,ENCRYPTED")
}

/// Encodes certificates as PEM.
pub fn text(certificates: &[CertificateDer]) -> String {
    let block = |der: &CertificateDer| encoded("CERTIFICATE", der);
    certificates.iter().map(block).collect()
}

/// Encodes a key in PKCS #8 as PEM.
pub fn key_text(der: &[u8]) -> String {
    encoded("PRIVATE KEY", der)
}

fn encoded(kind: &str, der: &[u8]) -> String {
    use base64::Engine;
    let line = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = line.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_found_between_other_text() {
        let ders = [CertificateDer::from(vec![1; 70]), vec![2; 5].into()];
        let [one, two] = ders.each_ref().map(|der| text(std::slice::from_ref(der)));
        let mut bytes = b"Aussteller: M\xfcller\r\n".to_vec();
        bytes.extend(one.replace('\n', "\r\n").bytes());
        bytes.extend(b"-----BEGIN CERTIFICATE-----\nn\xc3\xb6\n-----END CERTIFICATE-----\n");
        bytes.extend(b"-----BEGIN CERTIFICATE-----\nAAAA\n");
        bytes.extend(two.bytes());
        bytes.extend(b"-----BEGIN ");
        let none = Err("has no PEM certificate");
        for (bytes, skipped, refused) in [
            (
                &bytes[..],
                Ok(ders.to_vec()),
                Err("has an invalid PEM block"),
            ),
            (
                one.as_bytes(),
                Ok(vec![ders[0].clone()]),
                Ok(vec![ders[0].clone()]),
            ),
            (b"", none.clone(), none),
        ] {
            assert_eq!(certificates(bytes, Broken::Skipped), skipped);
            assert_eq!(certificates(bytes, Broken::Refused), refused);
        }
        assert!(key(one.as_bytes()).is_none());
    }
}
