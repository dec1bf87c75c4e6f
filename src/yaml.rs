//! What is wrong with a YAML file, in words for who wrote the file: some of the parser's own are for who
//! writes programs with it.

use std::borrow::Cow;

use serde_yaml::{DefaultMessageFormatter, Error, MessageFormatter};

/// With line and column.
pub fn told(error: &Error) -> String {
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
