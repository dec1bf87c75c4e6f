//! Values that have the name of a secret: `password=x`, `"token": "x"`, `--client-secret x`, and blocks of YAML.

use super::{REMOVED, removed};

/// How the name of a secret ends, in lower case and without separators.
const ENDINGS: [&str; 35] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "token",
    "tokens",
    "jwt",
    "apikey",
    "apikeys",
    "privatekey",
    "secretkey",
    "accesskey",
    "accountkey",
    "accesskeyid",
    "signingkey",
    "signature",
    "encryptionkey",
    "sharedkey",
    "sessionkey",
    "sessionid",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "cookies",
    "keydata",
    "certificatedata",
    "authoritydata",
    "tlskey",
    "dockerconfigjson",
    "dockercfg",
    "htpasswd",
];

/// Limit for a value in quotes.
const LONGEST_QUOTED: usize = 8 << 10;

/// Sorts of names whose value goes to the end of the line.
const WHOLE_LINE: [&str; 3] = ["authorization", "cookie", "cookies"];

/// What a name promises, if it is that of a secret.
pub fn sort(name: &str) -> Option<&'static str> {
    let name = plain(name);
    let found = ENDINGS.iter().find(|ending| name.ends_with(**ending));
    let ending = match name.as_str() {
        "pass" => "password",
        _ => found?,
    };
    Some(match ending {
        _ if ending.contains("pass") || ending == "pwd" => "password",
        "token" | "tokens" | "jwt" => "token",
        _ if ending.contains("key") => "key",
        "secret" | "secrets" => "secret",
        _ => "credentials",
    })
}

fn plain(name: &str) -> String {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}

fn of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./".contains(c)
}

pub fn without_values(text: &str) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(start) = text[at..].find(of_name).map(|found| found + at) {
        let length = text[start..].find(|c| !of_name(c));
        let end = length.map_or(text.len(), |length| start + length);
        out.push_str(&text[at..end]);
        at = end;
        let Some(sort) = sort(&text[start..end]) else {
            continue;
        };
        let Some(Span { from, to }) = value(text, start, end) else {
            continue;
        };
        out.push_str(&text[end..from]);
        out.push_str(&removed(sort));
        at = to;
    }
    out.push_str(&text[at..]);
    out
}

struct Span {
    from: usize,
    to: usize,
}

/// The value of the name between these positions, if it has one.
fn value(text: &str, start: usize, end: usize) -> Option<Span> {
    let name = &text[start..end];
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let indent = &text[line_start..start];
    let is_first = indent.chars().all(|c| " \t-\"'\\{".contains(c));
    let after = skip(text, end, |c| "\"'\\".contains(c));
    let sign = skip(text, after, |c| c == ' ' || c == '\t');
    let mut signs = text[sign..].chars();
    let (first, second) = (signs.next()?, signs.next().unwrap_or(' '));
    let from = match (first, second) {
        (':', '/') if text[sign..].starts_with("://") => return None,
        ('=', '>') | (':', '=') => sign + 2,
        // An element of XML.
        ('>', _) if text[..start].ends_with('<') => sign + 1,
        // The name of an object in prose: "Secret kiali/kiali-secret: not found".
        (':', _) if name.contains('/') && !is_first => return None,
        ('=' | ':', _) => sign + 1,
        // A flag and its value as two words.
        (',', _) if name.starts_with('-') => sign + 1,
        (next, _) if name.starts_with('-') && sign > after && after == end && next != '-' => sign,
        _ => return None,
    };
    let from = skip(text, from, |c| c == ' ' || c == '\t');
    let whole_line = is_first || WHOLE_LINE.iter().any(|whole| plain(name).ends_with(whole));
    let indent = indent.chars().take_while(|c| *c == ' ').count();
    span(text, from, whole_line, is_first.then_some(indent))
}

/// From a position, as long as the characters are such ones.
fn skip(text: &str, from: usize, is_such: impl Fn(char) -> bool) -> usize {
    let rest = &text[from..];
    from + (rest.len() - rest.trim_start_matches(is_such).len())
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |at| from + at)
}

/// The value that begins here. `indent` is that of its name, if the name is the first in its line.
fn span(text: &str, from: usize, whole_line: bool, indent: Option<usize>) -> Option<Span> {
    let (rest, end) = (&text[from..], line_end(text, from));
    let line = &text[from..end];
    let quote = skip(text, from, |c| c == '\\');
    let is_quote = ['"', '\'', '`'];
    let to = match rest.chars().next()? {
        _ if rest.starts_with(REMOVED) => return None,
        '{' if is_mapping(line) => return None,
        '[' => line.rfind(']').map_or(end, |at| from + at + 1),
        '\n' | '\r' => return block(text, end, indent?, false),
        '|' | '>' if is_block(line) && indent.is_some() => return block(text, end, indent?, true),
        _ if text[quote..].starts_with(is_quote) => return quoted(text, from, quote, end),
        '|' | '>' => line.find(is_quote).map_or(end, |at| from + at),
        _ if whole_line => line.find(is_quote).map_or(end, |at| from + at),
        _ => {
            let is_end = |c: char| c.is_whitespace() || "&\"'`<".contains(c);
            rest.find(is_end).map_or(text.len(), |at| from + at)
        }
    };
    let word = text[from..to].trim_matches([',', '}', ')', ' ', '\r']);
    let is_plain = ["", "[]", "true", "false", "null", "~", "None"].contains(&word);
    (!is_plain).then_some(Span { from, to })
}

/// The value between quotes, which may themselves be escaped. Without an end, it goes to the end of the line.
fn quoted(text: &str, from: usize, quote: usize, end: usize) -> Option<Span> {
    let (escapes, mark) = (quote - from, &text[quote..=quote]);
    let from = quote + 1;
    let near = text.floor_char_boundary(from + LONGEST_QUOTED);
    let is_closing = |at: &usize| {
        let before = &text[from..*at];
        before.len() - before.trim_end_matches('\\').len() == escapes
    };
    let mut marks = text[from..near]
        .match_indices(mark)
        .map(|(at, _)| from + at);
    let to = marks.find(is_closing).map_or(end, |to| to - escapes);
    (from < to).then_some(Span { from, to })
}

/// Whether this is the begin of an object, whose names are read by themselves, and no value in braces.
fn is_mapping(line: &str) -> bool {
    let inner = line.trim_start_matches(['{', ' ']);
    inner.contains([':', '=']) || inner.trim().is_empty() || inner.starts_with('}')
}

/// Whether this is the rest of a line whose value is the lines below.
fn is_block(line: &str) -> bool {
    line.chars()
        .skip(1)
        .all(|c| "+- \r".contains(c) || c.is_ascii_digit())
}

/// The lines below a name that are more indented. If they are a mapping, its names are read instead.
fn block(text: &str, end: usize, indent: usize, is_scalar: bool) -> Option<Span> {
    let from = (end + 1).min(text.len());
    let mut to = from;
    for line in text[from..].split_inclusive('\n') {
        let is_empty = line.trim().is_empty();
        let deeper = line.len() - line.trim_start_matches(' ').len() > indent && !is_empty;
        let is_mapping = line.contains(": ") || line.trim_end().ends_with(':');
        if !(is_scalar && (deeper || is_empty) || deeper && !is_mapping) {
            break;
        }
        to += line.len();
    }
    let to = from + text[from..to].trim_end().len();
    let from = skip(text, from, |c| c == ' ');
    (from < to).then_some(Span { from, to })
}
