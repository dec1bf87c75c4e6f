//! The result of a rotation as text.

use super::report::{BAD, GOOD};
use crate::out;
use crate::out::Text;
use crate::progress::ObjectId;
use crate::result::{Action, RotateResult, Token};

/// A line for each token, and what is left of the old ones.
pub fn rotated(result: &RotateResult) {
    let (rotate, keep, remove) = match result.dry_run {
        true => ("would rotate", "would keep", "would remove"),
        false => ("rotated", "kept", "removed"),
    };
    for token in &result.tokens {
        let word = match token.action {
            Action::Rotate => rotate,
            Action::Keep => keep,
        };
        line(word, token, &of(token));
        if !token.removed.is_empty() {
            let said = match result.dry_run {
                true => listed(&token.removed),
                false => format!("{}; its token is refused", listed(&token.removed)),
            };
            line(remove, token, &said);
        }
        for left in &token.left {
            let text = Text::new().styled(BAD, format!("{:<12}", "left"));
            out::result(text.plain(format!(
                "  {:<12}  {left}: not created by ambikiali; its token is still valid",
                token.cluster
            )));
        }
    }
    let count = result
        .tokens
        .iter()
        .filter(|token| token.action == Action::Rotate);
    let count = match count.count() {
        1 => "1 token".into(),
        count => format!("{count} tokens"),
    };
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

fn of(token: &Token) -> String {
    let Token { secret, reason, .. } = token;
    match &token.ends {
        Some(ends) => format!("{secret}: {reason}; it ends at {ends}"),
        None => format!("{secret}: {reason}"),
    }
}

fn line(word: &str, token: &Token, said: &str) {
    say!("{word:<12}  {:<12}  {said}", token.cluster);
}

fn listed(objects: &[ObjectId]) -> String {
    let objects = objects.iter().map(ToString::to_string);
    objects.collect::<Vec<_>>().join(", ")
}
