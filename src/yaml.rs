//! Errors in a YAML file for the author of the file. Some of the parser's messages are for programmers.

use std::borrow::Cow;

use serde_yaml::{DefaultMessageFormatter, Error, MessageFormatter};

/// The error with line and column.
pub fn describe(error: &Error) -> String {
    error.render_with_formatter(&Plain)
}

struct Plain;

impl MessageFormatter for Plain {
    fn format_message<'a>(&self, error: &'a Error) -> Cow<'a, str> {
        match error {
            Error::WithSnippet { error, .. } => self.format_message(error),
            Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("the key `{key}` is there twice").into()
            }
            Error::DuplicateMappingKey { .. } => "a key is there twice".into(),
            Error::MultipleDocuments { .. } => {
                "a second YAML document begins, and one is expected".into()
            }
            Error::Budget { .. }
            | Error::AliasReplayCounterOverflow { .. }
            | Error::AliasReplayLimitExceeded { .. }
            | Error::AliasExpansionLimitExceeded { .. }
            | Error::AliasReplayStackDepthExceeded { .. } => {
                "it is too large, too deep, or repeats too much by aliases".into()
            }
            other => DefaultMessageFormatter.format_message(other),
        }
    }
}
