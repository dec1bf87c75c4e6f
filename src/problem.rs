//! Errors with an exit code and a fix. All other errors are `anyhow` errors with a chain of causes.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::code::Code;
use crate::visible;

/// Why a command ends without success. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Unexpected = 1,
    /// The arguments do not match the remembered install.
    Usage = 2,
    /// Rejected before the first write.
    Preflight = 3,
    /// The deadline passed; running the command again continues.
    TimedOut = 4,
    NotVerified = 5,
    /// A cleanup left objects behind, or an install left out a remote.
    Partial = 6,
    /// A cluster is unreachable or rejects the credentials.
    Unreachable = 8,
    /// Another field manager owns a field to be written.
    Conflict = 9,
    /// Changes are pending, reported with --exit-code.
    Changes = 10,
}

/// An error with its exit code, its cause in one sentence and, if known, the command that fixes it.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Problem {
    pub exit: Exit,
    /// The finding that `explain` describes.
    pub code: Option<Code>,
    cause: String,
    pub fix: Option<String>,
}

impl Problem {
    pub fn new(exit: Exit, cause: impl fmt::Display) -> Problem {
        Problem {
            exit,
            code: None,
            cause: cause.to_string(),
            fix: None,
        }
    }

    pub fn code(mut self, code: Code) -> Problem {
        self.code = Some(code);
        self
    }

    /// The same problem with a changed cause.
    pub fn caused(&self, more: impl FnOnce(&str) -> String) -> Problem {
        Problem {
            cause: more(&self.cause),
            ..self.clone()
        }
    }

    pub fn fix(mut self, fix: impl fmt::Display) -> Problem {
        self.fix = Some(fix.to_string());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

/// The error for a bug in ambikiali. It has the place in the code but no data, which may contain a secret.
pub fn bug(place: &str) -> Problem {
    Problem::new(
        Exit::Unexpected,
        format!("this is a bug in ambikiali, at {place}"),
    )
    .fix(concat!(
        "report it with the command you ran and this line: ",
        env!("CARGO_PKG_REPOSITORY"),
        "/issues"
    ))
}

/// The first problem in a chain of causes.
pub fn find(error: &anyhow::Error) -> Option<&Problem> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// The text of an API server's 404 for a kind that it does not serve.
pub const UNKNOWN_KIND: &str = "404 page not found";

/// How long a server may take to accept a connection.
pub const CONNECT: Duration = Duration::from_secs(10);

/// Limit for a server's message, which lists each invalid field of an object.
const LONGEST: usize = 2000;

/// The reason in a Status that we create if there are no credentials for a request.
pub const NO_CREDENTIALS: &str = "NoCredentials";

pub fn no_answer(waited: Duration) -> String {
    // The time left of a deadline is always slightly less than the whole, so round up.
    format!("no answer in {:.0} s", waited.as_secs_f64())
}

/// An error of kube in one line. kube's own text repeats the response in debug form, and the HTML page of a load
/// balancer is useless.
pub fn kube_text(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status_text(status),
        other => root_cause(other),
    }
}

fn status_text(status: &kube::core::Status) -> String {
    let message = status.message.trim();
    let html = message.starts_with('<') || message.contains("<html");
    match (status.code, message) {
        (401, message) if status.reason == NO_CREDENTIALS => message.into(),
        (401, _) => "the credentials expired or are refused (401 Unauthorized)".into(),
        (429, _) => throttled(status),
        (404, UNKNOWN_KIND) => "the API server does not know this kind".into(),
        (code, _) if html || message.is_empty() => answered(code),
        (_, message) => {
            // The message of an admission webhook is kept.
            let line = message.lines().next().unwrap_or_default();
            visible::short(line, LONGEST).into_owned()
        }
    }
}

/// The text for a throttled request, because the server's own text does not include the delay.
fn throttled(status: &kube::core::Status) -> String {
    let seconds = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
    match seconds {
        0 => "throttled (429 Too Many Requests)".into(),
        _ => format!("throttled: asked to wait {seconds} s (429 Too Many Requests)"),
    }
}

/// The text for a response without a Status: the name of the HTTP status code.
fn answered(code: u16) -> String {
    let name = http::StatusCode::from_u16(code).ok();
    let name = name.and_then(|code| code.canonical_reason());
    format!("answered {code} {}", name.unwrap_or_default())
        .trim_end()
        .into()
}

/// The innermost cause. The outer ones only say "client error".
pub fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if let Some(error) = tls(cause) {
        return handshake(error);
    }
    let text = cause.to_string();
    match cause.downcast_ref::<io::Error>() {
        // Our own connect timeout, whose text is "deadline has elapsed".
        Some(e) if e.kind() == io::ErrorKind::TimedOut && e.raw_os_error().is_none() => {
            no_answer(CONNECT)
        }
        Some(_) => text.split(" (os error").next().unwrap_or(&text).into(),
        None => text,
    }
}

