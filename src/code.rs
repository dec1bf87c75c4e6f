//! The codes of findings, for scripts and searches. docs/codes.md has the severity, the meaning and the fix of each,
//! and `explain` prints them from there.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

const TEXTS: &str = include_str!("../docs/codes.md");

macro_rules! codes {
    ($($name:ident = $number:literal,)*) => {
        /// Numbers are stable: that of a removed finding is never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($name = $number,)* }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$name,)*];
        }
    };
}

codes! {
    Unreachable = 1001,
    CredentialsRefused = 1002,
    RightsMissing = 1003,
    ClockSkew = 1004,
    LoopbackAddress = 1005,
    SameCluster = 1006,
    RolesSwapped = 1007,
    OldKubernetes = 1008,
    NotLookedAt = 1009,
    AddressBehindProxy = 1010,
    TlsRefused = 1011,
    KubeconfigUnusable = 1012,
    NoCredentials = 1013,
    UnusableAddress = 1020,
    NoGatewayApi = 1101,
    OldGatewayApi = 1102,
    NoGatewayClass = 1103,
    GatewayClassNotAccepted = 1104,
    GatewayClassOfAnother = 1105,
    NoIstiod = 1201,
    ClusterIdsDisagree = 1202,
    ClusterIdUnusable = 1203,
    IstiodNotReady = 1204,
    AmbientOff = 1205,
    MultiNetworkOff = 1206,
    NoZtunnel = 1207,
    ZtunnelNotReady = 1208,
    OldZtunnel = 1209,
    NoNetwork = 1210,
    NoEastWestGateway = 1211,
    EastWestGatewayWithoutAddress = 1212,
    NoRemoteSecret = 1213,
    NotInSync = 1214,
    SyncUnknown = 1215,
    DeniedByPolicy = 1216,
    CutOffByNetworkPolicy = 1217,
    UselessGatewayAddress = 1218,
    NoDefaultRevision = 1219,
    IstiodElsewhere = 1220,
    IllegibleMeshConfig = 1221,
    OtherRootNamespace = 1222,
    NoResponseBaggage = 1230,
    PublicGateway = 1231,
    SameClusterId = 1301,
    SameNetwork = 1302,
    MeshIdsDiffer = 1303,
    TrustDomainsDiffer = 1304,
    RootCasDiffer = 1305,
    RemoteLeftOut = 1306,
    TakenName = 1401,
    UnknownOperator = 1402,
    PodSecurity = 1403,
    NamespaceTerminating = 1404,
    NoLoadBalancer = 1405,
    UnusablePrometheus = 1406,
    CrdVersionNotServed = 1407,
    Refused = 1408,
    Overruled = 1409,
    SecondRemoteSecret = 1411,
    OptionOfRecord = 1412,
    KialiActsForAll = 1431,
    KialiMayWrite = 1432,
    OtherKialiWrites = 1433,
    UnusableIssuer = 1434,
    IssuerNotReached = 1435,
    TokenEndsSoon = 1436,
    TokenEnded = 1437,
    TokenOld = 1438,
    IssuerNotAccepted = 1441,
    NoClientSecret = 1442,
    NoStorageClass = 1450,
    HistoryClaim = 1451,
    NoSeries = 1452,
    OwnPrometheusOption = 1453,
    NotOursToWrite = 1460,
    TooManyLabels = 1461,
    NotWritten = 1462,
    NotQueried = 1463,
    NoStoreSecret = 1464,
    StoreInClearText = 1465,
    UselessStoreAddress = 1466,
    OtherEngine = 1467,
    SamplesRefused = 1468,
    WrittenTwice = 1469,
    SlowScrape = 1470,
    ScrapeTargetDown = 1501,
    GatewayWithoutAddress = 1502,
    CertificatesDiffer = 1503,
    TokenRefused = 1504,
    NoClusterLabel = 1505,
    TwoSourcesOfCluster = 1506,
    ClusterNamesDiffer = 1507,
    ConnectionsFail = 1508,
    OnlyBurst = 1509,
    NoTraffic = 1510,
    NamespaceNotInMesh = 1511,
    ShortHistory = 1512,
    AmbientNotSeen = 1513,
    TrafficDenied = 1514,
    ServiceNotGlobal = 1515,
    PodsLeftOut = 1516,
    KialiBlind = 1517,
    FederationDown = 1518,
    KialiDown = 1519,
    OtherPrometheus = 1520,
    ScrapeLimit = 1521,
    ZtunnelNotCollected = 1522,
    RemoteUnknown = 1523,
    WaypointNotCollected = 1524,
    ScrapeTimeout = 1525,
}

