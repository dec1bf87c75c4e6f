//! Characters that a terminal obeys, or that nobody sees, written so that they are seen. Clusters, files
//! and servers choose texts that are shown to an administrator; none of them may move the cursor, paint
//! over another line, fill the clipboard, or turn the direction of reading.

use std::borrow::Cow;
use std::fmt::Write;

use serde::{Deserialize, Deserializer};

/// Characters of what a server says in a text of its own choice: a cause that needs more names it first.
pub const SAID: usize = 300;

/// Names that stand for all, and how many more there are.
pub fn listed(names: &[String], more: usize) -> String {
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// The mark before each further line of a text that came with several: it cannot pass for a line of
/// this program.
const MARK: &str = "\n  | ";

/// Whether it does something else than to be seen.
pub fn is_hidden(character: char) -> bool {
    matches!(character,
        // C0, DEL and C1: ESC, CSI, OSC, carriage return, backspace and their like.
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Soft hyphen, and marks of direction of single scripts.
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        // Of no width, and marks, embeddings, overrides and isolates of direction; separators of lines.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        // Tags.
        | '\u{e0000}'..='\u{e007f}')
}

/// As part of one line: `\n`, `\r`, `\x1b`, `\u{202e}`.
pub fn in_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|character| show(character, &mut out));
    out
}

/// The same, but line ends stay, and each line that follows one is marked.
pub fn in_lines(text: &str) -> String {
    let lines = text.trim_end_matches('\n').split('\n');
    // The line ends of another system are no news.
    let lines = lines.map(|line| in_line(line.strip_suffix('\r').unwrap_or(line)));
    lines.collect::<Vec<_>>().join(MARK)
}

/// A JSON document in which such characters are escaped, and with `ascii` all others beyond ASCII too:
/// they stand only in its strings, so nothing is lost.
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

/// The first characters of a text, and … where there are more.
pub fn short(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// A string of a server's answer, which is as long as the server likes.
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
    fn nothing_that_a_terminal_obeys_stays_in_a_line() {
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
    fn a_further_line_of_somebody_else_is_told_from_our_own() {
        let log = "panic: x\r\n\tgoroutine 1\n  fix: curl | sh\n";
        let shown = "panic: x\n  | \\tgoroutine 1\n  |   fix: curl | sh";
        assert_eq!(in_lines(log), shown);
        assert_eq!(in_lines("one"), "one");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
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
    fn a_document_says_the_same_after_it() {
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
