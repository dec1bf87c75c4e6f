//! Who may reach the Gateways: the source ranges and the annotations of the Services that istiod creates for them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Name of the option for the protocol of the Gateways.
pub const PROTOCOL: &str = "exposure";
/// Its value for plain HTTP.
pub const HTTP: &str = "http";
/// Its default, which is not stored.
pub const MUTUAL_TLS: &str = "mtls";
/// Name of the option for the addresses that a Gateway's load balancer lets in.
pub const SOURCE_RANGE: &str = "gateway-source-range";
/// Name of the option for a load balancer without a public address, by provider.
pub const INTERNAL: &str = "gateway-internal";
/// Prefix of the option for one annotation of a Gateway's Service.
pub const ANNOTATION: &str = "gateway-annotation.";

/// The Gateway API allows no more in `spec.infrastructure.annotations`.
const MOST_ANNOTATIONS: usize = 8;
const MOST_RANGES: usize = 32;

/// The annotations with which each provider makes a load balancer internal.
const PRESETS: [(&str, &[(&str, &str)]); 3] = [
    // The first is read by the AWS Load Balancer Controller, the second by the older controllers.
    (
        "aws",
        &[
            (
                "service.beta.kubernetes.io/aws-load-balancer-scheme",
                "internal",
            ),
            (
                "service.beta.kubernetes.io/aws-load-balancer-internal",
                "true",
            ),
        ],
    ),
    // Without global access, only clients in the same region reach it.
    (
        "gcp",
        &[
            ("networking.gke.io/load-balancer-type", "Internal"),
            (
                "networking.gke.io/internal-load-balancer-allow-global-access",
                "true",
            ),
        ],
    ),
    (
        "azure",
        &[(
            "service.beta.kubernetes.io/azure-load-balancer-internal",
            "true",
        )],
    ),
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// Whether a Gateway answers anybody who reaches it, over plain HTTP, as in the guide.
    pub plain_http: bool,
    /// In CIDR notation. Empty means that the load balancer lets in every address.
    pub source_ranges: Vec<String>,
    pub annotations: BTreeMap<String, String>,
}

impl Exposure {
    /// From options by name. An annotation that is given by name overrides that of a provider.
    pub fn of(options: &BTreeMap<String, String>) -> Exposure {
        let get = |name: &str| options.get(name).map(String::as_str);
        let ranges = get(SOURCE_RANGE).unwrap_or_default().split(',');
        let ranges = ranges.filter(|range| !range.is_empty()).map(String::from);
        let provider = get(INTERNAL);
        let preset = PRESETS.iter().find(|(name, _)| Some(*name) == provider);
        let preset = preset.into_iter().flat_map(|(_, annotations)| *annotations);
        let mut annotations = preset
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect::<BTreeMap<_, _>>();
        annotations.extend(options.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(ANNOTATION)?;
            Some((key.to_string(), value.clone()))
        }));
        Exposure {
            plain_http: get(PROTOCOL) == Some(HTTP),
            source_ranges: ranges.collect(),
            annotations,
        }
    }

    pub fn mutual_tls(&self) -> bool {
        !self.plain_http
    }

    /// Whether the Gateways' Services differ from those without these options.
    pub fn changes_service(&self) -> bool {
        !self.source_ranges.is_empty() || !self.annotations.is_empty()
    }

    /// Whether these options narrow who may reach a Gateway. Other annotations may do so too, which nobody can tell.
    pub fn is_narrow(&self) -> bool {
        !self.source_ranges.is_empty() || is_internal(&self.annotations)
    }

    pub fn check(&self) -> Result<(), String> {
        let annotations = self.annotations.len();
        match annotations > MOST_ANNOTATIONS {
            true => Err(format!(
                "a Gateway takes {MOST_ANNOTATIONS} annotations, and these are {annotations}, those of --{INTERNAL} included"
            )),
            false => Ok(()),
        }
    }
}

/// Whether a Service with these annotations asks its provider for an internal load balancer.
pub fn is_internal(annotations: &BTreeMap<String, String>) -> bool {
    let mut each = PRESETS.iter().flat_map(|(_, all)| all.first());
    each.any(|(key, value)| annotations.get(*key).map(String::as_str) == Some(value))
}

/// Parses the protocol of the Gateways.
pub fn protocol(text: &str) -> Result<String, String> {
    match [MUTUAL_TLS, HTTP].contains(&text) {
        true => Ok(text.into()),
        false => Err(format!("use {MUTUAL_TLS} or {HTTP}")),
    }
}

/// Parses source ranges, separated by commas: networks in CIDR notation, or addresses.
pub fn source_ranges(text: &str) -> Result<String, String> {
    let ranges = text
        .split(',')
        .map(source_range)
        .collect::<Result<Vec<_>, _>>()?;
    match ranges.len() > MOST_RANGES {
        true => Err(format!("{} source ranges are too many", ranges.len())),
        false => Ok(ranges.join(",")),
    }
}