/// Whether the TLS handshake failed, so that a retry is useless.
pub fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if tls(error).is_some_and(is_refusal) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_refusal(error: &rustls::Error) -> bool {
    use rustls::Error::*;
    matches!(
        error,
        InvalidCertificate(_) | AlertReceived(_) | PeerIncompatible(_) | InvalidMessage(_)
    )
}

fn tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    // `io::Error::source` skips the error that it wraps.
    match error.downcast_ref().and_then(io::Error::get_ref) {
        Some(inner) => tls(inner),
        None => error.downcast_ref(),
    }
}

/// Describes a failed handshake, and which side rejected the other.
fn handshake(error: &rustls::Error) -> String {
    use rustls::AlertDescription as Alert;
    use rustls::Error::*;
    match error {
        InvalidCertificate(error) => certificate(error),
        AlertReceived(Alert::HandshakeFailure | Alert::ProtocolVersion) | PeerIncompatible(_) => {
            "it offers no TLS version, cipher or certificate type that ambikiali supports; P-521 certificates are not supported".into()
        }
        AlertReceived(
            Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::UnsupportedCertificate,
        ) => format!("it rejects the client certificate in the kubeconfig ({error})"),
        InvalidMessage(_) => "it does not speak TLS".into(),
        other => other.to_string(),
    }
}

/// The CA that did not issue a certificate, as these texts name it.
pub const NAMED_CA: &str = "the CA in the kubeconfig";

/// Describes what is wrong with a server's certificate.
fn certificate(error: &rustls::CertificateError) -> String {
    use rustls::CertificateError::*;
    match error {
        UnknownIssuer => format!("its certificate is not signed by {NAMED_CA}"),
        BadSignature => format!(
            "its certificate is not signed by {NAMED_CA}, or has an RSA key shorter than 2048 bits"
        ),
        Expired | ExpiredContext { .. } => {
            "its certificate has expired, according to this machine's clock".into()
        }
        NotValidYet | NotValidYetContext { .. } => {
            "its certificate is not valid yet, according to this machine's clock".into()
        }
        NotValidForName | NotValidForNameContext { .. } => {
            "its certificate is not valid for this address".into()
        }
        InvalidPurpose | InvalidPurposeContext { .. } => {
            "its certificate is not a server certificate (extended key usage)".into()
        }
        Other(other) => match other.0.downcast_ref::<Untrusted>() {
            Some(said) => said.to_string(),
            None => format!("its certificate cannot be used: {other}"),
        },
        other => format!("its certificate cannot be used: {other}"),
    }
}

/// Why a certificate is refused, in words that rustls has not.
#[derive(Debug)]
pub struct Untrusted(pub &'static str);

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Untrusted {}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, reason: &str, message: &str) -> String {
        let status = serde_json::from_value(serde_json::json!({
            "code": code, "reason": reason, "message": message, "status": "Failure"
        }));
        kube_text(&kube::Error::Api(Box::new(status.unwrap())))
    }

    #[test]
    fn an_answer_is_one_line_and_never_a_page() {
        assert_eq!(
            answer(403, "Forbidden", "pods is forbidden"),
            "pods is forbidden"
        );
        assert_eq!(
            answer(401, "Unauthorized", "Unauthorized"),
            "the credentials expired or are refused (401 Unauthorized)"
        );
        assert_eq!(
            answer(502, "Failed to parse error data", "<html><body>oops"),
            "answered 502 Bad Gateway"
        );
        assert_eq!(answer(500, "", ""), "answered 500 Internal Server Error");
        assert_eq!(answer(599, "", ""), "answered 599");
    }

    #[test]
    fn a_bug_is_told_with_the_place_to_report_it() {
        let bug = bug("src/main.rs:1");
        assert_eq!(
            bug.to_string(),
            "this is a bug in ambikiali, at src/main.rs:1"
        );
        let fix = bug.fix.unwrap();
        assert!(
            fix.ends_with("https://github.com/ambikiali/ambikiali/issues"),
            "{fix}"
        );
    }

    #[test]
    fn a_problem_is_found_below_its_context() {
        let error = anyhow::Error::from(Problem::new(Exit::Conflict, "taken").fix("give it back"))
            .context("expose prometheus on cluster1");
        assert_eq!(find(&error).map(|p| p.exit), Some(Exit::Conflict));
        assert_eq!(format!("{error:#}"), "expose prometheus on cluster1: taken");
    }
}
