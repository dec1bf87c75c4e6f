//! `check`, `check --list` and `explain`.

use serde::Serialize;

use super::Cluster;
use crate::check::Finding;
use crate::code::{Code, Severity};
use crate::problem::Exit;

#[derive(Debug, Serialize)]
pub struct CheckResult {
    pub clusters: Vec<Cluster>,
    pub findings: Vec<Finding>,
    /// Warnings fail the check too.
    #[serde(skip)]
    pub strict: bool,
}

impl CheckResult {
    pub fn exit(&self) -> Option<Exit> {
        let bad = |finding: &Finding| finding.is_error() || self.strict && finding.is_warning();
        self.findings.iter().any(bad).then_some(Exit::Preflight)
    }
}

#[derive(Debug, Serialize)]
pub struct CodesResult {
    pub codes: Vec<KnownCode>,
}

#[derive(Debug, Serialize)]
pub struct KnownCode {
    pub code: Code,
    pub severity: Severity,
    pub title: &'static str,
}

impl CodesResult {
    /// Every code that a check can report.
    pub fn all() -> CodesResult {
        let codes = Code::ALL.iter().map(|&code| KnownCode {
            code,
            severity: code.severity(),
            title: code.title(),
        });
        CodesResult {
            codes: codes.collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct ExplainResult {
    pub code: Code,
    pub severity: Severity,
    pub title: &'static str,
    pub text: &'static str,
}

impl ExplainResult {
    pub fn of(code: Code) -> ExplainResult {
        ExplainResult {
            code,
            severity: code.severity(),
            title: code.title(),
            text: code.text(),
        }
    }
}
