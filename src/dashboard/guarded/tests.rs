use http::HeaderName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;

use super::*;

fn local(hosts: &[&[u8]], uri: &str) -> bool {
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append(HOST, HeaderValue::from_bytes(host).unwrap());
    }
    is_local(&headers, &uri.parse().unwrap(), 20001)
}

#[test]
fn only_names_of_this_machine_with_the_port_are_answered() {
    for host in [
        "localhost:20001",
        "LocalHost:20001",
        "127.0.0.1:20001",
        "[::1]:20001",
    ] {
        assert!(local(&[host.as_bytes()], "/kiali"), "{host}");
        assert!(local(&[host.as_bytes()], &format!("http://{host}/kiali")));
    }
    for host in [
        "",
        "localhost",
        "localhost:20002",
        "localhost:200011",
        "localhost.:20001",
        "localhost.evil.example:20001",
        "evil.example:20001",
        "127.0.0.1.evil.example:20001",
        "127.0.0.2:20001",
        "127.1:20001",
        "0.0.0.0:20001",
        "a@localhost:20001",
        "localhost:20001,evil.example",
        "localhost:20001 ",
        "::1:20001",
    ] {
        assert!(!local(&[host.as_bytes()], "/kiali"), "{host}");
    }
    let own = |origin: &'static str| {
        let origin = (ORIGIN, HeaderValue::from_static(origin));
        is_own(&HeaderMap::from_iter([origin]), 20001)
    };
    assert!(is_own(&HeaderMap::new(), 20001));
    assert!(own("http://localhost:20001") && own("http://[::1]:20001"));
    for other in [
        "null",
        "",
        "http://evil.example",
        "http://localhost:3000",
        "https://localhost:20001",
        "http://localhost:20001.evil.example",
    ] {
        assert!(!own(other), "{other}");
    }
    assert!(!local(&[], "/kiali"));
    assert!(!local(&[b"\xff:20001"], "/kiali"));
    assert!(!local(&[b"localhost:20001", b"localhost:20001"], "/kiali"));
    assert!(!local(&[b"localhost:20001"], "http://evil.example/kiali"));
}

/// A browser's connection, and Kiali's end of the way to it.
async fn connected() -> (TcpStream, DuplexStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let browser = TcpStream::connect(listener.local_addr().unwrap());
    let (browser, local) = tokio::join!(browser, listener.accept());
    let (ours, kiali) = tokio::io::duplex(64 << 10);
    tokio::spawn(serve(local.unwrap().0, 20001, ours));
    (browser.unwrap(), kiali)
}

/// What comes until a text or the end.
async fn read(from: &mut (impl AsyncReadExt + Unpin), until: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(until) {
        match from.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(read).unwrap().to_lowercase()
}

const HEAD: &str = "GET /kiali HTTP/1.1\r\nHost: localhost:20001\r\n";

#[tokio::test]
async fn attack_14_kialis_pod_sees_and_sets_no_cookie_of_others() {
    let (mut browser, mut kiali) = connected().await;
    let request = format!(
        "{HEAD}Cookie: session=s3cret; kiali-token=mine;kiali-token-1=too; other=s3cret\r\nCookie: _xsrf=s3cret\r\n\r\n"
    );
    browser.write_all(request.as_bytes()).await.unwrap();
    let seen = read(&mut kiali, "\r\n\r\n").await;
    assert!(!seen.contains("s3cret"), "{seen}");
    assert!(
        seen.contains("cookie: kiali-token=mine; kiali-token-1=too\r\n"),
        "{seen}"
    );
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: session=theirs\r\nSet-Cookie: kiali-token=new\r\n\
        Clear-Site-Data: \"cookies\"\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n";
    kiali.write_all(answer.as_bytes()).await.unwrap();
    let shown = read(&mut browser, "\r\n\r\n").await;
    assert!(shown.contains("set-cookie: kiali-token=new\r\n"), "{shown}");
    assert!(!shown.contains("theirs"), "{shown}");
    assert!(!shown.contains("clear-site-data"), "{shown}");
    // Where a page leads is for the browser to show; nothing here follows it.
    assert!(
        shown.contains("location: https://evil.example/\r\n"),
        "{shown}"
    );
}

#[tokio::test]
async fn attack_14_a_pod_that_sends_no_end_of_anything_costs_no_memory() {
    for (begin, more, is_answer) in [
        ("", "HTTP/1.1 100 Continue\r\nX: ", false),
        ("HTTP/1.1 200 OK\r\n", "X: y\r\n", false),
        ("\x1b]52;c;", "\x1b[31m", false),
        ("HTTP/1.1 200 OK\r\n\r\n", "0123456789abcdef", true),
    ] {
        let (mut browser, mut kiali) = connected().await;
        let request = format!("{HEAD}\r\n");
        browser.write_all(request.as_bytes()).await.unwrap();
        read(&mut kiali, "\r\n\r\n").await;
        let mut taken = 0;
        kiali.write_all(begin.as_bytes()).await.unwrap();
        let chunk = more.repeat(1024);
        let sent = async {
            while kiali.write_all(chunk.as_bytes()).await.is_ok() && taken < 64 << 20 {
                taken += chunk.len();
            }
        };
        // What the browser does not take, nobody takes; and nonsense ends at once.
        let stuck = tokio::time::timeout(std::time::Duration::from_secs(3), sent).await;
        assert_eq!(stuck.is_err(), is_answer, "{more:?}");
        assert!(taken < 16 << 20, "{more:?}: {taken} bytes");
        if !is_answer {
            let shown = read(&mut browser, "never").await;
            assert!(shown.starts_with("http/1.1 502 bad gateway\r\n"), "{shown}");
            assert!(!shown.contains('\x1b'), "{shown}");
        }
    }
}

#[test]
fn attack_14_no_page_of_others_has_kiali_in_a_frame_or_leaves_a_script_behind() {
    let part = |said: &[(&'static str, &'static str)]| {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        is_part_of_another(&said.iter().map(pair).collect())
    };
    let (site, mode, dest) = ("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest");
    for own in [
        &[][..],
        &[(site, "none"), (mode, "navigate"), (dest, "document")],
        &[(site, "same-origin"), (mode, "cors"), (dest, "empty")],
        &[(site, "same-origin"), (mode, "websocket")],
        &[(site, "cross-site"), (mode, "navigate"), (dest, "document")],
    ] {
        assert!(!part(own), "{own:?}");
    }
    for other in [
        &[(site, "cross-site"), (mode, "navigate"), (dest, "iframe")][..],
        &[(site, "same-site"), (mode, "navigate"), (dest, "frame")],
        &[(site, "cross-site"), (mode, "no-cors"), (dest, "script")],
        &[(site, "cross-site"), (mode, "no-cors"), (dest, "document")],
        &[(site, "same-site"), (mode, "cors"), (dest, "empty")],
        &[(site, "cross-site")],
        &[(site, "same-origin"), ("service-worker", "script")],
    ] {
        assert!(part(other), "{other:?}");
    }
}
