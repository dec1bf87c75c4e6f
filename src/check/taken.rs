//! Foreign objects with names that an install needs. Whether they can be used unchanged is known before the first
//! write.

use anyhow::Result;
use serde_json::Value;

use super::Finding;
use super::objects::{Live, PlannedObject, comes_later};
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::Scope;
use crate::k8s::conflict;
use crate::k8s::difference::difference;
use crate::progress::ObjectId;
use crate::steps::{cluster_prometheus, expose_prometheus, kiali_operator};

/// A foreign object.
struct Foreign {
    step: Step,
    id: ObjectId,
    wanted: Value,
    live: Value,
}

/// Whether a foreign object replaces one of ours. A Prometheus or an operator replaces all objects of its step.
pub fn serves(foreign: &[(&PlannedObject, &Value)], object: &PlannedObject) -> bool {
    let wholes = ["Service", "CustomResourceDefinition"];
    let steps = [Step::ClusterPrometheus, Step::KialiOperator];
    foreign.iter().any(|(foreign, _)| {
        let whole = wholes.contains(&foreign.id.kind.as_str()) && steps.contains(&object.step);
        foreign.id == object.id || (whole && foreign.step == object.step)
    })
}

/// The foreign objects with our names, judged by their contents.
pub fn foreign<'a>(
    scope: &Scope<'_>,
    looked: &'a [PlannedObject],
) -> Vec<(&'a PlannedObject, &'a Value)> {
    let now =
        |one: &&PlannedObject| !comes_later(one.step, &one.wanted) && one.step != Step::Namespace;
    let foreign = looked.iter().filter(now).filter_map(|one| match &one.live {
        Live::There(live) if !scope.record.is_ours(live) => Some((one, live)),
        _ => None,
    });
    foreign.collect()
}

pub async fn judge(
    scope: &Scope<'_>,
    foreign: &[(&PlannedObject, &Value)],
) -> Result<Vec<Finding>> {
    let there = foreign.iter().map(|(one, live)| Foreign {
        step: one.step,
        id: one.id.clone(),
        wanted: one.wanted.clone(),
        live: (*live).clone(),
    });
    let mut there = there.collect::<Vec<_>>();
    let mut findings = prometheus(scope, &mut there)?;
    findings.extend(operator(scope, &mut there).await?);
    for Foreign {
        id, wanted, live, ..
    } in there
    {
        if let Some(field) = difference(&wanted, &live)
            && (!scope.choices.force_conflicts || conflict::gives_rights(&id.kind))
        {
            let cause = conflict::differs(scope, &live, &field);
            let fix = conflict::ways_out_of(scope, &id, &live);
            findings.push(Finding::new(Code::TakenName, scope.cluster, id, cause).fix(fix));
        }
    }
    Ok(findings)
}

fn is(kind: &'static str, step: Step) -> impl Fn(&&Foreign) -> bool {
    move |foreign| foreign.id.kind == kind && foreign.step == step
}

/// A Prometheus with a usable Service is used as a whole.
fn prometheus(scope: &Scope<'_>, there: &mut Vec<Foreign>) -> Result<Vec<Finding>> {
    let Some(service) = there.iter().find(is("Service", Step::ClusterPrometheus)) else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    let port = cluster_prometheus::port_of(&serde_json::from_value(service.live.clone())?);
    if port.is_none() {
        let cause = format!("already exists, but {}", cluster_prometheus::UNUSABLE);
        let look = "-n istio-system get service prometheus -o yaml";
        let (code, id) = (Code::UnusablePrometheus, service.id.clone());
        findings.push(Finding::new(code, scope.cluster, id, cause).kubectl(scope.cluster, look));
    }
    there.retain(|f| f.step != Step::ClusterPrometheus);
    // Our route must lead to the port of that Service.
    let revision = scope.cluster.revision.label();
    let exposed = port.map(|port| expose_prometheus::objects(port, revision, scope.settings, None));
    let exposed = exposed.transpose()?;
    for wanted in exposed.into_iter().flatten() {
        let mut exposing = there
            .iter_mut()
            .filter(|f| f.step == Step::ExposePrometheus);
        if let Some(foreign) = exposing.find(|f| wanted["kind"] == f.id.kind) {
            foreign.wanted = wanted;
        }
    }
    Ok(findings)
}

/// An operator that can be used replaces all objects of its step.
async fn operator(scope: &Scope<'_>, there: &mut Vec<Foreign>) -> Result<Vec<Finding>> {
    let crd = is("CustomResourceDefinition", Step::KialiOperator);
    let Some(crd) = there.iter().find(crd) else {
        return Ok(Vec::new());
    };
    let mut findings = Vec::new();
    let finding = |code, id, cause| Finding::new(code, scope.cluster, id, cause);
    if let Some(cause) = kiali_operator::not_served(&crd.live)? {
        let fix = kiali_operator::serve(scope);
        findings.push(finding(Code::CrdVersionNotServed, crd.id.clone(), cause).fix(fix));
    }
    if let Some(operator) = kiali_operator::foreign(scope).await? {
        if let Some(cause) = kiali_operator::unusable(&operator) {
            let id = kiali_operator::id(&operator);
            let fix = kiali_operator::bring(scope, &id);
            findings.push(finding(Code::UnknownOperator, id, cause).fix(fix));
        }
        there.retain(|f| f.step != Step::KialiOperator);
    }
    there.retain(|f| f.id.kind != "CustomResourceDefinition");
    Ok(findings)
}
