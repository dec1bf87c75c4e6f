//! Scrape addresses, given by the user or reported by a cluster.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// `HOST:PORT`, with an IPv6 address in brackets, or `https://HOST:PORT/PATH` for a Prometheus that serves https.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Address(String);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        let (at, path) = match text.strip_prefix(HTTPS) {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => (text.as_str(), ""),
        };
        let (host, port) = at.rsplit_once(':').unwrap_or_default();
        match is_host(host) && is_port(port) && is_path(path) {
            true => Ok(Address(text)),
            // It may contain a password, so it is not repeated.
            false if text.contains(['@', '?', '#']) => Err(
                "it has a user, a password, a query or a fragment: use HOST:PORT or https://HOST:PORT/PATH".into(),
            ),
            false => Err(format!(
                "\"{text}\" is not HOST:PORT, like prometheus.example.com:9090 or [fd00::1]:9090, and not https://HOST:PORT/PATH"
            )),
        }
    }
}

/// Which Prometheus of a cluster to scrape.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Prometheus {
    /// The one that an install creates, whatever was scraped before.
    Ours,
    At(Address),
}

impl TryFrom<String> for Prometheus {
    type Error = String;

    fn try_from(text: String) -> Result<Prometheus, String> {
        match text.as_str() {
            "default" => Ok(Prometheus::Ours),
            _ => Address::try_from(text).map(Prometheus::At),
        }
    }
}

/// A path below which a Prometheus serves, or none. It ends without a slash.
fn is_path(path: &str) -> bool {
    let of_part = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let is_part =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(of_part);
    path.len() <= LONGEST_PATH
        && (path.is_empty()
            || path
                .strip_prefix('/')
                .is_some_and(|path| path.split('/').all(is_part)))
}

pub fn is_port(port: &str) -> bool {
    let digits = port.chars().all(|c| c.is_ascii_digit()) && !port.starts_with('0');
    digits && port.parse::<u16>().is_ok()
}

const HTTPS: &str = "https://";
const LONGEST_PATH: usize = 256;

impl Address {
    fn host(&self) -> &str {
        self.host_and_port()
            .rsplit_once(':')
            .map_or("", |(host, _)| host)
    }

    pub fn host_and_port(&self) -> &str {
        let rest = self.0.strip_prefix(HTTPS).unwrap_or(&self.0);
        rest.split('/').next().unwrap_or_default()
    }

    /// The path of a server that serves https, which may be empty; None for plain HTTP.
    pub fn https(&self) -> Option<&str> {
        let rest = self.0.strip_prefix(HTTPS)?;
        Some(rest.find('/').map_or("", |start| &rest[start..]))
    }

    /// Why pods of another cluster cannot reach the address.
    pub fn unreachable_reason(&self) -> Option<UnreachableReason> {
        unreachable_reason(self.host())
    }
}

/// Why an address of one cluster cannot be used from another cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreachableReason {
    /// A loopback address, which is the calling pod itself.
    Loopback,
    /// A name in the cluster's own DNS.
    InCluster,
    /// An address that is not routed, or not that of a single host.
    Unroutable,
    /// The metadata service of a cloud, which hands out credentials.
    Metadata,
    /// A short name, completed by the search list of the calling pod: `prometheus.kiali` is a Service there.
    ShortName,
    /// Neither an IP address nor a host name.
    InvalidHost,
}

impl fmt::Display for UnreachableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnreachableReason::Loopback => "is a loopback address: in a pod, it is the pod itself",
            UnreachableReason::InCluster => {
                "is a cluster-internal DNS name, which each cluster resolves to a Service of its own"
            }
            UnreachableReason::Unroutable => "is not reachable from another network",
            UnreachableReason::Metadata => "is a cloud's metadata service, which hands out credentials",
            UnreachableReason::ShortName => {
                "is a short name, which a pod resolves to a Service of its own cluster"
            }
            UnreachableReason::InvalidHost => "is neither an IP address nor a host name",
        })
    }
}

/// For a load balancer's host as a cluster reports it. Nobody has reviewed it, so short names are rejected
/// too: the name of a load balancer has a domain.
pub fn unreachable_reason_of_load_balancer(host: &str) -> Option<UnreachableReason> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_ip = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let short = !is_ip && name.split('.').count() < 3;
    unreachable_reason(host).or(short.then_some(UnreachableReason::ShortName))
}

/// For a host that the user typed.
fn unreachable_reason(host: &str) -> Option<UnreachableReason> {
    let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if let Ok(ip) = inside.unwrap_or(host).parse::<IpAddr>() {
        return of_ip(ip.to_canonical());
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let labels = name.split('.').collect::<Vec<_>>();
    let last = labels.last().copied().unwrap_or_default();
    // Some resolvers read 127.1, 0x7f000001 and 2130706433 as addresses, others as names.
    let number = last.starts_with("0x") || last.chars().all(|c| c.is_ascii_digit());
    match () {
        () if !is_host(&name) || number || labels.contains(&"") => {
            Some(UnreachableReason::InvalidHost)
        }
        () if last == "localhost" || name == "localhost.localdomain" => {
            Some(UnreachableReason::Loopback)
        }
        () if last == "svc"
            || labels.get(2) == Some(&"svc")
            || name.ends_with(".cluster.local") =>
        {
            Some(UnreachableReason::InCluster)
        }
        () if METADATA_NAMES.contains(&name.as_str()) => Some(UnreachableReason::Metadata),
        () => None,
    }
}

/// Metadata services of Google, Amazon and OpenStack.
const METADATA_NAMES: [&str; 4] = [
    "metadata",
    "metadata.google.internal",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Metadata services besides the common 169.254.169.254: Amazon's for IPv6, Alibaba, Oracle and Azure.
const METADATA_ADDRESSES: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// The IPv4 address inside a NAT64 address, or the address itself.
fn translated(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)).into()
            }
            _ => ip,
        },
        IpAddr::V4(_) => ip,
    }
}

