//! Documents of each kind: all fields filled, as few as there may be, failed and interrupted. Each value is
//! built field by field, so that a new field does not compile before it is here.

mod parts;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use self::parts::*;
use crate::bundle::{Bundle, Found, Missing, Overview};
use crate::cleanup::{ClusterObject, Doubt, Forced, Left};
use crate::code::Code;
use crate::doctor::{self, Diagnosis, Likelihood, Likely, Question};
use crate::estimate::{Estimate, Pull, Share};
use crate::guide::Step;
use crate::images::Images;
use crate::metrics::{Metrics, Profile};
use crate::progress::{self, Message, Part};
use crate::result::status::Component;
use crate::result::*;
use crate::verify::{self, Hop, Verdict};

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
    let large = Share {
        series: 1_000_000,
        ..share(Some(pull))
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
        all(vec![with(Ok(vec![large]))], vec![]),
    ]
}

fn bundle() -> Vec<Ended> {
    let overview = Overview {
        version: VERSION,
        clusters: &[name()],
        since: TOOK,
    };
    let of = |missing| {
        let found = Found {
            missing,
            ..Found::default()
        };
        Bundle::of(found, &overview)
    };
    let written = Written {
        path: "a.tar.gz".into(),
        bytes: 1,
    };
    let missing = vec![
        Missing::new(None, "Kiali", "no pod"),
        Missing::new(Some(&name()), "Prometheus", "no pod"),
    ];
    vec![
        BundleResult::of(clusters(), &of(missing), Some(written)).into(),
        BundleResult::of(clusters(), &of(vec![]), None).into(),
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
        watched: true,
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
        client: "0.1.0",
        started: "2026-01-01T00:00:00Z".into(),
        clusters: clusters(),
        installed: installed(),
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
        errors: Vec::new(),
        reports: Vec::new(),
        took: TOOK,
    };
    vec![
        with(Verdict::Holds, None, None).into(),
        with(Verdict::Broken, Some(name()), Some(Code::KialiMayWrite)).into(),
    ]
}

fn doctor() -> Vec<Ended> {
    let likely = Likely {
        cluster: Some(name()),
        likelihood: Likelihood::Seen,
        place: doctor::Place::Kiali,
        seen: "seen".into(),
        fix: "ambikiali install".into(),
    };
    let unknown = doctor::Unknown {
        cluster: Some(name()),
        why: "no answer".into(),
    };
    let diagnosis = |likely, unknown| Diagnosis {
        likely,
        ruled_out: vec![Code::NoTraffic],
        unknown,
    };
    let question = |namespace: Option<&str>, service: Option<&str>| Question {
        window: TOOK,
        namespace: namespace.map(Into::into),
        service: service.map(Into::into),
    };
    let with = |diagnosis, question, unreachable| {
        let private = Vec::new();
        DoctorResult::of(
            clusters(),
            diagnosis,
            question,
            unreachable,
            (private, TOOK),
        )
        .into()
    };
    vec![
        with(
            diagnosis(
                vec![(Code::TokenRefused, likely)],
                vec![(Code::ClockSkew, unknown)],
            ),
            question(Some("sample"), Some("helloworld")),
            unreachable(),
        ),
        with(diagnosis(vec![], vec![]), question(None, None), vec![]),
    ]
}

fn version() -> Vec<Ended> {
    let versions = Versions {
        clusters: clusters(),
        installed: installed(),
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
        ("BundleResult", bundle()),
        ("CheckResult", check()),
        ("CleanupResult", cleanup()),
        ("CodesResult", vec![CodesResult::all().into()]),
        ("CompletionsResult", vec![completions.into()]),
        ("DashboardResult", vec![DashboardResult {}.into()]),
        ("DoctorResult", doctor()),
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
    events.chain(looks()).collect()
}

/// The lines of --watch: a component that appeared, and one that went.
fn looks() -> Vec<Value> {
    let views = status();
    let views = views.iter().map(|ended| View::of(ended, None));
    let none = View::default();
    let views = [vec![none.clone()], views.collect(), vec![none]].concat();
    let changes = views
        .windows(2)
        .flat_map(|two| two[0].changes(&two[1], TOOK));
    changes.map(|change| json!(change)).collect()
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
