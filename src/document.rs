//! How a command ended and what it found, as the one document that `-o json` and `-o yaml` print. People
//! are told of the same values in `ui`.

mod event;

use serde_json::{Value, json};

pub use event::{event, what};

use crate::check;
use crate::cleanup::{Left, Report};
use crate::code::Code;
use crate::images::Images;
use crate::k8s::change::{Change, Field};
use crate::k8s::health::Health;
use crate::mesh::{Absent, ClusterName, Mesh};
use crate::plan::Plan;
use crate::problem::{self, Exit};
use crate::status::Row;
use crate::verify;
use crate::version::Installed;

/// Changes when a field changes its meaning or goes; a new field is no change.
const API_VERSION: &str = "ambikiali.dev/v1alpha1";
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A command's exit code, and its part of the document.
#[derive(Debug)]
pub struct Ended {
    pub code: u8,
    found: Value,
}

impl Ended {
    pub fn done(found: Value) -> Ended {
        Ended { code: 0, found }
    }

    pub fn by(done: bool, otherwise: Exit, found: Value) -> Ended {
        let code = if done { 0 } else { otherwise as u8 };
        Ended { code, found }
    }

    /// What it did until then is told to people.
    pub fn interrupted(code: u8) -> Ended {
        let found = json!({});
        Ended { code, found }
    }

    pub fn failed(error: &anyhow::Error) -> Ended {
        let exit = problem::find(error).map_or(Exit::Unexpected, |p| p.exit);
        let found = json!({"errors": [failure(error)]});
        Ended::by(false, exit, found)
    }

    pub fn document(&self, kind: &str) -> Value {
        let outcome = match self.code {
            0 => "succeeded",
            10 => "changes",
            130 | 143 => "interrupted",
            _ => "failed",
        };
        let mut document = json!({
            "apiVersion": API_VERSION, "kind": kind, "outcome": outcome, "exitCode": self.code,
        });
        if let (Some(document), Value::Object(found)) = (document.as_object_mut(), &self.found) {
            document.extend(found.clone());
        }
        document
    }
}

pub fn failure(error: &anyhow::Error) -> Value {
    let problem = problem::find(error);
    json!({
        "code": problem.and_then(|p| p.code).map(|code| code.to_string()),
        "message": format!("{error:#}"),
        "fix": problem.and_then(|p| p.fix.as_deref()),
    })
}

pub fn failures(errors: &[anyhow::Error]) -> Value {
    errors.iter().map(failure).collect()
}

pub fn clusters(mesh: &Mesh) -> Value {
    let roles = std::iter::once("home").chain(std::iter::repeat("remote"));
    let clusters = roles.zip(mesh.all()).map(|(role, cluster)| {
        json!({
            "name": cluster.name, "role": role, "context": cluster.context,
            "server": cluster.server, "uid": cluster.uid,
        })
    });
    clusters.collect()
}

pub fn findings(findings: &[check::Finding]) -> Value {
    findings.iter().map(finding).collect()
}

pub fn finding(finding: &check::Finding) -> Value {
    json!({
        "code": finding.code.to_string(),
        "severity": finding.code.severity().to_string(),
        "cluster": finding.cluster,
        "object": finding.object.to_string(),
        "message": finding.cause,
        "fix": finding.fix,
        "skipped": finding.skipped,
    })
}

pub fn hops(hops: &[verify::Finding]) -> Value {
    let hops = hops.iter().map(|finding| {
        json!({
            "hop": finding.hop.title(), "verdict": finding.verdict.word(),
            "cluster": finding.cluster, "message": finding.text,
        })
    });
    hops.collect()
}

pub fn components(rows: &[Row]) -> Value {
    let rows = rows.iter().map(|row| {
        let (state, reason) = match &row.component.health {
            Health::Ready => ("ready", None),
            Health::Failed(what) if row.drifted => ("drifted", Some(what)),
            Health::InProgress(why) => ("notReady", Some(why)),
            Health::Failed(why) => ("failed", Some(why)),
        };
        json!({
            "cluster": row.cluster, "step": row.step.title(),
            "object": row.component.object.to_string(), "state": state, "reason": reason,
            "note": row.component.note,
        })
    });
    rows.collect()
}

pub fn changes(plans: &[Plan]) -> Value {
    let field = |field: &Field| {
        json!({
            "path": field.path, "before": field.before, "after": field.after,
            "secret": field.secret,
        })
    };
    let change = |cluster: &ClusterName, change: &Change| {
        json!({
            "cluster": cluster, "step": change.step.title(), "object": change.object.to_string(),
            "action": change.what.word(),
            "fields": change.fields.iter().map(field).collect::<Value>(),
        })
    };
    let changes = plans.iter().flat_map(|plan| {
        let changes = plan.changes.iter();
        changes.map(|one| change(&plan.cluster, one))
    });
    changes.collect()
}

/// Remotes that gave no answer.
pub fn unreachable(absent: &[Absent]) -> Value {
    let absent = absent
        .iter()
        .map(|absent| json!({"cluster": absent.name, "error": failure(&absent.error)}));
    absent.collect()
}

pub fn removed(report: &Report) -> Value {
    let objects = |list: &[(String, crate::progress::ObjectId)]| -> Value {
        let objects = list
            .iter()
            .map(|(cluster, object)| json!({"cluster": cluster, "object": object.to_string()}));
        objects.collect()
    };
    let doubts = report.doubts.iter();
    let doubts = doubts.map(|(cluster, text)| json!({"cluster": cluster, "message": text}));
    let forced = report.forced.iter().map(|(cluster, object, fields)| {
        json!({"cluster": cluster, "object": object.to_string(), "fields": fields})
    });
    json!({
        "doubts": doubts.collect::<Value>(), "forced": forced.collect::<Value>(),
        "removed": objects(&report.removed), "changed": objects(&report.changed),
        "left": report.left.iter().map(left).collect::<Value>(),
        "errors": failures(&report.failures),
    })
}

fn left(left: &Left) -> Value {
    let mut told = json!({"cluster": left.cluster, "object": left.object.to_string()});
    if let Some(reason) = &left.reason {
        told["reason"] = json!(reason);
    }
    told
}

pub fn installed(installed: &[Installed]) -> Value {
    let installed = installed.iter().map(
        |one| json!({"cluster": one.cluster, "object": one.object.to_string(), "image": one.image}),
    );
    installed.collect()
}

pub fn explained(code: Code) -> Value {
    json!({
        "code": code.to_string(), "severity": code.severity().to_string(),
        "title": code.title(), "text": code.text(),
    })
}

/// All that can be found.
pub fn codes() -> Value {
    let codes = Code::ALL.iter().map(|code| {
        json!({
            "code": code.to_string(), "severity": code.severity().to_string(),
            "title": code.title(),
        })
    });
    codes.collect()
}

pub fn images(images: &Images) -> Value {
    let images = images.all().map(|(component, image)| {
        let (reference, digest) = match image.split_once('@') {
            Some((reference, digest)) => (reference, Some(digest)),
            None => (image, None),
        };
        json!({"component": component, "reference": reference, "digest": digest})
    });
    images.collect()
}
