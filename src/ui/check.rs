//! What a check found, for people.

use anstyle::{AnsiColor, Style};

use super::aside::{note, remark};
use super::out;
use super::report::{BAD, DIM, GOOD};
use super::text::Text;
use crate::check::Finding;
use crate::code::{Code, Severity};
use crate::document;
use crate::mesh::Mesh;

const DOUBTFUL: Style = AnsiColor::Yellow.on_default();

/// Which contexts were taken, by what they lead to.
pub fn clusters(mesh: &Mesh) {
    let roles = std::iter::once("home").chain(std::iter::repeat("remote"));
    for (role, cluster) in roles.zip(mesh.all()) {
        remark(&format!(
            "{role:<6}  {:<12}  context {}  {}",
            cluster.name.to_string(),
            cluster.context,
            cluster.server
        ));
    }
}

/// What an install gives away: no finding, as it is so for every mesh.
pub fn given(mesh: &Mesh) {
    remark(&format!(
        "note[{}]: anyone who can reach Kiali on {} is effectively cluster-admin in every cluster: ambikiali explain {0}",
        Code::KialiActsForAll,
        mesh.home.name
    ));
}

/// Whether an install may begin; what speaks against it is told, and what is only worth to be known.
pub fn allowed(findings: &[Finding], allowed: bool) -> bool {
    for finding in findings {
        let level = match finding.is_error() {
            true => Severity::Error,
            false => Severity::Warning,
        };
        out::tell(
            &level.to_string(),
            &block(finding),
            document::finding(finding),
        );
    }
    if !allowed {
        note("nothing was written");
    }
    allowed
}

/// The result of a check; whether it is good.
pub fn checked(findings: &[Finding], strict: bool) -> bool {
    for finding in findings {
        out::result(block(finding));
    }
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = findings.iter().filter(|f| f.is_warning()).count();
    let good = errors == 0 && !(strict && warnings > 0);
    let (style, word) = match good {
        true => (GOOD, "Ready to install"),
        false => (BAD, "Not ready"),
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
    good
}

fn block(finding: &Finding) -> Text {
    let (style, word) = match finding.skipped {
        true => (DIM, "skipped"),
        false => look(finding.code),
    };
    let Finding {
        code,
        cluster,
        object,
        cause,
        fix,
        skipped: _,
    } = finding;
    Text::new()
        .styled(style, format!("{word}[{code}]:"))
        .plain(format!(" {cluster}: {object}: "))
        .lines(cause)
        .own("\n  ")
        .styled(DIM, "fix:")
        .plain(format!(" {fix}"))
}

fn look(code: Code) -> (Style, &'static str) {
    match code.severity() {
        Severity::Error => (BAD, "error"),
        Severity::Warning => (DOUBTFUL, "warning"),
        Severity::Note => (DIM, "note"),
    }
}

/// All that can be found.
pub fn codes() {
    for code in Code::ALL {
        let (style, word) = look(*code);
        let text = Text::from(format!("{code}  ")).styled(style, format!("{word:<7}"));
        out::result(text.plain("  ").own(code.title()));
    }
}

/// The whole of one.
pub fn explained(code: Code) {
    let (style, word) = look(code);
    let text = Text::new().styled(style, format!("{word}[{code}]:"));
    let text = text.plain(" ").own(code.title());
    out::result(text.own("\n\n").own(code.text()));
}