/// Whether a finding stops an install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    /// Nothing is wrong, but the user should know.
    Note,
}

impl Code {
    /// The section "## AK1103 error: no GatewayClass istio".
    fn section(self) -> Option<(&'static str, &'static str)> {
        let start = format!("{self} ");
        let mut sections = TEXTS.split("\n## ").skip(1);
        let section = sections.find_map(|section| section.strip_prefix(start.as_str()))?;
        section.split_once('\n')
    }

    pub fn severity(self) -> Severity {
        match self.section() {
            Some((heading, _)) if heading.starts_with("warning:") => Severity::Warning,
            Some((heading, _)) if heading.starts_with("note:") => Severity::Note,
            _ => Severity::Error,
        }
    }

    /// Whether --skip-check allows it. Findings that prevent distinguishing or reaching the clusters cannot be skipped.
    pub fn can_be_skipped(self) -> bool {
        use Code::*;
        !matches!(
            self,
            Unreachable
                | CredentialsRefused
                | TlsRefused
                | KubeconfigUnusable
                | NoCredentials
                | LoopbackAddress
                | UnusableAddress
                | SameCluster
                | RolesSwapped
                | NoIstiod
                | ClusterIdsDisagree
                | ClusterIdUnusable
                | SameClusterId
                | NoDefaultRevision
                | IstiodElsewhere
                | RemoteLeftOut
                | OptionOfRecord
                | IssuerNotAccepted
                | HistoryClaim
        )
    }

    /// Whether it is only about the Gateways of an install, which an install with a store does not have.
    pub fn is_about_gateway(self) -> bool {
        use Code::*;
        matches!(
            self,
            NoGatewayApi
                | OldGatewayApi
                | NoGatewayClass
                | GatewayClassNotAccepted
                | GatewayClassOfAnother
                | DeniedByPolicy
                | PodSecurity
                | NoLoadBalancer
        )
    }

    /// A short summary.
    pub fn title(self) -> &'static str {
        let heading = self.section().map_or("", |(heading, _)| heading);
        heading.split_once(": ").map_or(heading, |(_, title)| title)
    }

    /// The meaning and the fix.
    pub fn text(self) -> &'static str {
        self.section().map_or("", |(_, text)| text.trim())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AK{}", *self as u16)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Code, String> {
        let wanted = text.to_uppercase();
        let mut all = Code::ALL.iter();
        let found = all.find(|code| code.to_string() == wanted);
        let unknown =
            || format!("no finding has the code \"{text}\"; ambikiali check --list names all");
        found.copied().ok_or_else(unknown)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_explained_and_nothing_else_is() {
        let mut headings = Vec::new();
        for code in Code::ALL {
            let (severity, title) = (code.severity(), code.title());
            assert!(!title.is_empty() && code.text().len() > 80, "{code}");
            headings.push(format!("{code} {severity}: {title}"));
        }
        let all = TEXTS.lines().filter_map(|line| line.strip_prefix("## "));
        assert_eq!(all.collect::<Vec<_>>(), headings);
    }

    #[test]
    fn a_code_is_read_as_it_is_written() {
        assert_eq!("ak1103".parse(), Ok(Code::NoGatewayClass));
        assert!("AK9999".parse::<Code>().is_err());
    }
}
