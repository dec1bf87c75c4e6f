//! Messages beside the result, on stderr.

use serde::Serialize;

use super::report::{BAD, DIM};
use crate::mesh::{Mesh, RequestLog};
use crate::out;
use crate::out::Text;
use crate::result::{Failure, Unreachable};

/// A request as JSON.
#[derive(Serialize)]
struct Request<'a> {
    method: &'a str,
    server: &'a str,
    path: &'a str,
    /// None without a response.
    status: Option<u16>,
    milliseconds: u64,
}

/// A remark that --quiet hides.
pub fn remark(text: &str) {
    if !out::manner().quiet {
        out::note(text);
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
    let fields = Request {
        method: method.as_str(),
        server,
        path,
        status: status.map(|status| status.as_u16()),
        milliseconds,
    };
    out::tell("debug", &text, fields);
}

/// The error with its causes, and the command that fixes it.
pub fn error(error: &Failure) {
    let code = error
        .code
        .map(|code| format!("[{code}]"))
        .unwrap_or_default();
    told(&format!("error{code}:"), error, "");
}

/// A usage error, which may quote control characters from the command line.
pub fn refused(words: &str) {
    let text = Text::new().lines(words);
    out::tell("error", &text, out::Said { message: words });
}

/// Remotes that an install left out.
pub fn left_out(remotes: &[Unreachable]) {
    for one in remotes {
        told("left out:", &one.error, &format!("{}: ", one.cluster));
    }
}

fn told(word: &str, error: &Failure, whose: &str) {
    let mut text = Text::new().styled(BAD, word).plain(" ");
    text = text.plain(whose).lines(&error.message);
    if let Some(fix) = &error.fix {
        text = text.own("\n  ").styled(DIM, "fix:").plain(" ").plain(fix);
    }
    out::tell("error", &text, error);
}

/// How often and how long API servers throttled requests.
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
