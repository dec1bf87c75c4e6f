//! The dashboard's local port answers only requests of the local browser for its own page.

use std::net::Ipv6Addr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::{Clusters, command, on_an_install, text, until};

const ANSWER: Duration = Duration::from_secs(20);

struct Dashboard {
    process: Child,
    _stdout: BufReader<ChildStdout>,
    port: u16,
}

async fn started(mut process: Child) -> Dashboard {
    let mut stdout = BufReader::new(process.stdout.take().expect("a pipe"));
    let mut url = String::new();
    let read = timeout(ANSWER, stdout.read_line(&mut url)).await;
    read.expect("a line").expect("text");
    let port = url.trim().strip_prefix("http://localhost:").expect("a URL");
    let port = port.strip_suffix("/kiali").expect("Kiali's folder");
    Dashboard {
        process,
        _stdout: stdout,
        port: port.parse().expect("a port"),
    }
}

impl Dashboard {
    async fn open(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await;
        BufReader::new(stream.expect("a connection"))
    }

    /// Sends a request head on a new connection and returns the status line.
    async fn asked(&self, head: &str) -> String {
        let mut stream = self.open().await;
        ask(&mut stream, head).await.0
    }
}

/// Returns the status line and the body.
async fn ask(stream: &mut BufReader<TcpStream>, head: &str) -> (String, String) {
    let request = format!("{head}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    answer(stream).await
}

async fn answer(stream: &mut BufReader<TcpStream>) -> (String, String) {
    let (mut status, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        let read = timeout(ANSWER, stream.read_line(&mut line)).await;
        read.expect("an answer in time").expect("text");
        let line = line.trim_end();
        match line.to_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().expect("a length"),
            _ if status.is_empty() => status = line.into(),
            _ => {}
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("a body");
    (status, String::from_utf8(body).expect("text"))
}

#[test]
fn attack_14_a_page_by_another_name_gets_nothing_from_the_dashboard() {
    on_an_install(async |clusters| {
        let start = clusters.start(&["dashboard", "--no-open", "--port", "0"]);
        let dashboard = started(start).await;
        let port = dashboard.port;
        let path = "/kiali/api/status";
        for host in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}");
            assert_eq!(dashboard.asked(&head).await, "HTTP/1.1 200 OK", "{host}");
        }
        for head in [
            format!("GET {path} HTTP/1.1\r\nHost: evil.example:{port}"),
            format!("GET {path} HTTP/1.1\r\nHost: localhost.evil.example:{port}"),
            format!("GET {path} HTTP/1.1\r\nHost: localhost"),
            format!("GET {path} HTTP/1.1\r\nHost: localhost:{}", port ^ 1),
            format!("GET {path} HTTP/1.1\r\nHost: a@localhost:{port}"),
            format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nHost: localhost:{port}"),
            format!("GET {path} HTTP/1.1\r\nX-Host: localhost:{port}"),
            format!("GET {path} HTTP/1.0"),
            format!("GET http://evil.example:{port}{path} HTTP/1.1\r\nHost: localhost:{port}"),
            format!("POST {path} HTTP/1.1\r\nHost: evil.example:{port}\r\nContent-Length: 0"),
        ] {
            let status = dashboard.asked(&head).await;
            let refused = status.contains(" 421 ") || status.contains(" 400 ");
            assert!(refused, "{head}: {status}");
        }
        // A foreign page in the browser is rejected even if it uses the right name.
        for (origin, answer) in [
            (format!("http://localhost:{port}"), "HTTP/1.1 200 OK"),
            ("http://evil.example".into(), "HTTP/1.1 403 Forbidden"),
            (
                format!("http://localhost:{}", port ^ 1),
                "HTTP/1.1 403 Forbidden",
            ),
            ("null".into(), "HTTP/1.1 403 Forbidden"),
        ] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: {origin}");
            assert_eq!(dashboard.asked(&head).await, answer, "{origin}");
        }
        // A foreign page cannot embed Kiali in a frame or a script. A link to Kiali works like a typed address.
        for (dest, mode, answer) in [
            ("iframe", "navigate", "HTTP/1.1 403 Forbidden"),
            ("script", "no-cors", "HTTP/1.1 403 Forbidden"),
            ("document", "navigate", "HTTP/1.1 200 OK"),
        ] {
            let head = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nSec-Fetch-Site: cross-site\r\n\
                 Sec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}"
            );
            assert_eq!(dashboard.asked(&head).await, answer, "{dest}");
        }
        each_request_of_a_connection(&dashboard, path).await;
        drop(dashboard);
        a_port_of_somebody_else(clusters).await;
        more_connections_than_files(clusters, path).await;
    });
}

