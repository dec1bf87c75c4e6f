//! The flags that are for a single cluster, and carry its number.

/// A flag for a single cluster, by its number.
pub struct Flag {
    pub name: &'static str,
    pub value: &'static str,
    /// The first cluster that it is for.
    pub first: usize,
    /// Only of use to an install that is to come.
    pub new: bool,
    pub said: &'static str,
}

pub const FLAGS: [Flag; 6] = [
    Flag {
        name: "api-server",
        value: "URL",
        first: 2,
        new: true,
        said: "Address of that remote's API server for pods of the home cluster; --api-server3 and so on",
    },
    Flag {
        name: "ca",
        value: "FILE|system",
        first: 2,
        new: true,
        said: "PEM file of the CA of that address, or \"system\" for the CAs that Kiali's pod knows; by default the kubeconfig's for the kubeconfig's address, the cluster's own for --api-server2; --ca3 and so on",
    },
    Flag {
        name: "tls-server-name",
        value: "NAME",
        first: 2,
        new: true,
        said: "Name in the certificate of that address, when it is not the address's own; --tls-server-name3 and so on",
    },
    Flag {
        name: "prometheus",
        value: "HOST:PORT",
        first: 1,
        new: true,
        said: "Prometheus of that cluster, which is scraped in place of one of ours, \"default\" for ours again; --prometheus1 and so on",
    },
    Flag {
        name: "name",
        value: "NAME",
        first: 1,
        new: false,
        said: "Istio cluster id that this context must lead to; --name1 and so on",
    },
    Flag {
        name: "kubeconfig",
        value: "FILE",
        first: 1,
        new: false,
        said: "Kubeconfig for that context alone; --kubeconfig1 and so on",
    },
];
