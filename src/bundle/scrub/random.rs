//! Words that look random: tokens, base64, keys. Names of objects are of one case, and words of a program change the
//! case only where a new word begins, so both stay.

use base64::Engine;
use base64::prelude::{
    BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD,
};

use super::removed;

/// Below this length, a word may be a name.
const SHORTEST: usize = 20;
/// Above this length, a word is random or not by its characters.
const LONGEST_ENCODED: usize = 64;
/// How the digest of an image begins.
const DIGEST: &str = "sha256:";

fn of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/_-".contains(c)
}

pub fn without_words(text: &str) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    // Whether a token ended at the end of the line before, and may go on.
    let mut goes_on = false;
    while let Some(start) = text[at..].find(of_word).map(|found| found + at) {
        let between = &text[at..start];
        out.push_str(between);
        let length = text[start..].find(|c| !of_word(c));
        let end = length.map_or(text.len(), |length| start + length);
        let word = &text[start..end];
        let is_token = match () {
            () if text[..start].ends_with(DIGEST) => false,
            () if goes_on && is_line_break(between) && is_mixed(word) => true,
            () => is_token(word),
        };
        goes_on = is_token;
        at = end;
        if is_token {
            out.push_str(&removed("token"));
            let padding = text[end..].len() - text[end..].trim_start_matches('=').len();
            at += padding.min(2);
        } else {
            out.push_str(word);
        }
    }
    out.push_str(&text[at..]);
    out
}

fn is_line_break(between: &str) -> bool {
    matches!(between, "." | "\n" | "\r\n" | "\\n" | ".\n")
}

#[derive(Default)]
struct Count {
    upper: usize,
    lower: usize,
    digits: usize,
    /// How often one class of characters follows another one.
    changes: usize,
}

fn count(word: &str) -> Count {
    let mut count = Count::default();
    let mut last = None;
    for byte in word.bytes() {
        let class = match byte {
            b'A'..=b'Z' => 0,
            b'a'..=b'z' => 1,
            b'0'..=b'9' => 2,
            _ => continue,
        };
        match class {
            0 => count.upper += 1,
            1 => count.lower += 1,
            _ => count.digits += 1,
        }
        count.changes += usize::from(last.is_some_and(|last| last != class));
        last = Some(class);
    }
    count
}

fn is_mixed(word: &str) -> bool {
    let count = count(word);
    word.len() >= 4 && count.changes >= 2 && count.upper > 0 && count.lower > 0
}

fn is_token(word: &str) -> bool {
    let all = [
        is_jwt,
        is_access_key,
        is_encoded_text,
        is_mixed_random,
        is_plain_random,
    ];
    all.iter().any(|is_secret| is_secret(word))
}

/// The first part of a JWT, however short.
fn is_jwt(word: &str) -> bool {
    let mut parts = word.split(['/', '_', '-', '+']);
    parts.any(|part| part.starts_with("eyJ")) && word.len() >= 8
}

/// The base64 of a text, which may be short. A word of two cases hardly ever is one by chance.
fn is_encoded_text(word: &str) -> bool {
    if !(8..=LONGEST_ENCODED).contains(&word.len()) || !is_mixed(word) {
        return false;
    }
    let decoded = [STANDARD_NO_PAD, URL_SAFE_NO_PAD].into_iter();
    let mut decoded = decoded.filter_map(|engine| engine.decode(word).ok());
    let is_shown = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    decoded.any(|bytes| bytes.iter().all(is_shown))
}

/// The id of an AWS key, or the token of a forge, by how they begin.
fn is_access_key(word: &str) -> bool {
    let is_aws = ["AKIA", "ASIA"].iter().any(|start| word.contains(start));
    let forges = [
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
    ];
    is_aws && word.len() >= 16
        || forges.iter().any(|start| word.contains(start)) && word.len() >= 16
}

/// In random base64, six of ten characters are of another class than the one before; in a name such as
/// `IstioGatewayClassController` two of ten. Short names without digits come near it.
fn is_mixed_random(word: &str) -> bool {
    let Count {
        upper,
        lower,
        digits,
        changes,
    } = count(word);
    let least = match word.len() {
        0..SHORTEST => return false,
        SHORTEST..32 if digits == 0 => 5,
        SHORTEST..32 => 4,
        _ => 3,
    };
    upper > 1 && lower > 1 && changes * 10 >= word.len() * least
}

/// Hexadecimal, or letters of one case with digits. A UID has dashes, and stays.
fn is_plain_random(word: &str) -> bool {
    let mut parts = word.split(['-', '_', '/', '+']);
    parts.any(|part| {
        let count = count(part);
        let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let has_both = count.digits > 0 && count.upper + count.lower > 0;
        is_hex && part.len() >= 32 && has_both
            || part.len() >= 24 && count.changes * 4 >= part.len() && count.digits > 3
    })
}
