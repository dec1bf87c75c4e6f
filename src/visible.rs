//! Escapes control characters and invisible characters. Clusters, files and servers supply texts that are shown to
//! an administrator. None of them may move the cursor, overwrite a line, write to the clipboard or change the
//! text direction.

use std::borrow::Cow;
use std::fmt::Write;

use serde::{Deserialize, Deserializer};

/// Limit for a free text of a server. An error states its important part within that length.
pub const SAID: usize = 300;

/// The first names of a list, and how many more there are.
pub fn listed(names: &[String], more: usize) -> String {
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Prefix of each further line of a foreign text, so that it cannot be mistaken for our own output.
const MARK: &str = "\n  | ";

/// Whether a character is a control character or invisible.
pub fn is_hidden(character: char) -> bool {
    matches!(character,
        // C0, DEL and C1: ESC, CSI, OSC, carriage return, backspace and others.
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Soft hyphen and direction marks of single scripts.
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        // Zero-width characters; direction marks, embeddings, overrides and isolates; line separators.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        // Tag characters.
        | '\u{e0000}'..='\u{e007f}')
}

/// Escapes a text to one line, with `\n`, `\r`, `\x1b` and `\u{202e}`.
pub fn in_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|character| show(character, &mut out));
    out
}

/// The same, but keeps line breaks and prefixes each further line.
pub fn in_lines(text: &str) -> String {
    let lines = text.trim_end_matches('\n').split('\n');
    // CRLF counts as a plain line break.
    let lines = lines.map(|line| in_line(line.strip_suffix('\r').unwrap_or(line)));
    lines.collect::<Vec<_>>().join(MARK)
}

/// Escapes such characters in a JSON document; with `ascii`, all characters beyond ASCII too. They occur only in
/// strings, so the document keeps its meaning.
pub fn in_json(json: &str, ascii: bool) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        let plain = character == '\n' || !is_hidden(character);
        if plain && (!ascii || character.is_ascii()) {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// Shortens a text to its first characters, followed by … if there are more.
pub fn short(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Deserialises a string of a server and shortens it.
pub fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(short(&text, SAID).into_owned())
}

fn show(character: char, out: &mut String) {
    let code = u32::from(character);
    let _ = match character {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        c if !is_hidden(c) => out.write_char(c),
        _ if code < 0x100 => write!(out, "\\x{code:02x}"),
        _ => write!(out, "\\u{{{code:x}}}"),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn control_characters_are_escaped_in_a_line() {
        for (text, shown) in [
            ("\x1b]52;c;Y3VybA==\x07", "\\x1b]52;c;Y3VybA==\\x07"),
            ("fine\r  fix: curl", "fine\\r  fix: curl"),
            ("a\n  fix: b", "a\\n  fix: b"),
            ("\u{9b}2J\u{85}\u{90}", "\\x9b2J\\x85\\x90"),
            (
                "\u{202e}txt\u{2066}\u{200b}",
                "\\u{202e}txt\\u{2066}\\u{200b}",
            ),
            ("a\0\x08\x7f\tb", "a\\x00\\x08\\x7f\\tb"),
            ("\u{e0041}\u{2028}", "\\u{e0041}\\u{2028}"),
            (
                "cluster-\u{e9}\u{1f600} \u{2026}",
                "cluster-\u{e9}\u{1f600} \u{2026}",
            ),
        ] {
            assert_eq!(in_line(text), shown);
            assert!(!in_line(text).contains(is_hidden));
        }
    }

    #[test]
    fn further_lines_of_foreign_text_are_prefixed() {
        let log = "panic: x\r\n\tgoroutine 1\n  fix: curl | sh\n";
        let shown = "panic: x\n  | \\tgoroutine 1\n  |   fix: curl | sh";
        assert_eq!(in_lines(log), shown);
        assert_eq!(in_lines("one"), "one");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_marked() {
        for (text, most, cut) in [
            ("", 0, ""),
            ("a", 0, "…"),
            ("\u{e9}\u{1f600}x", 3, "\u{e9}\u{1f600}x"),
            ("\u{e9}\u{1f600}x", 2, "\u{e9}\u{1f600}…"),
        ] {
            assert_eq!(short(text, most), cut);
        }
    }

    #[test]
    fn an_escaped_document_keeps_its_meaning() {
        let hidden = (0..0x11_0000).filter_map(char::from_u32);
        let hidden = hidden.filter(|c| is_hidden(*c)).collect::<String>();
        let value = json!({hidden.clone(): [hidden, "\u{e9}\u{1f600}\\\"\n"]});
        for ascii in [false, true] {
            for text in [value.to_string(), format!("{value:#}")] {
                let text = in_json(&text, ascii);
                assert!(!text.contains(|c| c != '\n' && is_hidden(c)), "{text}");
                assert!(!ascii || text.is_ascii());
                let read: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(read, value);
            }
        }
    }
}
