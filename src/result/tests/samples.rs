//! Documents of each kind: all fields filled, as few as there may be, failed and interrupted. Each value is
//! built field by field, so that a new field does not compile before it is here.

mod parts;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use self::parts::*;
use crate::cleanup::{ClusterObject, Doubt, Forced, Left};
use crate::code::Code;
use crate::estimate::{Estimate, Pull, Share};
use crate::guide::Step;
use crate::images::Images;
use crate::metrics::{Metrics, Profile};
use crate::progress::{self, Message, Part};
use crate::result::status::Component;
use crate::result::*;
use crate::verify::{self, Hop, Verdict};
use crate::version;

const TOOK: Duration = Duration::from_secs(1);

fn estimate() -> Vec<Ended> {
    let pull = Pull {
        bytes: 1,
        compressed: 1,
        time: TOOK,
    };
    let share = |pull| Share {
        profile: Profile::Core,
        series: 1,
        labels: 1,
        pull,
    };
    let with = |found| Estimate {
        cluster: name(),
        found,
    };
    let known = vec![
        with(Ok(vec![share(Some(pull)), share(None)])),
        with(Err("no pod is ready".into())),
    ];
    let all = |known, unreachable| {
        EstimateResult::of(clusters(), Metrics::default(), known, unreachable).into()
    };
    vec![
        all(known, unreachable()),
        all(vec![with(Ok(vec![]))], vec![]),
    ]
}

fn check() -> Vec<Ended> {
    let with = |findings| CheckResult {
        clusters: clusters(),
        findings,
        strict: true,
    };
    vec![with(vec![finding(true)]).into(), with(vec![]).into()]
}

fn plan() -> Vec<Ended> {
    let with = |changes, exit_code| PlanResult {
        clusters: clusters(),
        findings: vec![finding(true)],
        changes,
        exit_code,
    };
    vec![
        with(Some(changes()), false).into(),
        with(Some(changes()), true).into(),
        with(None, false).into(),
    ]
}

fn install() -> Vec<Ended> {
    let with = |installed| InstallResult {
        clusters: clusters(),
        findings: vec![finding(true)],
        options: options(),
        installed,
    };
    let installed = |left_out| Installed {
        changes: changes(),
        left_out,
        remembered: true,
        took: TOOK,
    };
    vec![
        with(Some(installed(vec![]))).into(),
        with(Some(installed(unreachable()))).into(),
        with(None).into(),
    ]
}

fn cleanup() -> Vec<Ended> {
    let cluster = || name().to_string();
    let one = || ClusterObject {
        cluster: cluster(),
        object: object(),
    };
    let left = |reason| Left {
        cluster: cluster(),
        object: object(),
        reason,
    };
    let left_of_data = || left(Some("it holds data".into()));
    let with = |doubts, left, errors| CleanupResult {
        doubts,
        forced: vec![Forced {
            cluster: cluster(),
            object: object(),
            fields: vec![".spec".into()],
        }],
        removed: vec![one()],
        changed: vec![one()],
        left,
        kept: vec![left_of_data()],
        errors,
        clusters: clusters(),
        dry_run: true,
        cleared: "cluster1".into(),
        took: TOOK,
    };
    let doubt = Doubt {
        cluster: cluster(),
        message: "not ours".into(),
    };
    let stays = vec![left(None), left(Some("a finalizer".into()))];
    let errors = vec![Failure::of(&error())];
    vec![
        with(vec![doubt], stays, errors).into(),
        with(vec![], vec![], vec![]).into(),
    ]
}

fn status() -> Vec<Ended> {
    let component = |state, reason: Option<&str>| Component {
        cluster: name(),
        step: Step::Kiali,
        object: object(),
        state,
        reason: reason.map(Into::into),
        note: reason.map(Into::into),
        code: reason.map(|_| Code::TokenEndsSoon),
    };
    let with = |components, unreachable| StatusResult {
        clusters: clusters(),
        components,
        unreachable,
    };
    let bad = component(State::NotReady, Some("no pod"));
    vec![
        with(vec![component(State::Ready, None)], vec![]).into(),
        with(vec![bad], unreachable()).into(),
    ]
}

fn rotate() -> Vec<Ended> {
    let token = |action, ends: Option<&str>| Token {
        cluster: name(),
        action,
        secret: object(),
        reason: "it was old".into(),
        removed: vec![object()],
        left: vec![object()],
        ends: ends.map(Into::into),
    };
    let certificate = || Certificate {
        cluster: name(),
        action: Action::Rotate,
        secret: object(),
        reason: "it was old".into(),
        ends: "2026-01-01T00:00:00Z".into(),
    };
    let with = |tokens, dry_run| RotateResult {
        clusters: clusters(),
        tokens,
        certificates: vec![certificate()],
        dry_run,
        took: TOOK,
    };
    vec![
        with(
            vec![token(Action::Rotate, Some("2026-01-01T00:00:00Z"))],
            true,
        )
        .into(),
        with(vec![token(Action::Keep, None)], false).into(),
    ]
}

