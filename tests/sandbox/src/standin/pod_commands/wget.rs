//! BusyBox's wget as in the Prometheus image: only GET, no verification of certificates, and its own error messages.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use reqwest::{StatusCode, Url, Version};

use super::fetch::{self, Got};

const USAGE: &str = "Usage: wget [-cqS] [--spider] [-O FILE] [-o LOGFILE] [-T SEC] [URL]...";

#[derive(Default, Debug, PartialEq)]
struct Options {
    quiet: bool,
    spider: bool,
    timeout: Option<u64>,
    /// None for a file named after the URL, which nobody reads here.
    output: Option<String>,
    urls: Vec<String>,
}

pub async fn run(args: &[String]) -> u8 {
    let options = match read(args) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return 1;
        }
    };
    // The first failure ends it.
    for url in &options.urls {
        if let Err(why) = fetch(url, &options).await {
            eprintln!("wget: {why}");
            return 1;
        }
    }
    0
}

fn read(args: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = |given: &str| match given {
            "" => args.next().cloned().ok_or_else(|| {
                let letter = arg.trim_start_matches('-');
                format!("wget: option requires an argument -- {letter}\n{USAGE}")
            }),
            given => Ok(given.to_owned()),
        };
        match arg.as_str() {
            "-q" | "--quiet" => options.quiet = true,
            "--spider" => options.spider = true,
            "--no-check-certificate" => {}
            arg if arg.starts_with("-T") => options.timeout = seconds(&value(&arg[2..])?)?,
            arg if arg.starts_with("--timeout=") => options.timeout = seconds(&arg[10..])?,
            arg if arg.starts_with("-qO") => {
                options.quiet = true;
                options.output = Some(value(&arg[3..])?);
            }
            arg if arg.starts_with("-O") => options.output = Some(value(&arg[2..])?),
            arg if arg.starts_with("--output-document=") => {
                options.output = Some(arg[18..].to_owned())
            }
            arg if arg.starts_with("--") => {
                return Err(format!(
                    "wget: unrecognized option: {}\n{USAGE}",
                    arg.trim_start_matches('-')
                ));
            }
            arg if arg.starts_with('-') && arg != "-" => {
                let letter = arg.chars().nth(1).unwrap_or_default();
                return Err(format!("wget: unrecognized option: {letter}\n{USAGE}"));
            }
            url => options.urls.push(url.to_owned()),
        }
    }
    match options.urls.is_empty() {
        true => Err(USAGE.to_owned()),
        false => Ok(options),
    }
}

fn seconds(text: &str) -> Result<Option<u64>, String> {
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(seconds) => Ok(Some(seconds)),
        Err(_) => Err(format!("wget: invalid number '{text}'")),
    }
}

async fn fetch(given: &str, options: &Options) -> Result<(), String> {
    let mut url = url(given)?;
    let limit = options.timeout.map(Duration::from_secs);
    for _ in 0..20 {
        let host = url.host_str().unwrap_or_default().to_owned();
        let response = match fetch::get(&url, limit).await {
            Got::Response(response) => response,
            Got::Hello(line) => return save(options, line.as_bytes()),
            other => return Err(message(&other, &host)),
        };
        // BusyBox prints this once connected, even with `-q`.
        if url.scheme() == "https" {
            eprintln!("wget: note: TLS certificate validation not implemented");
        }
        let status = response.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            let next = response
                .headers()
                .get("location")
                .and_then(|l| l.to_str().ok());
            url = url
                .join(next.unwrap_or_default())
                .map_err(|_| "bad redirection".to_owned())?;
            continue;
        }
        if !matches!(status.as_u16(), 200..=203) {
            return Err(refused(response.version(), status));
        }
        if options.spider {
            return Ok(());
        }
        let body = response
            .bytes()
            .await
            .map_err(|error| match error.is_timeout() {
                true => "download timed out".to_owned(),
                false => "connection closed prematurely".to_owned(),
            })?;
        return save(options, &body);
    }
    Err("too many redirections".to_owned())
}

fn url(given: &str) -> Result<Url, String> {
    let text = match given.contains("://") {
        true => given.to_owned(),
        false => format!("http://{given}"),
    };
    let url: Url = text
        .parse()
        .map_err(|_| format!("bad address '{}'", given))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("not an http or ftp url: {given}"));
    }
    Ok(url)
}

fn save(options: &Options, body: &[u8]) -> Result<(), String> {
    match options.output.as_deref() {
        _ if options.spider => Ok(()),
        Some("-") => std::io::stdout()
            .write_all(body)
            .map_err(|error| format!("write error: {error}")),
        // A file in the container that nobody reads.
        _ => Ok(()),
    }
}

fn refused(version: Version, status: StatusCode) -> String {
    let mut text = format!("server returned error: {version:?} {}", status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        let _ = write!(text, " {reason}");
    }
    text
}

fn message(got: &Got, host: &str) -> String {
    match got {
        Got::NoSuchHost => format!("bad address '{host}'"),
        Got::NotConnected(address, why) => {
            format!("can't connect to remote host ({}): {why}", address.ip())
        }
        Got::TimedOut => "download timed out".to_owned(),
        Got::Reset => "error getting response: Connection reset by peer".to_owned(),
        Got::Broken(why) => format!("error getting response: {why}"),
        Got::Response(_) | Got::Hello(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, String> {
        read(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments() {
        let expected = Options {
            quiet: true,
            timeout: Some(5),
            output: Some("-".into()),
            urls: vec!["http://a".into()],
            spider: false,
        };
        assert_eq!(
            options(&["-q", "-T", "5", "-O", "-", "http://a"]),
            Ok(expected)
        );
        assert!(options(&["-qO-", "a", "b"]).is_ok_and(|o| o.urls == ["a", "b"]));
        assert_eq!(
            options(&["-qO-", "-T5", "a"]).map(|o| (o.output, o.timeout)),
            Ok((Some("-".into()), Some(5)))
        );
        assert!(
            options(&["--post-data=x", "a"])
                .is_err_and(|e| e.contains("unrecognized option: post-data=x"))
        );
        assert!(options(&["-T"]).is_err_and(|e| e.contains("requires an argument -- T")));
        assert!(options(&[]).is_err());
    }

    #[test]
    fn messages() {
        let refused_at = Got::NotConnected(([1, 2, 3, 4], 80).into(), "Connection refused".into());
        assert_eq!(
            message(&refused_at, "x"),
            "can't connect to remote host (1.2.3.4): Connection refused"
        );
        assert_eq!(message(&Got::NoSuchHost, "x"), "bad address 'x'");
        assert_eq!(message(&Got::TimedOut, "x"), "download timed out");
        assert_eq!(
            refused(Version::HTTP_11, StatusCode::FORBIDDEN),
            "server returned error: HTTP/1.1 403 Forbidden"
        );
    }
}
