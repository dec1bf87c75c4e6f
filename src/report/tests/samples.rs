//! Results of `verify`, as rendered by the tests.

use std::time::Duration;

use crate::code::Code;
use crate::mesh::ClusterName;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::result::{Cluster, Ended, Failure, Flow, FlowHop, Place, Role, VERSION, VerifyResult};
use crate::verify::{Finding, Hop, Verdict};
use crate::version::Installed;

/// Markup, ESC, a change of the text direction, what ends attributes, code spans, cells and CDATA, a mention, links,
/// several lines, and characters that XML forbids.
pub const HOSTILE: &str = "<script>alert(1)</script>\x1b[2J\u{202e}'\"`|\\| ]]> --> @here #1 http://evil.example [a](javascript:b) <img src=x onerror=alert(1)> {{ 7*7 }} **b** &lt; &#60;\r\nnext\u{fffe}\0";

const PLACES: [Place; 5] = [
    Place::Requests,
    Place::Source,
    Place::Destination,
    Place::Metrics,
    Place::Kiali,
];

pub fn all() -> Vec<Ended> {
    vec![
        good(),
        broken(),
        hostile(),
        many(16),
        without_flows(),
        failed(),
    ]
}

fn names(names: &[&str]) -> Vec<ClusterName> {
    names.iter().map(|n| ClusterName::unchecked(n)).collect()
}

fn cluster(name: &ClusterName, index: usize) -> Cluster {
    let role = if index == 0 { Role::Home } else { Role::Remote };
    Cluster {
        name: name.clone(),
        role,
        context: format!("kind-{}", name.as_str()),
        server: format!("https://192.0.2.{index}:6443"),
        uid: "7e0c27a5-4a6c-4b0e-9d0a-0f3f8a1b2c3d".into(),
    }
}

fn installed(name: &ClusterName) -> Vec<Installed> {
    let one = |kind, name_of: &str, image: &str| Installed {
        cluster: name.clone(),
        object: ObjectId::new(kind, "istio-system", name_of),
        image: image.into(),
    };
    vec![
        one("Deployment", "istiod", "docker.io/istio/pilot:1.29.1"),
        one("DaemonSet", "ztunnel", "docker.io/istio/ztunnel:1.29.1"),
    ]
}

fn finding(hop: Hop, cluster: Option<&ClusterName>, verdict: Verdict, text: &str) -> Finding {
    Finding {
        hop,
        verdict,
        code: (verdict == Verdict::Broken).then_some(Code::OldZtunnel),
        cluster: cluster.cloned(),
        text: text.into(),
    }
}

/// A flow whose first hops hold, and whose others have the verdict.
fn flow(from: &ClusterName, to: &ClusterName, holding: usize, verdict: Verdict) -> Flow {
    let hops = PLACES.iter().enumerate().map(|(index, place)| {
        let verdict = if index < holding {
            Verdict::Holds
        } else {
            verdict
        };
        let (count, unit) = match place {
            Place::Requests => (24, "requests"),
            _ => (71_304, "bytes"),
        };
        let holds = verdict == Verdict::Holds;
        FlowHop {
            hop: *place,
            verdict,
            message: match verdict {
                Verdict::Holds => format!("seen by {}", place.title()),
                _ => "no bytes of these requests were counted within 75 s".into(),
            },
            count: holds.then_some(count),
            unit: holds.then_some(unit),
            seconds: holds.then_some(0.44 + 7.3 * index as f64),
        }
    });
    Flow {
        from: from.clone(),
        to: to.clone(),
        verdict,
        hops: hops.collect(),
    }
}

fn result(names: &[ClusterName], hops: Vec<Finding>, flows: Vec<Flow>) -> VerifyResult {
    VerifyResult {
        client: VERSION,
        started: super::NOW.into(),
        clusters: names.iter().zip(0..).map(|(n, i)| cluster(n, i)).collect(),
        installed: names.iter().flat_map(installed).collect(),
        hops,
        flows,
        errors: Vec::new(),
        reports: Vec::new(),
        took: Duration::from_millis(75_340),
    }
}

fn each_to_each(names: &[ClusterName], judge: impl Fn(usize, usize) -> Verdict) -> Vec<Flow> {
    let pairs = (0..names.len()).flat_map(|from| (0..names.len()).map(move |to| (from, to)));
    let flows = pairs.map(|(from, to)| {
        let verdict = judge(from, to);
        let holding = if verdict == Verdict::Holds { 5 } else { 2 };
        flow(&names[from], &names[to], holding, verdict)
    });
    flows.collect()
}