/// A foreign page may reuse a connection that a browser opened for another name.
async fn each_request_of_a_connection(dashboard: &Dashboard, path: &str) {
    let port = dashboard.port;
    let mut kept = dashboard.open().await;
    let good = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}");
    let evil = format!("GET {path} HTTP/1.1\r\nHost: evil.example:{port}");
    for _ in 0..3 {
        let (status, body) = ask(&mut kept, &good).await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(body.contains("Kiali state"), "{body}");
        let (status, body) = ask(&mut kept, &evil).await;
        assert_eq!(status, "HTTP/1.1 421 Misdirected Request");
        let only = format!("This port serves only http://localhost:{port}.\n");
        assert_eq!(body, only);
    }
    // Two pipelined requests, the second one with another name.
    let both = format!("{good}\r\n\r\n{evil}");
    let (status, _) = ask(&mut kept, &both).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let (status, _) = answer(&mut kept).await;
    assert_eq!(status, "HTTP/1.1 421 Misdirected Request");
}

/// A browser may resolve localhost to either address, so the dashboard needs its port on both.
async fn a_port_of_somebody_else(clusters: &Clusters) {
    let theirs = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await;
    let theirs = theirs.expect("a port").local_addr().expect("an address");
    let taken = TcpListener::bind(theirs).await.expect("the same port");
    let port = theirs.port().to_string();
    let start = clusters.start(&["dashboard", "--no-open", "--port", &port]);
    let mut dashboard = started(start).await;
    assert_ne!(dashboard.port, theirs.port());
    for host in ["127.0.0.1", "[::1]"] {
        let address = format!("{host}:{}", dashboard.port);
        TcpStream::connect(address).await.expect("it is ours");
    }
    // The dashboard does not listen on other addresses of this machine.
    let other = TcpStream::connect(("127.0.0.2", dashboard.port)).await;
    assert!(other.is_err(), "{other:?}");
    dashboard.process.start_kill().expect("a signal");
    let said = text(dashboard.process.stderr.take()).await;
    let note = format!("port {port} is in use; using a free one instead\n");
    // The addresses of its pages follow.
    let pages = said.strip_prefix(&note).expect("a note");
    let pages = pages.lines().filter_map(|line| line.split_once(": "));
    let url = format!("http://localhost:{}/kiali/console/", dashboard.port);
    let pages = pages.map(|(name, page)| (name, page.starts_with(&url)));
    assert_eq!(
        pages.collect::<Vec<_>>(),
        [("Traffic graph", true), ("Mesh", true)],
        "{said}"
    );
    drop(taken);
}

/// A page or a program that opens many connections does not stop the dashboard.
async fn more_connections_than_files(clusters: &Clusters, path: &str) {
    let arguments = ["dashboard", "--no-open", "--port", "0"];
    let plain = command(&arguments, clusters.sandbox.kubeconfig(), clusters.state());
    let plain = plain.as_std();
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]);
    few.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => few.env(name, value),
            None => few.env_remove(name),
        };
    }
    few.stdin(Stdio::null()).kill_on_drop(true);
    few.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut dashboard = started(few.spawn().expect("it starts")).await;
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(dashboard.open().await);
    }
    let stderr = dashboard.process.stderr.as_mut().expect("a pipe");
    let mut said = String::new();
    let mut stderr = BufReader::new(stderr);
    while !said.contains("a connection is lost: Too many open files") {
        let read = timeout(ANSWER, stderr.read_line(&mut said)).await;
        assert!(read.expect("a line in time").expect("text") > 0, "{said}");
    }
    drop(open);
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        dashboard.port
    );
    until("it answers again", async || {
        let (mut stream, mut status) = (dashboard.open().await, String::new());
        // More connections may be lost until the old ones are closed.
        let _ = stream.write_all(head.as_bytes()).await;
        let read = timeout(ANSWER, stream.read_line(&mut status)).await;
        read.expect("an answer or an end in time").is_ok() && status == "HTTP/1.1 200 OK\r\n"
    })
    .await;
}