fn verify() -> Vec<Ended> {
    let hop = |hop, count, unit, seconds| FlowHop {
        hop,
        verdict: Verdict::Holds,
        message: "seen".into(),
        count,
        unit,
        seconds,
    };
    let with = |verdict, cluster, code| VerifyResult {
        clusters: clusters(),
        hops: vec![verify::Finding {
            hop: Hop::Flow,
            verdict,
            code,
            cluster,
            text: "seen".into(),
        }],
        flows: vec![Flow {
            from: name(),
            to: name(),
            verdict,
            hops: vec![
                hop(Place::Source, Some(1), Some("bytes"), Some(0.5)),
                hop(Place::Kiali, None, None, None),
            ],
        }],
        took: TOOK,
    };
    vec![
        with(Verdict::Holds, None, None).into(),
        with(Verdict::Broken, Some(name()), Some(Code::KialiMayWrite)).into(),
    ]
}

fn version() -> Vec<Ended> {
    let versions = Versions {
        clusters: clusters(),
        installed: vec![version::Installed {
            cluster: name(),
            object: object(),
            image: "quay.io/kiali/kiali:v2".into(),
        }],
        options: options(),
        unreachable: unreachable(),
    };
    vec![
        VersionResult::of_client(None).into(),
        VersionResult::of_client(Some("no kubeconfig".into())).into(),
        VersionResult::of_clusters(versions).into(),
    ]
}

fn results() -> BTreeMap<&'static str, Vec<Ended>> {
    let completions = CompletionsResult {
        shell: "bash",
        script: "complete".into(),
    };
    let man = ManResult {
        folder: "man".into(),
        pages: vec!["ambikiali.1".into()],
    };
    let render = RenderResult {
        files: vec!["a.yaml".into()],
    };
    BTreeMap::from([
        ("CheckResult", check()),
        ("CleanupResult", cleanup()),
        ("CodesResult", vec![CodesResult::all().into()]),
        ("CompletionsResult", vec![completions.into()]),
        ("DashboardResult", vec![DashboardResult {}.into()]),
        ("EstimateResult", estimate()),
        (
            "ExplainResult",
            vec![ExplainResult::of(Code::OldZtunnel).into()],
        ),
        (
            "ImagesResult",
            vec![ImagesResult::of(&Images::default()).into()],
        ),
        ("InstallResult", install()),
        ("ManResult", vec![man.into()]),
        ("PlanResult", plan()),
        ("RenderResult", vec![render.into()]),
        ("RotateResult", rotate()),
        ("StatusResult", status()),
        ("VerifyResult", verify()),
        ("VersionResult", version()),
    ])
}

fn events() -> Vec<Value> {
    use progress::Event::*;
    let step = Part::Step(Step::Kiali);
    let reason = || "no pod".to_string();
    let flow = |verdict| progress::Event::Flow {
        to: name(),
        verdict,
        place: Some(Place::Metrics),
        text: reason(),
    };
    let events = [
        (step, Started),
        (
            step,
            Waiting {
                object: object(),
                reason: reason(),
            },
        ),
        (step, Arrived(object())),
        (step, Note(reason())),
        (step, Done(reason())),
        (step, Failed),
        (Part::Hop(Hop::Kiali), Found(Verdict::Holds, reason())),
        (Part::Hop(Hop::Kiali), Ended),
        (Part::Hop(Hop::Flow), flow(None)),
        (Part::Hop(Hop::Flow), flow(Some(Verdict::Broken))),
    ];
    let events = events.into_iter().map(|(part, event)| {
        let cluster = name();
        let message = Message {
            part,
            cluster,
            event,
        };
        json!(Event::of(&message, TOOK))
    });
    events.collect()
}

/// By their kinds.
pub fn documents() -> BTreeMap<&'static str, Vec<Value>> {
    let results = results().into_iter().map(|(kind, mut results)| {
        results.push(Ended::failed(&[error(), anyhow::anyhow!("a fault")]));
        results.push(Ended::Interrupted { code: 130 });
        let documents = results.iter().map(|ended| json!(ended.document(kind)));
        (kind, documents.collect())
    });
    results.chain([("Event", events())]).collect()
}
