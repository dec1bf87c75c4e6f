//! The 27 labels of a connection as a ztunnel writes them. Unknown values are "unknown", and no label is left out.

use std::fmt;

const UNKNOWN: &str = "unknown";
const HELLOWORLD: &str = "spiffe://cluster.local/ns/sample/sa/default";
const CURL: &str = "spiffe://cluster.local/ns/sample/sa/curl";
const GATEWAY: &str = "spiffe://cluster.local/ns/istio-system/sa/istio-eastwestgateway";

/// What a time series is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    pub reporter: Reporter,
    pub source: End,
    pub destination: End,
    pub flags: Flags,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reporter {
    Source,
    Destination,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Flags {
    None,
    Connect,
    Deny,
}

/// One end of a connection, as far as the other end knows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct End {
    workload: String,
    canonical_service: String,
    revision: String,
    namespace: String,
    principal: &'static str,
    app: String,
    cluster: String,
}

impl End {
    pub fn curl(cluster: &str) -> End {
        End {
            workload: "curl".to_owned(),
            canonical_service: "curl".to_owned(),
            revision: "latest".to_owned(),
            namespace: "sample".to_owned(),
            principal: CURL,
            app: "curl".to_owned(),
            cluster: cluster.to_owned(),
        }
    }

    pub fn helloworld(cluster: &str, version: &str) -> End {
        End {
            workload: format!("helloworld-{version}"),
            canonical_service: "helloworld".to_owned(),
            revision: version.to_owned(),
            namespace: "sample".to_owned(),
            principal: HELLOWORLD,
            app: "helloworld".to_owned(),
            cluster: cluster.to_owned(),
        }
    }

    /// istiod's workload for the gateway of another network has neither a name nor a cluster. ztunnel writes
    /// "Kubernetes" for the missing cluster.
    pub fn gateway() -> End {
        End {
            namespace: "istio-system".to_owned(),
            principal: GATEWAY,
            cluster: "Kubernetes".to_owned(),
            ..End::curl("").hidden()
        }
    }

    /// Baggage contains no app, so the workload's name is used.
    pub fn by_baggage(self) -> End {
        End {
            app: self.workload.clone(),
            ..self
        }
    }

    /// Only the identity from TLS is known.
    pub fn hidden(self) -> End {
        let unknown = || UNKNOWN.to_owned();
        End {
            workload: unknown(),
            canonical_service: unknown(),
            revision: unknown(),
            namespace: unknown(),
            app: unknown(),
            cluster: unknown(),
            principal: self.principal,
        }
    }

    fn labels(&self) -> [(&'static str, &str); 8] {
        [
            ("workload", &self.workload),
            ("canonical_service", &self.canonical_service),
            ("canonical_revision", &self.revision),
            ("workload_namespace", &self.namespace),
            ("principal", self.principal),
            ("app", &self.app),
            ("version", &self.revision),
            ("cluster", &self.cluster),
        ]
    }
}

impl fmt::Display for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reporter::Source => "source",
            Reporter::Destination => "destination",
        })
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flags::None => "-",
            Flags::Connect => "CONNECT",
            Flags::Deny => "DENY",
        })
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reporter=\"{}\"", self.reporter)?;
        for (name, value) in self.source.labels() {
            write!(f, ",source_{name}=\"{value}\"")?;
        }
        f.write_str(concat!(
            ",destination_service=\"helloworld.sample.svc.cluster.local\"",
            ",destination_service_namespace=\"sample\",destination_service_name=\"helloworld\"",
        ))?;
        for (name, value) in self.destination.labels() {
            write!(f, ",destination_{name}=\"{value}\"")?;
        }
        write!(
            f,
            ",request_protocol=\"tcp\",response_flags=\"{}\"",
            self.flags
        )?;
        f.write_str(",connection_security_policy=\"mutual_tls\"")?;
        // The nodes of the sandbox have no region.
        for label in [
            "source_region",
            "source_zone",
            "destination_region",
            "destination_zone",
        ] {
            write!(f, ",{label}=\"{UNKNOWN}\"")?;
        }
        Ok(())
    }
}
