//! The report for an issue. Whoever reads it is a stranger, so it names no context, no file and no address, and texts of
//! clusters cannot format it.

use std::net::{IpAddr, SocketAddr};

use super::{of, unasked};
use crate::out::Text;
use crate::result::{DoctorResult, VERSION};
use crate::shell::quoted;
use crate::visible;

/// In place of an address.
const ADDRESS: &str = "ADDRESS";

pub fn lines(result: &DoctorResult) -> Vec<Text> {
    let mut lines = vec![Text::from("## ambikiali doctor"), Text::new()];
    lines.extend(asked(result));
    for (cause, number) in result.causes.iter().zip(1..) {
        let cluster = of(cause.cluster.as_ref());
        let heading = format!(
            "### {number}. {} {} ({}, {})",
            cause.code,
            escaped(cause.title),
            escaped(cluster),
            cause.likelihood.word()
        );
        lines.extend([Text::new(), heading.into(), Text::new()]);
        lines.push(shown(result, &cause.seen).into());
        lines.extend([
            Text::new(),
            Text::from("Fix: ").plain(shown(result, &cause.fix)),
        ]);
    }
    if result.causes.is_empty() {
        lines.extend([Text::new(), "No likely cause was found.".into()]);
    }
    let ruled_out = result.ruled_out.iter().map(|one| one.code.to_string());
    let ruled_out = ruled_out.collect::<Vec<_>>();
    lines.extend([Text::new(), Text::from("### Ruled out"), Text::new()]);
    lines.push(match ruled_out.as_slice() {
        [] => "nothing".into(),
        all => all.join(", ").into(),
    });
    let unasked = unasked(&result.unknown);
    if !unasked.is_empty() {
        lines.extend([
            Text::new(),
            Text::from("### Could not be asked"),
            Text::new(),
        ]);
    }
    lines.extend(unasked.into_iter().map(|(cluster, why, codes)| {
        let (cluster, why) = (escaped(of(cluster)), shown(result, why));
        Text::from(format!("- {cluster}: {why} ({})", codes.join(", ")))
    }));
    lines
}

/// What was asked, of what.
fn asked(result: &DoctorResult) -> Vec<Text> {
    let clusters = result.clusters.iter().map(|one| {
        let name = escaped(one.name.as_str());
        format!("{name} ({})", one.role)
    });
    let unreachable = result.unreachable.iter().map(|one| {
        let name = escaped(one.cluster.as_str());
        format!("{name} (does not answer)")
    });
    let clusters = clusters.chain(unreachable).collect::<Vec<_>>().join(", ");
    let traffic = match (&result.namespace, &result.service) {
        (None, None) => "all".into(),
        (Some(namespace), None) => format!("namespace {}", escaped(namespace)),
        (None, Some(service)) => format!("Services {}", escaped(service)),
        (Some(namespace), Some(service)) => {
            format!("Service {}/{}", escaped(namespace), escaped(service))
        }
    };
    vec![
        Text::from(format!("- ambikiali {VERSION}")),
        Text::from(format!("- clusters: {clusters}")),
        Text::from(format!(
            "- traffic: {traffic}, of the last {} s",
            result.window_seconds
        )),
    ]
}

/// A text without what belongs to the user alone.
fn shown(result: &DoctorResult, text: &str) -> String {
    let mut text = text.to_string();
    // The longest first: one may be the beginning of another.
    let mut private = result.private.iter().collect::<Vec<_>>();
    private.sort_by_key(|one| std::cmp::Reverse(one.context.len()));
    for one in private {
        let placeholder = format!("CONTEXT-OF-{}", one.cluster);
        if let Some(kubectl) = &one.kubectl {
            text = text.replace(kubectl, &format!("kubectl --context {placeholder}"));
        }
        for number in 1..=result.private.len() {
            let flag = format!("--ctx{number} ");
            let given = format!("{flag}{}", quoted(&one.context));
            text = text.replace(&given, &format!("{flag}{placeholder}"));
        }
        let named = format!("context {} at ", one.context);
        text = text.replace(&named, &format!("context {placeholder} at "));
    }
    for server in result.clusters.iter().map(|one| &one.server) {
        text = text.replace(server, ADDRESS);
    }
    escaped(&without_addresses(&text))
}

/// The text without IP addresses and without the hosts of URLs.
fn without_addresses(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n', '\t']);
    words.map(without_address).collect()
}

fn without_address(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let end = rest
            .find(['/', ' ', ',', ';', ')', '"', '\''])
            .unwrap_or(rest.len());
        let end = rest[..end].trim_end_matches(':').len();
        return format!("{scheme}://{ADDRESS}{}", &rest[end..]);
    }
    let is_edge = |c: char| !(c.is_ascii_alphanumeric() || c == '[' || c == ']');
    let bare = word.trim_matches(is_edge);
    let is_address = bare.parse::<IpAddr>().is_ok() || bare.parse::<SocketAddr>().is_ok();
    match is_address {
        true => word.replace(bare, ADDRESS),
        false => word.into(),
    }
}

/// Escapes what Markdown or GitHub would format or link: names and messages may come from anybody.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible::in_line(text).chars() {
        match character {
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '|' | '~' | '!' | '$' | '{' | '}' => {
                out.extend(['\\', character]);
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_cannot_format_the_report() {
        let hostile = "x](https://evil)<img src=x>@all #1 `a` **b** |c|\n# d\x1b[1m";
        let escaped = escaped(hostile);
        assert_eq!(
            escaped,
            "x\\]\\(https://evil\\)&lt;img src=x&gt;&#64;all &#35;1 \\`a\\` \\*\\*b\\*\\* \\|c\\|\\\\n&#35; d\\\\x1b\\[1m"
        );
    }

    #[test]
    fn addresses_are_left_out() {
        for (text, shown) in [
            (
                "https://203.0.113.7:9090/federate is down: x",
                "https://ADDRESS/federate is down: x",
            ),
            (
                "dial tcp 203.0.113.7:9090: connect: refused",
                "dial tcp ADDRESS: connect: refused",
            ),
            ("at http://lb.example.com, and", "at http://ADDRESS, and"),
            ("(10.0.0.1)", "(ADDRESS)"),
            ("[2001:db8::1]:9090 or fd00::1", "ADDRESS or ADDRESS"),
            ("Deployment a/b: 1.29.0", "Deployment a/b: 1.29.0"),
            (
                "context x at https://127.0.0.1:6443: no",
                "context x at https://ADDRESS: no",
            ),
        ] {
            assert_eq!(without_addresses(text), shown);
        }
    }
}