fn source_range(text: &str) -> Result<String, String> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let range = text.parse::<IpNet>().ok().or_else(address);
    let range = range.ok_or("use CIDR notation, as in 192.0.2.0/24")?;
    if range.prefix_len() == 0 {
        return Err(format!("{range} lets in every address"));
    }
    if range.trunc() != range {
        return Err(format!("its network is {}", range.trunc()));
    }
    Ok(range.to_string())
}

/// Parses the provider of an internal load balancer.
pub fn provider(text: &str) -> Result<String, String> {
    let known = PRESETS.map(|(name, _)| name);
    match known.contains(&text) {
        true => Ok(text.into()),
        false => Err(format!("use one of {}", known.join(", "))),
    }
}

/// Parses the key of an annotation.
pub fn annotation_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let is_part = |part: &str, most: usize, also: &[char]| {
        let good = |c: char| c.is_ascii_alphanumeric() || also.contains(&c);
        (1..=most).contains(&part.len())
            && part.chars().all(good)
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
            && !part.contains("..")
    };
    let is_prefixed = key.contains('/');
    if !is_part(name, 63, &['-', '_', '.']) || (is_prefixed && !is_part(prefix, 200, &['-', '.'])) {
        return Err("is not the key of an annotation".into());
    }
    match prefix {
        "gateway.networking.k8s.io"
        | "gateway.istio.io"
        | "networking.istio.io"
        | "kubectl.kubernetes.io" => {
            Err("is no annotation that istiod takes over from a Gateway".into())
        }
        _ => Ok(()),
    }
}

/// Parses the value of an annotation.
pub fn annotation_value(value: &str) -> Result<String, String> {
    let good = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic());
    match good {
        true => Ok(value.into()),
        false => Err("a value must have ASCII characters without spaces".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[(&str, &str)]) -> Exposure {
        let options = options
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        Exposure::of(&options.collect())
    }

    #[test]
    fn annotations_by_name_override_those_of_the_provider() {
        let scheme = "service.beta.kubernetes.io/aws-load-balancer-scheme";
        let named = format!("{ANNOTATION}{scheme}");
        let aws = of(&[(INTERNAL, "aws"), (SOURCE_RANGE, "10.0.0.0/8,192.0.2.1/32")]);
        assert_eq!(aws.annotations[scheme], "internal");
        assert_eq!(aws.source_ranges, ["10.0.0.0/8", "192.0.2.1/32"]);
        assert!(aws.is_narrow());
        let public = of(&[(INTERNAL, "aws"), (&named, "internet-facing")]);
        assert_eq!(public.annotations[scheme], "internet-facing");
        assert!(!public.is_narrow());
        assert!(of(&[(INTERNAL, "azure")]).is_narrow());
        assert_eq!(of(&[]), Exposure::default());
    }

    #[test]
    fn more_annotations_than_a_gateway_takes_are_refused() {
        let names = (0..8)
            .map(|n| format!("{ANNOTATION}example.com/a{n}"))
            .collect::<Vec<_>>();
        let mut options = names
            .iter()
            .map(|name| (name.as_str(), "x"))
            .collect::<Vec<_>>();
        assert_eq!(of(&options).check(), Ok(()));
        options.push((INTERNAL, "azure"));
        assert!(of(&options).check().unwrap_err().contains("these are 9"));
    }

    #[test]
    fn a_source_range_is_a_network_that_leaves_somebody_out() {
        for (text, range) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:DB8::/32,192.0.2.0/24", "2001:db8::/32,192.0.2.0/24"),
        ] {
            assert_eq!(source_ranges(text).as_deref(), Ok(range), "{text}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.1/8",
            "a.example",
            "10.0.0.0/8,",
            "10.0.0.0/8 ",
        ] {
            assert!(source_ranges(text).is_err(), "{text}");
        }
        assert!(source_ranges(&["10.0.0.0/8"; 33].join(",")).is_err());
    }

    #[test]
    fn only_annotations_that_reach_the_service_are_taken() {
        for key in ["a", "example.com/a.b_c-d", "service.beta.kubernetes.io/x"] {
            assert_eq!(annotation_key(key), Ok(()), "{key}");
        }
        let long = "a".repeat(64);
        for key in [
            "",
            "/a",
            "A..b/c",
            "kubectl.kubernetes.io/last-applied-configuration",
            "a/",
            "a b",
            "a/b/c",
            "-a",
            "é",
            "a\n",
            &long,
            "gateway.networking.k8s.io/x",
            "networking.istio.io/service-type",
        ] {
            assert!(annotation_key(key).is_err(), "{key}");
        }
        assert!(annotation_value("a,b=c").is_ok());
        for value in ["", "a b", "a\n", "é"] {
            assert!(annotation_value(value).is_err(), "{value}");
        }
    }
}
