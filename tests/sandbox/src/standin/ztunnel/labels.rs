//! The 27 labels of a connection as a ztunnel writes them. Unknown values are "unknown", and no label is left out.

use std::fmt;

use super::super::sample::{Named, Workload};

const UNKNOWN: &str = "unknown";
const GATEWAY: &str = "spiffe://cluster.local/ns/istio-system/sa/istio-eastwestgateway";

/// What a time series is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    pub reporter: Reporter,
    pub source: End,
    /// The Service that the client asked for.
    pub service: Named,
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
    principal: String,
    app: String,
    cluster: String,
}

impl End {
    pub fn of(cluster: &str, workload: &Workload) -> End {
        let Named { namespace, name } = &workload.named;
        End {
            workload: name.clone(),
            canonical_service: workload.app.clone(),
            revision: workload.revision.clone(),
            namespace: namespace.clone(),
            principal: format!(
                "spiffe://cluster.local/ns/{namespace}/sa/{}",
                workload.account
            ),
            app: workload.app.clone(),
            cluster: cluster.to_owned(),
        }
    }

    /// istiod's workload for the gateway of another network has neither a name nor a cluster. ztunnel writes
    /// "Kubernetes" for the missing cluster.
    pub fn gateway() -> End {
        End {
            namespace: "istio-system".to_owned(),
            cluster: "Kubernetes".to_owned(),
            ..End::unknown(GATEWAY.to_owned())
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
        End::unknown(self.principal)
    }

    fn unknown(principal: String) -> End {
        let unknown = || UNKNOWN.to_owned();
        End {
            workload: unknown(),
            canonical_service: unknown(),
            revision: unknown(),
            namespace: unknown(),
            app: unknown(),
            cluster: unknown(),
            principal,
        }
    }

    fn labels(&self) -> [(&'static str, &str); 8] {
        [
            ("workload", &self.workload),
            ("canonical_service", &self.canonical_service),
            ("canonical_revision", &self.revision),
            ("workload_namespace", &self.namespace),
            ("principal", &self.principal),
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
        let Named { namespace, name } = &self.service;
        write!(
            f,
            ",destination_service=\"{name}.{namespace}.svc.cluster.local\"\
             ,destination_service_namespace=\"{namespace}\",destination_service_name=\"{name}\""
        )?;
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
