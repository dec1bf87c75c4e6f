//! Headers that are sent to a store, such as that of a tenant.

use super::SECRET;

/// Length of a value.
const LONGEST_VALUE: usize = 256;

/// Headers that Prometheus sets itself.
const RESERVED: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
];

/// The name of a header, which stands in the Kiali CR and in a ConfigMap for all to read.
pub fn header_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !(1..=64).contains(&text.len()) || !text.chars().all(plain) {
        return Err("a header's name has letters, digits and '-'".into());
    }
    let lower = text.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) {
        return Err("Prometheus sets this header itself".into());
    }
    let secret = [
        "auth", "token", "secret", "cookie", "password", "api-key", "apikey",
    ];
    if secret.iter().any(|word| lower.contains(word)) {
        return Err(format!(
            "a header can be read in the Kiali CR and the configuration of Prometheus; put a secret into a Secret and name it with --{SECRET}"
        ));
    }
    Ok(text.into())
}

pub fn header_value(text: &str) -> Result<String, String> {
    let good =
        (1..=LONGEST_VALUE).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    good.then(|| text.to_string())
        .ok_or_else(|| format!("use 1 to {LONGEST_VALUE} characters without spaces"))
}
