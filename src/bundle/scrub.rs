//! Removes secrets from everything that a bundle says, before it is written. Pure functions: `text` for logs and other
//! free text, `value` for objects. They remove too much rather than too little. What is removed leaves a placeholder.
//!
//! A text passes through five readings, each of which knows one shape: PEM blocks, credentials in URLs, HTTP
//! authentication schemes, values that have the name of a secret, and words that look random.

mod named;
mod objects;
mod random;

use std::borrow::Cow;

pub use objects::value;

/// What stands in place of a secret of this sort.
fn removed(sort: &str) -> String {
    format!("[removed: {sort}]")
}

/// How each placeholder begins. A second reading leaves them as they are.
const REMOVED: &str = "[removed: ";

/// A line is cut after this length. Secrets are looked for within a line, so the time for a text stays bounded.
const LONGEST_LINE: usize = 8 << 10;
/// Limit for a URL.
const LONGEST_URL: usize = 1 << 10;

/// The text without secrets.
pub fn text(text: &str) -> String {
    let text = without_long_lines(text);
    let text = without_pem(&text);
    let text = without_userinfo(&text);
    let text = without_schemes(&text);
    let text = named::without_values(&text);
    random::without_words(&text)
}

fn without_long_lines(text: &str) -> Cow<'_, str> {
    if text.lines().all(|line| line.len() <= LONGEST_LINE) {
        return text.into();
    }
    let lines = text.split('\n').map(|line| match line.len() {
        0..=LONGEST_LINE => line.into(),
        length => {
            let kept = &line[..line.floor_char_boundary(LONGEST_LINE)];
            Cow::from(format!("{kept} [cut: {} bytes]", length - kept.len()))
        }
    });
    lines.collect::<Vec<_>>().join("\n").into()
}

/// Without PEM blocks: certificates, keys and the like. A block without an end takes the rest of the text with it.
fn without_pem(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(BEGIN) {
        out.push_str(&rest[..at]);
        out.push_str(&removed("PEM"));
        let block = &rest[at..];
        let label = block.find(END).map(|end| end + END.len());
        let end = label.and_then(|label| Some(label + block[label..].find("-----")? + 5));
        rest = end.map_or("", |end| &block[end..]);
    }
    out.push_str(rest);
    out
}

/// Without user and password in URLs.
fn without_userinfo(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let is_end = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
        let url = &after[..after.floor_char_boundary(LONGEST_URL)];
        let url = &url[..url.find(is_end).unwrap_or(url.len())];
        rest = after;
        if let Some(end) = userinfo(url) {
            out.push_str(&removed("credentials"));
            rest = &after[end..];
        }
    }
    out.push_str(rest);
    out
}

/// Where the host begins, after user and password. A password may have been written without escapes, so one with a
/// slash counts too.
fn userinfo(url: &str) -> Option<usize> {
    let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
    if let Some(at) = url[..authority].rfind('@') {
        return Some(at);
    }
    let (_, port) = url[..authority].split_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_host = url.starts_with('[') || is_port;
    (!is_host).then(|| url.rfind('@')).flatten()
}

/// Without what follows `Bearer` and `Basic`.
fn without_schemes(text: &str) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    let of_name = |c: char| c.is_ascii_alphanumeric();
    while let Some(start) = text[at..].find(of_name).map(|found| at + found) {
        let length = text[start..].find(|c| !of_name(c));
        let end = length.map_or(text.len(), |length| start + length);
        let scheme = &text[start..end];
        out.push_str(&text[at..end]);
        at = end;
        if !SCHEMES
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            continue;
        }
        let spaces = text[end..].len() - text[end..].trim_start_matches([' ', '\t']).len();
        let from = end + spaces;
        let is_end = |c: char| c.is_whitespace() || "\"'`,;<>".contains(c);
        let word = &text[from..];
        let word = &word[..word.find(is_end).unwrap_or(word.len())];
        if spaces > 0 && is_credential(scheme, word) {
            out.push_str(&text[end..from]);
            out.push_str(&removed("credentials"));
            at = from + word.len();
        }
    }
    out.push_str(&text[at..]);
    out
}

/// Authentication schemes of HTTP.
const SCHEMES: [&str; 4] = ["Bearer", "Basic", "Negotiate", "ApiKey"];

/// Whether a word is what a scheme is followed by, and no prose such as "basic authentication".
fn is_credential(scheme: &str, word: &str) -> bool {
    if word.starts_with(REMOVED.trim_end()) {
        return false;
    }
    let word = word.trim_end_matches(['.', ':', ')', ']']);
    let prose = ["token", "tokens", "auth", "authentication", "authorization"];
    let is_prose = prose.contains(&word.to_ascii_lowercase().as_str());
    let is_plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
    match scheme.eq_ignore_ascii_case("Bearer") {
        _ if is_prose || word.is_empty() => false,
        true => true,
        false => !is_plain,
    }
}

#[cfg(test)]
mod tests;
