//! Where a Prometheus is scraped: an address that is typed, or that a cluster says of itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// `HOST:PORT`; an IPv6 address has its brackets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Address(String);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        let (host, port) = text.rsplit_once(':').unwrap_or_default();
        match is_host(host) && is_port(port) {
            true => Ok(Address(text)),
            false => Err(format!(
                "\"{text}\" is not HOST:PORT, like prometheus.example.com:9090 or [fd00::1]:9090"
            )),
        }
    }
}

/// What the user wants scraped in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Prometheus {
    /// One that an install makes, whatever was scraped before.
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

pub fn is_port(port: &str) -> bool {
    let digits = port.chars().all(|c| c.is_ascii_digit()) && !port.starts_with('0');
    digits && port.parse::<u16>().is_ok()
}

impl Address {
    fn host(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(host, _)| host)
    }

    /// Why no pod of another cluster reaches it.
    pub fn nowhere(&self) -> Option<Nowhere> {
        nowhere(self.host())
    }
}

/// Why an address of one cluster means nothing, or something else, in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nowhere {
    /// There it is the pod that asks.
    Loopback,
    /// By the cluster's own DNS.
    InCluster,
    /// What no network passes on, or what is no single host.
    Unroutable,
    /// Where machines of a cloud ask who they are, and get credentials.
    Metadata,
    /// Completed by the search list of the pod that asks: `prometheus.kiali` is a Service there.
    Short,
    /// Nothing that a pod could look up or connect to.
    NoHost,
}

impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Nowhere::Loopback => "is the pod itself, wherever it is used",
            Nowhere::InCluster => {
                "is a name of a cluster's own DNS, which each cluster reads as one of its own"
            }
            Nowhere::Unroutable => "is no address that another network can reach",
            Nowhere::Metadata => "is the metadata service of a cloud, which gives out credentials",
            Nowhere::Short => {
                "is a short name, which a pod completes to a Service of its own cluster"
            }
            Nowhere::NoHost => "is neither an IP address nor a host name",
        })
    }
}

/// A host as one cluster says it to another: nobody has looked at it, and what a load balancer is called
/// has a domain.
pub fn nowhere_of_cluster(host: &str) -> Option<Nowhere> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_ip = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let short = !is_ip && name.split('.').count() < 3;
    nowhere(host).or(short.then_some(Nowhere::Short))
}

/// A host as a user types it.
fn nowhere(host: &str) -> Option<Nowhere> {
    let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if let Ok(ip) = inside.unwrap_or(host).parse::<IpAddr>() {
        return of_ip(ip.to_canonical());
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let labels = name.split('.').collect::<Vec<_>>();
    let last = labels.last().copied().unwrap_or_default();
    // 127.1, 0x7f000001 and 2130706433 are addresses to some and names to others.
    let number = last.starts_with("0x") || last.chars().all(|c| c.is_ascii_digit());
    match () {
        () if !is_host(&name) || number || labels.contains(&"") => Some(Nowhere::NoHost),
        () if last == "localhost" || name == "localhost.localdomain" => Some(Nowhere::Loopback),
        () if last == "svc"
            || labels.get(2) == Some(&"svc")
            || name.ends_with(".cluster.local") =>
        {
            Some(Nowhere::InCluster)
        }
        () if METADATA_NAMES.contains(&name.as_str()) => Some(Nowhere::Metadata),
        () => None,
    }
}

/// Of Google, Amazon and OpenStack.
const METADATA_NAMES: [&str; 4] = [
    "metadata",
    "metadata.google.internal",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Besides the link-local 169.254.169.254 of most: Amazon's by IPv6, and those of Alibaba, Oracle and Azure.
const METADATA_ADDRESSES: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// An address of IPv4 as a translator to it is asked for it, or the address itself.
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

fn of_ip(ip: IpAddr) -> Option<Nowhere> {
    let ip = translated(ip);
    let unroutable = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    match () {
        () if METADATA_ADDRESSES.contains(&ip) => Some(Nowhere::Metadata),
        () if ip.is_loopback() => Some(Nowhere::Loopback),
        () if unroutable || ip.is_unspecified() || ip.is_multicast() => Some(Nowhere::Unroutable),
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
    fn an_address_that_means_nothing_elsewhere_is_known() {
        use Nowhere::*;
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
            ("127.1", NoHost),
            ("2130706433", NoHost),
            ("0x7f000001", NoHost),
            ("", NoHost),
            ("a..b", NoHost),
            ("a/b", NoHost),
            ("a b", NoHost),
            ("a:1@b", NoHost),
            ("fe80::1%eth0", NoHost),
        ] {
            assert_eq!(nowhere(host), Some(why), "{host}");
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
            assert_eq!(nowhere(host), None, "{host}");
        }
    }

    #[test]
    fn a_name_that_a_cluster_says_has_a_domain() {
        for host in ["prometheus", "prometheus.kiali", "prometheus.kiali.", "a.b"] {
            assert_eq!(nowhere_of_cluster(host), Some(Nowhere::Short), "{host}");
        }
        let known = nowhere_of_cluster("prometheus.kiali.svc");
        assert_eq!(known, Some(Nowhere::InCluster));
        for host in [
            "lb.example.com",
            "203.0.113.7",
            "2001:db8::1",
            "[2001:db8::1]",
        ] {
            assert_eq!(nowhere_of_cluster(host), None, "{host}");
        }
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["10.0.0.1:9090", "a:1", "p.example.com:65535", "[::1]:9090"] {
            assert_eq!(Address::try_from(good.to_string()).unwrap().0, good);
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
            "-a:1",
            "[]:1",
        ] {
            assert!(Address::try_from(bad.to_string()).is_err(), "{bad}");
        }
    }
}
