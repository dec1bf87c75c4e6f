//! What the documents consist of, each field filled.

use serde_json::json;

use crate::check::Finding;
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::change::{self, Field, What};
use crate::mesh::ClusterName;
use crate::options::Options;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::result::fleet::Role;
use crate::result::{Change, Cluster, Failure, Unreachable};
use crate::version::Installed;

pub fn name() -> ClusterName {
    ClusterName::new("cluster1").unwrap()
}

pub fn object() -> ObjectId {
    ObjectId::new("Deployment", "kiali", "kiali")
}

pub fn clusters() -> Vec<Cluster> {
    vec![Cluster {
        name: name(),
        role: Role::Home,
        context: "east".into(),
        server: "https://192.0.2.1:6443".into(),
        uid: "0b9c".into(),
    }]
}

pub fn installed() -> Vec<Installed> {
    vec![Installed {
        cluster: name(),
        object: object(),
        image: "quay.io/kiali/kiali:v2".into(),
    }]
}

pub fn options() -> Options {
    let asked = [("registry".to_string(), "r.example.com".to_string())];
    Options::default().with(&asked.into())
}

pub fn error() -> anyhow::Error {
    let problem = Problem::new(Exit::Unreachable, "no answer").code(Code::Unreachable);
    problem.fix("ambikiali check").into()
}

pub fn unreachable() -> Vec<Unreachable> {
    vec![Unreachable {
        cluster: name(),
        error: Failure::of(&error()),
    }]
}

pub fn finding(skipped: bool) -> Finding {
    Finding {
        code: Code::OldZtunnel,
        severity: Code::OldZtunnel.severity(),
        cluster: name(),
        object: object(),
        cause: "it is old".into(),
        fix: "upgrade it".into(),
        skipped,
    }
}

pub fn changes() -> Vec<Change> {
    vec![Change {
        cluster: name(),
        change: change::Change {
            step: Step::Kiali,
            object: object(),
            what: What::Change,
            fields: vec![Field {
                path: ".spec.replicas".into(),
                before: Some(json!(1)),
                after: Some(json!(2)),
                secret: false,
            }],
        },
    }]
}