fn of_ip(ip: IpAddr) -> Option<UnreachableReason> {
    let ip = translated(ip);
    let unroutable = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    match () {
        () if METADATA_ADDRESSES.contains(&ip) => Some(UnreachableReason::Metadata),
        () if ip.is_loopback() => Some(UnreachableReason::Loopback),
        () if unroutable || ip.is_unspecified() || ip.is_multicast() => {
            Some(UnreachableReason::Unroutable)
        }
        () => None,
    }
}

pub fn is_host(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if let Some(inside) = inside {
        let known = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
        return !inside.is_empty() && inside.chars().all(known);
    }
    let outer = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| outer(c) || c == '-' || c == '.';
    host.chars().all(inner) && host.starts_with(outer) && host.ends_with(outer)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_another_cluster_cannot_reach_are_found() {
        use UnreachableReason::*;
        for (host, why) in [
            ("127.0.0.1", Loopback),
            ("127.9.9.9", Loopback),
            ("::1", Loopback),
            ("[::1]", Loopback),
            ("::ffff:127.0.0.1", Loopback),
            ("localhost", Loopback),
            ("LOCALHOST.", Loopback),
            ("a.localhost", Loopback),
            ("0.0.0.0", Unroutable),
            ("0.1.2.3", Unroutable),
            ("::", Unroutable),
            ("169.254.169.254", Unroutable),
            ("::ffff:169.254.169.254", Unroutable),
            ("fe80::1", Unroutable),
            ("64:ff9b::a9fe:a9fe", Unroutable),
            ("64:ff9b::7f00:1", Loopback),
            ("fd00:ec2::254", Metadata),
            ("[fd00:ec2::254]", Metadata),
            ("100.100.100.200", Metadata),
            ("metadata", Metadata),
            ("Metadata.Google.Internal.", Metadata),
            ("224.0.0.1", Unroutable),
            ("ff02::1", Unroutable),
            ("255.255.255.255", Unroutable),
            ("p.istio-system.svc", InCluster),
            ("p.istio-system.svc.cluster.local", InCluster),
            ("P.Istio-System.SVC.Cluster.Local.", InCluster),
            ("p.istio-system.svc.corp.example", InCluster),
            ("a.b.c.svc", InCluster),
            ("10-1-2-3.default.pod.cluster.local", InCluster),
            ("127.1", InvalidHost),
            ("2130706433", InvalidHost),
            ("0x7f000001", InvalidHost),
            ("", InvalidHost),
            ("a..b", InvalidHost),
            ("a/b", InvalidHost),
            ("a b", InvalidHost),
            ("a:1@b", InvalidHost),
            ("fe80::1%eth0", InvalidHost),
        ] {
            assert_eq!(unreachable_reason(host), Some(why), "{host}");
        }
        for host in [
            "203.0.113.7",
            "10.96.0.1",
            "[2001:db8::1]",
            "fd00::1",
            "lb.eu.example.com",
            "svc.example.com",
            "a.svc.example.com",
            "cluster2-control-plane",
            "lb.cluster.local.example.com",
        ] {
            assert_eq!(unreachable_reason(host), None, "{host}");
        }
    }

    #[test]
    fn the_name_of_a_load_balancer_needs_a_domain() {
        for host in ["prometheus", "prometheus.kiali", "prometheus.kiali.", "a.b"] {
            assert_eq!(
                unreachable_reason_of_load_balancer(host),
                Some(UnreachableReason::ShortName),
                "{host}"
            );
        }
        let known = unreachable_reason_of_load_balancer("prometheus.kiali.svc");
        assert_eq!(known, Some(UnreachableReason::InCluster));
        for host in [
            "lb.example.com",
            "203.0.113.7",
            "2001:db8::1",
            "[2001:db8::1]",
        ] {
            assert_eq!(unreachable_reason_of_load_balancer(host), None, "{host}");
        }
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["10.0.0.1:9090", "a:1", "p.example.com:65535", "[::1]:9090"] {
            assert_eq!(Address::try_from(good.to_string()).unwrap().0, good);
        }
        for (good, at, path) in [
            ("https://a:1", "a:1", ""),
            (
                "https://p.example.com:443/prom",
                "p.example.com:443",
                "/prom",
            ),
            ("https://[::1]:9090/a/b-c", "[::1]:9090", "/a/b-c"),
        ] {
            let address = Address::try_from(good.to_string()).unwrap();
            assert_eq!((address.host_and_port(), address.https()), (at, Some(path)));
        }
        for bad in [
            "",
            ":1",
            "a",
            "a:",
            "a:0",
            "a:+1",
            "a:65536",
            "http://a:1",
            "https://a",
            "https://a:1/",
            "https://a:1/..",
            "https://a:1/a//b",
            "https://a:1/a?b=c",
            "https://u@a:1",
            "a:1/b",
            "-a:1",
            "[]:1",
        ] {
            assert!(Address::try_from(bad.to_string()).is_err(), "{bad}");
        }
    }
}
