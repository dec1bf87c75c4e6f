//! Text for the terminal. Everything that is printed passes through here in pieces: control characters are escaped, so
//! that only the styles of this program reach the terminal.

use std::fmt::Write;

use anstyle::Style;

use crate::visible;

#[derive(Clone, Debug, Default)]
pub struct Text(Vec<(Style, String)>);

impl Text {
    pub fn new() -> Text {
        Text::default()
    }

    /// Appends text of one line.
    pub fn plain(self, words: impl AsRef<str>) -> Text {
        self.styled(Style::new(), words)
    }

    /// Appends text in a style.
    pub fn styled(mut self, style: Style, words: impl AsRef<str>) -> Text {
        self.0.push((style, visible::in_line(words.as_ref())));
        self
    }

    /// Appends text that may have several lines.
    pub fn lines(mut self, words: impl AsRef<str>) -> Text {
        let lines = visible::in_lines(words.as_ref());
        self.0.push((Style::new(), lines));
        self
    }

    /// Appends text of this program with line breaks.
    pub fn own(mut self, words: &'static str) -> Text {
        self.0.push((Style::new(), words.into()));
        self
    }

    /// The text with styles, for a terminal.
    pub fn sent(&self, ascii: bool) -> String {
        let mut out = String::new();
        for (style, words) in &self.0 {
            let words = match ascii {
                true => words.chars().map(spelt).collect(),
                false => words.clone(),
            };
            let _ = write!(out, "{style}{words}{style:#}");
        }
        out
    }
}

impl<T: AsRef<str>> From<T> for Text {
    fn from(words: T) -> Text {
        Text::new().plain(words)
    }
}

/// The text in ASCII.
fn spelt(character: char) -> String {
    match character {
        c if c.is_ascii() => c.into(),
        '\u{2026}' => "...".into(),
        '\u{2018}' | '\u{2019}' => "'".into(),
        '\u{201c}' | '\u{201d}' => "\"".into(),
        '\u{2013}' | '\u{2014}' => "-".into(),
        _ => "?".into(),
    }
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn only_our_own_styles_are_sent() {
        let red = AnsiColor::Red.on_default();
        let evil = "\x1b[32mReady\x1b[0m\r\n  fix: x";
        let text = Text::new().styled(red, evil).plain(" ").lines("a\nb\x07");
        assert_eq!(
            text.sent(false),
            "\x1b[31m\\x1b[32mReady\\x1b[0m\\r\\n  fix: x\x1b[0m a\n  | b\\x07"
        );
    }

    #[test]
    fn people_get_ascii_in_their_way() {
        let text = Text::from("\u{201c}a\u{201d}, \u{2026} \u{e9}\u{1f600}");
        assert_eq!(text.sent(true), "\"a\", ... ??");
    }
}
