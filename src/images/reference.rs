//! Parses references to images and registries like a container runtime.

/// Splits an image into its registry, if any, and the rest. The first part is a registry if it cannot be part of a
/// path.
pub fn split(image: &str) -> (Option<&str>, &str) {
    match image.split_once('/') {
        Some((first, rest)) if is_host(first) => (Some(first), rest),
        _ => (None, image),
    }
}

fn is_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

/// Splits an image into name, tag and digest.
pub fn parts(image: &str) -> (&str, Option<&str>, Option<&str>) {
    let (tagged, digest) = match image.split_once('@') {
        Some((tagged, digest)) => (tagged, Some(digest)),
        None => (image, None),
    };
    // A colon before the last slash belongs to the port of the registry.
    match tagged.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag), digest),
        _ => (tagged, None, digest),
    }
}

/// Validates a registry: `HOST[:PORT][/PREFIX]`.
pub fn registry(text: &str) -> Result<String, String> {
    let (host, folders) = match text.split_once('/') {
        Some((host, folders)) => (host, Some(folders)),
        None => (text, None),
    };
    let good = is_host(host) && is_address(host) && folders.is_none_or(is_path);
    good.then(|| text.into()).ok_or_else(|| {
        format!("\"{text}\" is not a registry such as registry.example.com:5000/mirror")
    })
}

/// Validates an image reference, which must have a tag or digest.
pub fn reference(text: &str) -> Result<String, String> {
    let (name, tag, digest) = parts(text);
    let (host, path) = split(name);
    if !host.is_none_or(is_address)
        || !is_path(path)
        || !tag.is_none_or(is_tag)
        || !digest.is_none_or(is_digest)
    {
        return Err(format!(
            "\"{text}\" is not an image such as registry.example.com/kiali/kiali:v2.29.0"
        ));
    }
    if tag.is_none() && digest.is_none() {
        return Err(format!(
            "\"{text}\" has neither a tag nor a digest, so it could be a different image tomorrow"
        ));
    }
    Ok(text.into())
}

fn is_address(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let letters = |c: char| c.is_ascii_alphanumeric() || ['.', '-'].contains(&c);
    let edges = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(edges)
        && name.ends_with(edges)
        && name.chars().all(letters)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_path(path: &str) -> bool {
    let letters = |c: char| is_lower(c) || ['.', '-', '_'].contains(&c);
    let folder = |part: &str| {
        part.starts_with(is_lower) && part.ends_with(is_lower) && part.chars().all(letters)
    };
    path.split('/').all(folder)
}

fn is_lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn is_tag(tag: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c);
    (1..=128).contains(&tag.len()) && !tag.starts_with(['.', '-']) && tag.chars().all(letters)
}

fn is_digest(digest: &str) -> bool {
    let hexadecimal = |hash: &str| {
        let digits = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        hash.len() >= 32 && hash.chars().all(digits)
    };
    digest.split_once(':').is_some_and(|(kind, hash)| {
        kind.chars().all(is_lower) && !kind.is_empty() && hexadecimal(hash)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_image_or_a_registry_is_refused() {
        let hash = "0".repeat(64);
        for good in [
            "prom/prometheus:v3",
            "localhost/a:1",
            "r.example.com:5000/a/b_c:1.2-x",
            &format!("quay.io/kiali/kiali@sha256:{hash}"),
            crate::images::PROMETHEUS,
        ] {
            assert_eq!(reference(good), Ok(good.into()));
        }
        for bad in [
            "",
            "a",
            "a:",
            ":1",
            "a b:1",
            "A/b:1",
            "a//b:1",
            "a/:1",
            "https://a.b/c:1",
            "a.b:x/c:1",
            "a@sha256:12",
            "a:1@",
            "a:1\n",
            "a.b-/c:1",
        ] {
            assert!(reference(bad).is_err(), "{bad}");
        }
        for good in ["r.example.com", "localhost:5000", "10.0.0.1/a/b"] {
            assert_eq!(registry(good), Ok(good.into()));
        }
        for bad in [
            "",
            "mirror",
            "r.example.com/",
            "https://r.example.com",
            "r.example.com/A",
            "r.b:1:2",
        ] {
            assert!(registry(bad).is_err(), "{bad}");
        }
    }
}
