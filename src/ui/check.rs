//! The result of a check as text.

use anstyle::{AnsiColor, Style};

use super::aside::remark;
use super::report::{BAD, DIM, GOOD};
use crate::check::Finding;
use crate::code::{Code, Severity};
use crate::login::Login;
use crate::mesh::ClusterName;
use crate::options::Options;
use crate::out;
use crate::out::Text;
use crate::out::note;
use crate::result::{CheckResult, Cluster, CodesResult, ExplainResult};
use crate::settings::Settings;

const DOUBTFUL: Style = AnsiColor::Yellow.on_default();

/// The clusters that the contexts point to.
pub fn clusters(clusters: &[Cluster]) {
    for cluster in clusters {
        remark(&format!(
            "{:<6}  {:<12}  context {}  {}",
            cluster.role, cluster.name, cluster.context, cluster.server
        ));
    }
}

/// What an install exposes. No finding, because it is the same for every mesh.
pub fn given(home: &ClusterName, options: &Options) {
    let Settings {
        login, allow_write, ..
    } = options.settings();
    let (who, gets) = match (login, allow_write) {
        (None, true) => (
            "anyone who can reach".to_string(),
            "is effectively cluster-admin in every cluster",
        ),
        (None, false) => (
            "anyone who can reach".to_string(),
            "sees every cluster and can change nothing",
        ),
        (Some(login), _) => (
            format!("whoever logs in at {} to", login.issuer),
            behind(&login, allow_write),
        ),
    };
    remark(&format!(
        "note[{}]: {who} Kiali on {home} {gets}: ambikiali explain {0}",
        Code::KialiActsForAll
    ));
}

/// What a user gets behind a login.
pub fn behind(login: &Login, allow_write: bool) -> &'static str {
    match (login.rbac, allow_write) {
        (false, _) => "sees every cluster and can change nothing",
        (true, false) => {
            "sees what the user's own rights in each cluster allow and can change nothing"
        }
        (true, true) => "sees and can change what the user's own rights in each cluster allow",
    }
}

/// The findings before an install, and whether they stop it.
pub fn findings(findings: &[Finding], stops: bool) {
    for finding in findings {
        let level = match finding.is_error() {
            true => Severity::Error,
            false => Severity::Warning,
        };
        out::tell(&level.to_string(), &block(finding), finding);
    }
    if stops {
        note("nothing was written");
    }
}

/// The result of a check.
pub fn checked(result: &CheckResult) {
    let findings = &result.findings;
    for finding in findings {
        out::result(block(finding));
    }
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = findings.iter().filter(|f| f.is_warning()).count();
    let (style, word) = match result.exit() {
        None => (GOOD, "Ready to install"),
        Some(_) => (BAD, "Not ready"),
    };
    let skipped = findings.len() - errors - warnings;
    let plural = |count| if count == 1 { "" } else { "s" };
    let counts = [
        (errors, format!("error{}", plural(errors))),
        (warnings, format!("warning{}", plural(warnings))),
        (skipped, "skipped".into()),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, word)| format!("{count} {word}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let colon = if counts.is_empty() { "" } else { ": " };
    out::result(Text::new().styled(style, word).plain(colon).plain(counts));
}

fn block(finding: &Finding) -> Text {
    let (style, word) = match finding.skipped {
        true => (DIM, "skipped"),
        false => look(finding.severity),
    };
    let Finding {
        code,
        cluster,
        object,
        cause,
        fix,
        ..
    } = finding;
    Text::new()
        .styled(style, format!("{word}[{code}]:"))
        .plain(format!(" {cluster}: {object}: "))
        .lines(cause)
        .own("\n  ")
        .styled(DIM, "fix:")
        .plain(format!(" {fix}"))
}

fn look(severity: Severity) -> (Style, &'static str) {
    match severity {
        Severity::Error => (BAD, "error"),
        Severity::Warning => (DOUBTFUL, "warning"),
        Severity::Note => (DIM, "note"),
    }
}

/// All codes.
pub fn codes(result: &CodesResult) {
    for known in &result.codes {
        let (style, word) = look(known.severity);
        let text = Text::from(format!("{}  ", known.code)).styled(style, format!("{word:<7}"));
        out::result(text.plain("  ").own(known.title));
    }
}

/// The section of one code.
pub fn explained(result: &ExplainResult) {
    let (style, word) = look(result.severity);
    let text = Text::new().styled(style, format!("{word}[{}]:", result.code));
    let text = text.plain(" ").own(result.title);
    out::result(text.own("\n\n").own(result.text));
}
