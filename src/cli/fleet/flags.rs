//! The flags of a single cluster, which end with its number.

use crate::cli::{CLUSTERS, INSTALLED};

/// A flag of a single cluster.
pub struct Flag {
    pub name: &'static str,
    pub value: &'static str,
    /// The number of the first cluster that has this flag.
    pub first: usize,
    /// Whether only commands for a new install have this flag.
    pub new: bool,
    pub heading: &'static str,
    pub said: &'static str,
}

pub const FLAGS: [Flag; 6] = [
    Flag {
        name: "api-server",
        value: "URL",
        first: 2,
        new: true,
        heading: CLUSTERS,
        said: "URL at which pods in the home cluster reach the API server of --ctx2 (likewise --api-server3, ...)",
    },
    Flag {
        name: "ca",
        value: "FILE|system",
        first: 2,
        new: true,
        heading: CLUSTERS,
        said: "CA of that API server: a PEM file, or \"system\" for the CAs that Kiali's pod trusts (likewise --ca3, ...) [default: the CA in the kubeconfig, or with --api-server2 the cluster's own CA]",
    },
    Flag {
        name: "tls-server-name",
        value: "NAME",
        first: 2,
        new: true,
        heading: CLUSTERS,
        said: "Server name in the certificate of that API server, if it is not the host in the URL (likewise --tls-server-name3, ...)",
    },
    Flag {
        name: "prometheus",
        value: "HOST:PORT|URL",
        first: 1,
        new: true,
        heading: INSTALLED,
        said: "Scrape this Prometheus of --ctx2, over plain HTTP or at https://HOST:PORT/PATH, instead of installing one there; \"default\" installs one again (likewise --prometheus1, --prometheus3, ...)",
    },
    Flag {
        name: "name",
        value: "NAME",
        first: 1,
        new: false,
        heading: CLUSTERS,
        said: "Istio cluster ID that --ctx2 must have (likewise --name1, --name3, ...)",
    },
    Flag {
        name: "kubeconfig",
        value: "FILE",
        first: 1,
        new: false,
        heading: CLUSTERS,
        said: "Kubeconfig file for --ctx2 only (likewise --kubeconfig1, --kubeconfig3, ...)",
    },
];