pub fn good() -> Ended {
    let names = names(&["cluster1", "cluster2"]);
    let hops = vec![
        finding(Hop::Components, Some(&names[0]), Verdict::Holds, "11 ready"),
        finding(Hop::Components, Some(&names[1]), Verdict::Holds, "8 ready"),
        finding(
            Hop::Exposure,
            Some(&names[1]),
            Verdict::Holds,
            "https://192.0.2.77:9090 refuses clients without the certificate of the federating Prometheus",
        ),
    ];
    result(&names, hops, each_to_each(&names, |_, _| Verdict::Holds)).into()
}

pub fn broken() -> Ended {
    let names = names(&["eu-central", "us-east", "ap-south"]);
    let hops = vec![
        finding(Hop::Components, Some(&names[0]), Verdict::Holds, "11 ready"),
        finding(
            Hop::ScrapeTarget,
            Some(&names[2]),
            Verdict::Broken,
            "https://192.0.2.77:9090/federate is down: server returned HTTP status 503 Service Unavailable",
        ),
        finding(Hop::Exposure, Some(&names[2]), Verdict::Broken, "one"),
        finding(Hop::Exposure, Some(&names[2]), Verdict::Unproven, "another"),
        finding(
            Hop::Flow,
            None,
            Verdict::Skipped,
            "disabled by --probes none",
        ),
    ];
    let flows = each_to_each(&names, |from, to| match (from, to) {
        (0, 2) => Verdict::Broken,
        (2, 0) => Verdict::Unproven,
        (2, 1) => Verdict::Skipped,
        _ => Verdict::Holds,
    });
    let mut result = result(&names, hops, flows);
    // It did not answer.
    result.clusters.pop();
    result.into()
}

pub fn hostile() -> Ended {
    let names = names(&["<script>alert(1)</script>", HOSTILE, "a\"onload=\"alert(1)"]);
    let hops = names
        .iter()
        .map(|name| finding(Hop::Exposure, Some(name), Verdict::Broken, HOSTILE));
    let flows = each_to_each(&names, |_, _| Verdict::Broken);
    let mut result = result(&names, hops.collect(), flows);
    for cluster in &mut result.clusters {
        cluster.context = HOSTILE.into();
        cluster.server = "javascript:alert(1)".into();
        cluster.uid = HOSTILE.into();
    }
    for one in &mut result.installed {
        one.object = ObjectId::new(HOSTILE, HOSTILE, HOSTILE);
        one.image = HOSTILE.into();
    }
    for hop in result.flows.iter_mut().flat_map(|flow| &mut flow.hops) {
        hop.message = HOSTILE.into();
    }
    result.errors = vec![Failure {
        code: Some(Code::OldZtunnel),
        message: HOSTILE.into(),
        fix: Some(HOSTILE.into()),
    }];
    result.into()
}

/// As many clusters as a fleet may have, with long names.
pub fn many(count: usize) -> Ended {
    let names = (1..=count).map(|n| format!("gke_project-{n:02}_europe-west1-b_mesh-production"));
    let names = names
        .map(|n| ClusterName::unchecked(&n))
        .collect::<Vec<_>>();
    let flows = each_to_each(&names, |from, to| match (from * 7 + to) % 23 {
        0 => Verdict::Broken,
        _ => Verdict::Holds,
    });
    result(&names, Vec::new(), flows).into()
}

/// As after `--probes none`.
pub fn without_flows() -> Ended {
    let names = names(&["cluster1", "cluster2"]);
    let why = "disabled by --probes none";
    let hops = vec![finding(Hop::Flow, None, Verdict::Skipped, why)];
    result(&names, hops, Vec::new()).into()
}

/// A run without a result.
pub fn failed() -> Ended {
    let problem = Problem::new(Exit::Unreachable, format!("no answer {HOSTILE}"));
    Ended::failed(&[problem.fix("kubectl version").into()])
}

pub fn with_message(message: &str) -> Ended {
    let names = names(&["cluster1"]);
    let hop = finding(Hop::Kiali, Some(&names[0]), Verdict::Broken, message);
    result(&names, vec![hop], Vec::new()).into()
}
