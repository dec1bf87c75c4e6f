//! What is said to people beside the result, on stderr.

use serde_json::json;

use super::out;
use super::report::{BAD, DIM};
use super::text::Text;
use crate::document;
use crate::mesh::{Absent, Mesh, RequestLog};
use crate::problem;

/// One line to people, beside the result.
pub fn note(text: &str) {
    out::tell("info", &text.into(), json!({"message": text}));
}

/// The same, of interest only while it runs.
pub fn remark(text: &str) {
    if !out::manner().quiet {
        note(text);
    }
}

/// One request to an API server.
pub fn request(heard: &RequestLog<'_>) {
    let RequestLog {
        server,
        method,
        path,
        status,
        took,
    } = heard;
    let milliseconds = took.as_millis() as u64;
    let answer = match status {
        Some(status) => status.as_str(),
        None => "no answer",
    };
    let text = format!("{method} {server}{path} {answer} {milliseconds} ms");
    let text = Text::new().styled(DIM, text);
    let fields = json!({
        "method": method.as_str(), "server": server, "path": path,
        "status": status.map(|status| status.as_u16()), "milliseconds": milliseconds,
    });
    out::tell("debug", &text, fields);
}

/// The cause with its chain, and the command that fixes it.
pub fn error(error: &anyhow::Error) {
    let code = problem::find(error).and_then(|p| p.code);
    let code = code.map(|code| format!("[{code}]")).unwrap_or_default();
    told(&format!("error{code}:"), error, "");
}

/// What was typed and not understood, with characters that the parser's own words never have.
pub fn refused(words: &str) {
    out::tell(
        "error",
        &Text::new().lines(words),
        json!({"message": words}),
    );
}

/// Remotes that an install did without.
pub fn left_out(absent: &[Absent]) {
    for one in absent {
        told("left out:", &one.error, &format!("{}: ", one.name));
    }
}

fn told(word: &str, error: &anyhow::Error, whose: &str) {
    let mut text = Text::new().styled(BAD, word).plain(" ");
    text = text.plain(whose).lines(format!("{error:#}"));
    if let Some(fix) = problem::find(error).and_then(|p| p.fix.as_ref()) {
        text = text.own("\n  ").styled(DIM, "fix:").plain(" ").plain(fix);
    }
    out::tell("error", &text, document::failure(error));
}

/// What servers that were busy cost.
pub fn put_off(mesh: &Mesh) {
    for cluster in mesh.all() {
        let put_off = cluster.transport.throttled();
        if put_off.times > 0 {
            let plural = if put_off.times == 1 { "" } else { "s" };
            remark(&format!(
                "{}: the API server throttled {} request{plural} ({} s)",
                cluster.name,
                put_off.times,
                put_off.time.as_secs()
            ));
        }
    }
}
