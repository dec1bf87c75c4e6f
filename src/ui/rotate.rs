//! The result of a rotation as text.

use super::report::{BAD, GOOD};
use crate::mesh::ClusterName;
use crate::out;
use crate::out::Text;
use crate::progress::ObjectId;
use crate::result::{Action, Certificate, RotateResult, Token};

/// A line for each token, and what is left of the old ones.
pub fn rotated(result: &RotateResult) {
    let (rotate, keep, remove) = match result.dry_run {
        true => ("would rotate", "would keep", "would remove"),
        false => ("rotated", "kept", "removed"),
    };
    let word = |action| match action {
        Action::Rotate => rotate,
        Action::Keep => keep,
    };
    for token in &result.tokens {
        line(word(token.action), &token.cluster, &of(token));
        if !token.removed.is_empty() {
            let said = match result.dry_run {
                true => listed(&token.removed),
                false => format!("{}; its token is refused", listed(&token.removed)),
            };
            line(remove, &token.cluster, &said);
        }
        for left in &token.left {
            let text = Text::new().styled(BAD, format!("{:<12}", "left"));
            out::result(text.plain(format!(
                "  {:<12}  {left}: not created by ambikiali; its token is still valid",
                token.cluster
            )));
        }
    }
    for certificate in &result.certificates {
        let Certificate { secret, reason, .. } = certificate;
        let said = format!("{secret}: {reason}; it ends at {}", certificate.ends);
        line(word(certificate.action), &certificate.cluster, &said);
    }
    let count = replaced(result);
    let took = result.took.as_secs_f64();
    match result.dry_run {
        true => say!("Dry run: {count} would be replaced; nothing was written"),
        false => out::result(
            Text::new()
                .styled(GOOD, "Done")
                .plain(format!(" in {took:.1}s: {count} replaced")),
        ),
    }
}

/// What was replaced, as in "1 token, 3 certificates".
fn replaced(result: &RotateResult) -> String {
    let is_new = |action: Action| usize::from(action == Action::Rotate);
    let tokens = result.tokens.iter().map(|token| is_new(token.action));
    let tokens = counted(tokens.sum(), "token");
    if result.certificates.is_empty() {
        return tokens;
    }
    let certificates = result.certificates.iter().map(|one| is_new(one.action));
    format!("{tokens}, {}", counted(certificates.sum(), "certificate"))
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn of(token: &Token) -> String {
    let Token { secret, reason, .. } = token;
    match &token.ends {
        Some(ends) => format!("{secret}: {reason}; it ends at {ends}"),
        None => format!("{secret}: {reason}"),
    }
}

fn line(word: &str, cluster: &ClusterName, said: &str) {
    say!("{word:<12}  {:<12}  {said}", cluster);
}

fn listed(objects: &[ObjectId]) -> String {
    let objects = objects.iter().map(ToString::to_string);
    objects.collect::<Vec<_>>().join(", ")
}
