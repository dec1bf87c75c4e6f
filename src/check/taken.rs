//! Names that an install needs and somebody else has: used when what is there serves as it is, which is
//! known before the first write.

use anyhow::Result;
use futures::StreamExt;
use serde_json::Value;

use super::Finding;
use crate::code::Code;
use crate::guide::Step;
use crate::install::Run;
use crate::k8s::conflict;
use crate::k8s::difference::difference;
use crate::k8s::{Scope, kinds, write};
use crate::planned::planned;
use crate::progress::ObjectId;
use crate::steps::{cluster_prometheus, expose_prometheus, kiali_operator};

const AT_ONCE: usize = 8;

pub async fn check(run: &Run<'_>, scope: &Scope<'_>, namespace: bool) -> Result<Vec<Finding>> {
    let mut planned = planned(run, scope.cluster)?;
    // What these hold is only known when addresses and tokens are.
    let later = [Step::AggregateMetrics, Step::RemoteSecret, Step::Kiali];
    planned.retain(|(step, object)| {
        let inside = object["metadata"]["namespace"] == scope.namespace;
        !later.contains(step) && *step != Step::Namespace && (namespace || !inside)
    });
    let read = planned.into_iter().map(async |(step, object)| {
        let id = kinds::id(&object)?;
        let live = write::read(scope, &object, &id).await;
        // Who may not read it is told of the missing right.
        let live = live.ok().flatten();
        anyhow::Ok((step, id, object, live))
    });
    let read = futures::stream::iter(read).buffered(AT_ONCE);
    let read = read.collect::<Vec<_>>().await;
    let mut there = Vec::new();
    for one in read {
        if let (step, id, wanted, Some(live)) = one?
            && !scope.record.is_ours(&live)
        {
            there.push(Foreign {
                step,
                id,
                wanted,
                live,
            });
        }
    }
    judge(scope, there).await
}

struct Foreign {
    step: Step,
    id: ObjectId,
    wanted: Value,
    live: Value,
}

async fn judge(scope: &Scope<'_>, mut there: Vec<Foreign>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let finding =
        |code, id: &ObjectId, cause: String| Finding::new(code, scope.cluster, id.clone(), cause);
    let is = |kind: &'static str, step| move |f: &&Foreign| f.id.kind == kind && f.step == step;
    // A Prometheus that is reached by its Service is used as a whole.
    if let Some(service) = there.iter().find(is("Service", Step::ClusterPrometheus)) {
        let port = cluster_prometheus::port_of(&serde_json::from_value(service.live.clone())?);
        if port.is_none() {
            let cause = format!("is there already, but {}", cluster_prometheus::UNUSABLE);
            let look = "-n istio-system get service prometheus -o yaml";
            let code = Code::UnusablePrometheus;
            findings.push(finding(code, &service.id, cause).kubectl(scope.cluster, look));
        }
        there.retain(|f| f.step != Step::ClusterPrometheus);
        // The route that is needed leads to that one's port.
        let exposed = port.map(expose_prometheus::objects).transpose()?;
        for wanted in exposed.into_iter().flatten() {
            let (kind, of_it) = (wanted["kind"].clone(), |f: &&mut Foreign| {
                f.step == Step::ExposePrometheus
            });
            if let Some(foreign) = there.iter_mut().filter(of_it).find(|f| kind == f.id.kind) {
                foreign.wanted = wanted;
            }
        }
    }
    let crd = is("CustomResourceDefinition", Step::KialiOperator);
    if let Some(crd) = there.iter().find(crd) {
        if let Some(cause) = kiali_operator::not_served(&crd.live)? {
            let fix = kiali_operator::serve(scope);
            findings.push(finding(Code::CrdVersionNotServed, &crd.id, cause).fix(fix));
        }
        if let Some(operator) = kiali_operator::foreign(scope).await? {
            if let Some(cause) = kiali_operator::unusable(&operator) {
                let id = kiali_operator::id(&operator);
                let fix = kiali_operator::bring(scope, &id);
                findings.push(finding(Code::UnknownOperator, &id, cause).fix(fix));
            }
            there.retain(|f| f.step != Step::KialiOperator);
        }
        there.retain(|f| f.id.kind != "CustomResourceDefinition");
    }
    for Foreign {
        id, wanted, live, ..
    } in there
    {
        if let Some(field) = difference(&wanted, &live)
            && !scope.choices.force_conflicts
        {
            let cause = conflict::differs(&live, &field);
            let fix = conflict::ways_out(scope, &id);
            findings.push(finding(Code::TakenName, &id, cause).fix(fix));
        }
    }
    Ok(findings)
}
