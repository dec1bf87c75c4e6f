//! curl for the sample's `curl` pod: GET with a few options.

use std::io::Write;
use std::time::{Duration, Instant};

use reqwest::Url;

use super::fetch::{self, Got};

#[derive(Default, Debug, PartialEq)]
struct Options {
    silent: bool,
    show_error: bool,
    fail: bool,
    limit: Option<Duration>,
    urls: Vec<String>,
}

/// curl's exit code and message.
type Failure = (u8, String);

pub async fn run(args: &[String]) -> u8 {
    let options = match read(args) {
        Ok(options) => options,
        Err((code, why)) => {
            eprintln!("curl: {why}\ncurl: try 'curl --help' for more information");
            return code;
        }
    };
    let mut last = 0;
    for url in &options.urls {
        last = 0;
        if let Err((code, why)) = fetch(url, &options).await {
            if !options.silent || options.show_error {
                eprintln!("curl: ({code}) {why}");
            }
            last = code;
        }
    }
    last
}

fn read(args: &[String]) -> Result<Options, Failure> {
    let unknown = |option: &str| (2, format!("option {option}: is unknown"));
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--silent" => options.silent = true,
            "--show-error" => options.show_error = true,
            "--fail" => options.fail = true,
            // Every connection ends with its answer here.
            "-H" | "--header"
                if args
                    .next()
                    .is_some_and(|header| header == "Connection: close") => {}
            "-m" | "--max-time" | "--connect-timeout" => {
                let value = args.next().and_then(|value| value.parse().ok());
                let seconds = value.ok_or((
                    2,
                    format!("option {arg}: expected a proper numerical parameter"),
                ))?;
                options.limit = Some(Duration::from_secs_f64(f64::max(seconds, 0.0)));
            }
            long if long.starts_with("--") => return Err(unknown(long)),
            short if short.starts_with('-') => {
                for letter in short.chars().skip(1) {
                    match letter {
                        's' => options.silent = true,
                        'S' => options.show_error = true,
                        'f' => options.fail = true,
                        _ => return Err(unknown(short)),
                    }
                }
            }
            url => options.urls.push(url.to_owned()),
        }
    }
    match options.urls.is_empty() {
        true => Err((2, "(2) no URL specified".to_owned())),
        false => Ok(options),
    }
}

async fn fetch(text: &str, options: &Options) -> Result<(), Failure> {
    let full = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let malformed = || {
        (
            3,
            "URL rejected: Malformed input to a URL function".to_owned(),
        )
    };
    let url: Url = full.parse().map_err(|_| malformed())?;
    if url.scheme() != "http" {
        return Err((1, format!("Protocol \"{}\" not supported", url.scheme())));
    }
    let refused = |status: u16| (22, format!("The requested URL returned error: {status}"));
    let begun = Instant::now();
    match fetch::get(&url, options.limit).await {
        Got::Response(response) => {
            let status = response.status().as_u16();
            if options.fail && status >= 400 {
                return Err(refused(status));
            }
            print(
                &response
                    .bytes()
                    .await
                    .map_err(|error| (18, error.to_string()))?,
            )
        }
        Got::Hello(line) if url.path() == "/hello" => print(line.as_bytes()),
        Got::Hello(_) if options.fail => Err(refused(404)),
        Got::Hello(_) => print(b"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n"),
        failed => Err(failure(&failed, &url, begun.elapsed().as_millis())),
    }
}

fn failure(got: &Got, url: &Url, millis: u128) -> Failure {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    match got {
        Got::NoSuchHost => (6, format!("Could not resolve host: {host}")),
        Got::NotConnected(..) => (
            7,
            format!(
                "Failed to connect to {host} port {port} after {millis} ms: Could not connect to server"
            ),
        ),
        Got::TimedOut => (
            28,
            format!("Operation timed out after {millis} milliseconds with 0 bytes received"),
        ),
        Got::Reset => (56, "Recv failure: Connection reset by peer".to_owned()),
        _ => (52, "Empty reply from server".to_owned()),
    }
}

fn print(body: &[u8]) -> Result<(), Failure> {
    std::io::stdout()
        .write_all(body)
        .map_err(|error| (23, format!("Failed writing output: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, Failure> {
        read(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments() {
        let read = options(&["-sS", "helloworld.sample:5000/hello"]);
        assert!(read.is_ok_and(|o| o.silent && o.show_error && o.urls.len() == 1));
        let closed = options(&["-sS", "-H", "Connection: close", "a", "b"]);
        assert!(closed.is_ok_and(|o| o.urls == ["a", "b"]));
        assert_eq!(options(&["-H", "Host: a", "b"]).map_err(|e| e.0), Err(2));
        assert_eq!(options(&["-X", "POST", "a"]).map_err(|e| e.0), Err(2));
        assert_eq!(
            options(&["--data", "a"]),
            Err((2, "option --data: is unknown".into()))
        );
        assert_eq!(options(&[]).map_err(|e| e.0), Err(2));
        assert_eq!(
            options(&["-m", "2", "a"]).map(|o| o.limit),
            Ok(Some(Duration::from_secs(2)))
        );
    }
}
