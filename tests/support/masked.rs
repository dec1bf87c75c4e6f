//! Masks the varying parts of output: times, byte counts, addresses.

const COUNTED: [&str; 3] = ["B", "requests", "minutes"];

/// Replaces `4.8s`, `127.10.255.1`, the API servers' ports, `1764 B` and `25 requests` by placeholders.
pub fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let next = line.split(' ').skip(1).chain([""]);
        let words = line.split(' ').zip(next);
        let words = words.map(|pair| word(pair.0, pair.1)).collect::<Vec<_>>();
        out.push_str(words.join(" ").trim_end());
        out.push('\n');
    }
    out
}

/// Returns the final lines of a command's progress, without times and waits. They are sorted, because clusters are
/// processed concurrently.
pub fn progress(stderr: &str) -> String {
    let lines = stderr.lines().filter(|line| line.get(2..3) == Some(":"));
    let mut lines = lines
        .map(|line| masked(line.get(5..).unwrap_or_default().trim_start()))
        .filter(|line| !line.contains("  waiting "))
        .collect::<Vec<_>>();
    lines.sort();
    lines.concat()
}

fn word(word: &str, next: &str) -> String {
    let (body, tail) = word.split_at(word.trim_end_matches([',', ':', ';', ')']).len());
    let numeric =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let masked = match body {
        _ if body.strip_suffix('s').is_some_and(numeric) => "TIME".to_string(),
        _ if numeric(body) && COUNTED.contains(&next.trim_end_matches([',', ';'])) => {
            "N".to_string()
        }
        _ if body.ends_with('Z') && body.contains("T") && body.starts_with("20") => {
            "TIME".to_string()
        }
        _ if body.starts_with("https://127.0.0.1:") => "https://127.0.0.1:PORT".to_string(),
        _ if body.starts_with("http://127.") || body.starts_with("https://127.") => {
            let (scheme, rest) = body.split_once("://").unwrap_or_default();
            match rest.split_once(":9090") {
                Some((_, path)) => format!("{scheme}://ADDRESS:9090{path}"),
                None => body.to_string(),
            }
        }
        _ if body.len() == 10 && body.starts_with("20") && body.matches('-').count() == 2 => {
            "DAY".to_string()
        }
        _ => body.to_string(),
    };
    masked + tail
}

#[test]
fn only_what_differs_is_masked() {
    assert_eq!(masked("Ready in 4.8s: Kiali"), "Ready in TIME: Kiali\n");
    assert_eq!(
        masked("at https://127.0.0.1:21100: no"),
        "at https://127.0.0.1:PORT: no\n"
    );
    for scheme in ["http", "https"] {
        assert_eq!(
            masked(&format!("{scheme}://127.10.255.1:9090/federate up")),
            format!("{scheme}://ADDRESS:9090/federate up\n")
        );
    }
    assert_eq!(masked("valid until 2028-11-29"), "valid until DAY\n");
    assert_eq!(
        masked("at 2026-11-23T11:32:10Z: 3 minutes old"),
        "at TIME: N minutes old\n"
    );
    assert_eq!(
        masked("9 ready, 25 requests, grew by 1764 B; 9 B"),
        "9 ready, N requests, grew by N B; N B\n"
    );
}
