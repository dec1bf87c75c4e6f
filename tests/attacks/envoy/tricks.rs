//! The tricks, each with the answer of the real Envoy.

pub enum Protocol {
    One,
    Two,
}

pub struct Trick {
    pub name: String,
    pub protocol: Protocol,
    pub bytes: Vec<u8>,
    /// The statuses in order, and `closed` where the connection ends instead.
    pub answer: &'static str,
}

/// Methods of requests for `/federate`.
const METHODS: [(&str, &str); 16] = [
    ("HEAD", "404"),
    ("POST", "404"),
    ("PUT", "404"),
    ("PATCH", "404"),
    ("DELETE", "404"),
    ("OPTIONS", "404"),
    ("TRACE", "404"),
    ("PROPFIND", "404"),
    ("PURGE", "404"),
    ("CONNECT", "400"),
    ("get", "400"),
    ("Get", "400"),
    ("GETT", "400"),
    ("GE", "400"),
    ("GET\t", "200"),
    (" GET", "400"),
];

/// Targets of GET requests.
const TARGETS: [(&str, &str); 52] = [
    ("/", "404"),
    ("*", "400"),
    ("/-/quit", "404"),
    ("/-/reload", "404"),
    ("/api/v1/status/config", "404"),
    ("/api/v1/admin/tsdb/snapshot", "404"),
    ("/metrics", "404"),
    ("/debug/pprof/cmdline", "404"),
    // What leads around the route.
    ("/federate/", "404"),
    ("//federate", "404"),
    ("/federate//", "404"),
    ("/federated", "404"),
    ("/FEDERATE", "404"),
    ("/Federate", "404"),
    ("/federate;x=1", "404"),
    ("/federate%3Fx", "404"),
    ("/federate%20", "404"),
    ("/federate%00", "400"),
    ("/federate/..", "404"),
    ("/federate/../-/quit", "404"),
    ("/federate/../../-/quit", "404"),
    ("/federate/..;/-/quit", "404"),
    ("/federate/%2e%2e/-/quit", "404"),
    ("/federate/%2E%2E/api/v1/query", "404"),
    ("/federate/..%2f-/quit", "404"),
    ("/federate/..%5c-/quit", "404"),
    ("/federate\\..\\-\\quit", "404"),
    ("/federate/%252e%252e/-/quit", "404"),
    ("/federate%2f..%2f-%2fquit", "404"),
    ("/%2ffederate", "404"),
    ("/federate%2f", "404"),
    ("/%2566ederate", "404"),
    ("/-/quit?/federate", "404"),
    ("/-/quit#/federate", "400"),
    ("/federate#x", "400"),
    ("federate", "400"),
    ("?/federate", "400"),
    ("http://prometheus:9090/-/quit", "404"),
    ("http://prometheus:9090", "404"),
    ("https://prometheus:9090/federate", "403"),
    ("ftp://prometheus:9090/federate", "400"),
    ("file:///federate", "400"),
    ("prometheus:9090", "400"),
    ("/federate?a=b /-/quit", "400"),
    // What is `/federate` by another spelling, and arrives as that.
    ("/federate", "200"),
    ("/federate?match[]=up&../../-/quit", "200"),
    ("/%66ederate", "200"),
    ("/./federate", "200"),
    ("/x/../federate", "200"),
    ("/x\\..\\federate", "200"),
    ("/x/%2e%2e/federate", "200"),
    ("http://prometheus:9090/federate", "200"),
];

/// Headers of `GET /federate`.
const HEADERS: [(&str, &str); 27] = [
    ("host: ", "200"),
    ("host: elsewhere.example:1", "200"),
    ("host: a/../b", "400"),
    ("host: a b", "400"),
    ("host: a@b", "200"),
    ("host: x\r\nhost: y", "200"),
    ("x: no-host", "400"),
    ("host: x\r\nx-original-url: /-/quit", "200"),
    ("host: x\r\nx-rewrite-url: /-/quit", "200"),
    ("host: x\r\nx-envoy-original-path: /-/quit", "200"),
    ("host: x\r\nx-forwarded-prefix: /-/quit", "200"),
    ("host: x\r\nx-http-method-override: POST", "200"),
    ("host: x\r\nx-forwarded-host: y\r\nforwarded: host=y", "200"),
    (
        "host: x\r\nupgrade: websocket\r\nconnection: upgrade",
        "200",
    ),
    (
        "host: x\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__",
        "200",
    ),
    (
        "host: x\r\nexpect: 100-continue\r\ncontent-length: 0",
        "200",
    ),
    ("host: x\r\ncontent-length: 0\r\ncontent-length: 4", "400"),
    ("host: x\r\ncontent-length: +0", "400"),
    ("host: x\r\ncontent-length: -1", "400"),
    ("host: x\r\ncontent-length: 99999999999999999999", "400"),
    ("host: x\r\ntransfer-encoding: identity", "501"),
    ("host: x\r\ntransfer-encoding: xchunked", "501"),
    ("host: x\r\ntransfer-encoding: chunked, gzip", "501"),
    ("host: x\r\nbad name: y", "400"),
    ("host: x\r\n folded: y", "400"),
    ("host: x\r\nx: a\0b", "400"),
    ("host: x\r\nx: a\rb", "200"),
];

/// Everything that is sent over HTTP/1, written out.
const WHOLE: [(&str, &str); 22] = [
    ("GET /federate HTTP/1.0\r\n\r\n", "426"),
    ("GET /federate HTTP/1.0\r\nhost: x\r\n\r\n", "426"),
    ("GET /federate HTTP/0.9\r\n\r\n", "426"),
    ("GET /federate HTTP/1.2\r\nhost: x\r\n\r\n", "426"),
    ("GET /federate HTTP/2.0\r\nhost: x\r\n\r\n", "426"),
    ("GET /federate\r\n\r\n", "426"),
    ("GET  /federate HTTP/1.1\r\nhost: x\r\n\r\n", "200"),
    ("GET /federate HTTP/1.1 \r\nhost: x\r\n\r\n", "200"),
    ("GET\t/federate\tHTTP/1.1\r\nhost: x\r\n\r\n", "200"),
    ("GET /federate http/1.1\r\nhost: x\r\n\r\n", "400"),
    ("\r\n\r\nGET /-/quit HTTP/1.1\r\nhost: x\r\n\r\n", "404"),
    ("GET /federate HTTP/1.1\nhost: x\n\n", "200"),
    // A second request behind the first, or in its body.
    (
        "GET /federate HTTP/1.1\r\nhost: x\r\n\r\nPOST /-/quit HTTP/1.1\r\nhost: x\r\n\r\n",
        "200 404",
    ),
    (
        "GET /-/quit HTTP/1.1\r\nhost: x\r\n\r\nGET /federate HTTP/1.1\r\nhost: x\r\n\r\n",
        "404 200",
    ),
    (
        "GET /federate HTTP/1.1\r\nhost: x\r\ncontent-length: 35\r\n\r\nPOST /-/quit HTTP/1.1\r\nhost: xxx\r\n\r\n",
        "200",
    ),
    (
        "GET /federate HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nPOST /-/quit HTTP/1.1\r\nhost: x\r\n\r\n",
        "200 404",
    ),
    (
        "GET /federate HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nPOST /-/quit HTTP/1.1\r\nhost: x\r\n\r\n",
        "400",
    ),
    (
        "GET /federate HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 44\r\n\r\n0\r\n\r\nPOST /-/quit HTTP/1.1\r\nhost: x\r\n\r\n",
        "400",
    ),
    (
        "GET /federate HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\nPOST /-/quit HTTP/1.1\r\n\r\n",
        "400",
    ),
    (
        "GET /federate HTTP/1.1\r\nhost: x\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\nPOST /-/quit HTTP/1.1\r\n\r\n",
        "400",
    ),
    (
        "GET /federate HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nPOST /-/quit HTTP/1.1\r\n\r\n",
        "400",
    ),
    (
        "POST /federate HTTP/1.1\r\nhost: x\r\nx-http-method-override: GET\r\ncontent-length: 0\r\n\r\n",
        "404",
    ),
];

type Field = (&'static str, &'static str);

/// Headers of one HTTP/2 stream, whose translation to HTTP/1.1 is where smuggling begins.
const STREAMS: [(&[Field], &str); 15] = [
    (&[M, S, A, (":path", "/federate")], "200"),
    (&[M, S, A, (":path", "/federate?match[]=up")], "200"),
    (&[M, S, A, (":path", "/-/quit")], "404"),
    (&[M, S, A, (":path", "/federate/../-/quit")], "404"),
    (
        &[
            M,
            S,
            A,
            (":path", "/federate HTTP/1.1\r\nhost: x\r\n\r\nPOST /-/quit"),
        ],
        "closed",
    ),
    (&[M, S, A, (":path", "federate")], "closed"),
    (
        &[M, S, A, (":path", "/federate"), (":path", "/-/quit")],
        "closed",
    ),
    (&[M, S, A], "closed"),
    (&[(":method", "POST"), S, A, (":path", "/federate")], "404"),
    (
        &[
            (":method", "GET /-/quit HTTP/1.1\r\nx: "),
            S,
            A,
            (":path", "/federate"),
        ],
        "closed",
    ),
    (
        &[M, (":scheme", "http://x/-/quit"), A, (":path", "/federate")],
        "closed",
    ),
    (
        &[
            M,
            S,
            (":authority", "x\r\n\r\nPOST /-/quit"),
            (":path", "/federate"),
        ],
        "closed",
    ),
    (
        &[
            M,
            S,
            A,
            (":path", "/federate"),
            ("transfer-encoding", "chunked"),
        ],
        "closed",
    ),
    (
        &[
            M,
            S,
            A,
            (":path", "/federate"),
            ("x", "a\r\n\r\nPOST /-/quit HTTP/1.1"),
        ],
        "closed",
    ),
    (
        &[M, S, A, (":path", "/federate"), ("content-length", "10")],
        "closed",
    ),
];
const M: Field = (":method", "GET");
const S: Field = (":scheme", "http");
const A: Field = (":authority", "prometheus");

pub fn plain() -> Trick {
    one("GET /federate HTTP/1.1\r\nhost: x\r\n\r\n".into(), "200")
}

pub fn all() -> Vec<Trick> {
    let methods = METHODS.iter().map(|(method, answer)| {
        one(
            format!("{method} /federate HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"),
            answer,
        )
    });
    let targets = TARGETS
        .iter()
        .map(|(target, answer)| one(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n"), answer));
    let headers = HEADERS.iter().map(|(headers, answer)| {
        one(
            format!("GET /federate HTTP/1.1\r\n{headers}\r\n\r\n"),
            answer,
        )
    });
    let whole = WHOLE
        .iter()
        .map(|(text, answer)| one((*text).into(), answer));
    let streams = STREAMS.iter().map(|(fields, answer)| two(fields, answer));
    let all = methods.chain(targets).chain(headers).chain(whole);
    all.chain(large()).chain(streams).collect()
}

/// What no limit of Prometheus would stop.
fn large() -> [Trick; 3] {
    let many: String = (0..150).map(|i| format!("x{i}: y\r\n")).collect();
    let (wide, long) = ("y".repeat(70_000), "z".repeat(61_000));
    let start = "GET /federate HTTP/1.1\r\nhost: x\r\n";
    [
        named("150 headers", format!("{start}{many}\r\n"), "431"),
        named(
            "a header of 70 kB",
            format!("{start}x: {wide}\r\n\r\n"),
            "431",
        ),
        named(
            "a query of 61 kB",
            format!("GET /federate?{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
            "200",
        ),
    ]
}

fn one(text: String, answer: &'static str) -> Trick {
    named(&format!("{text:?}"), text.clone(), answer)
}

fn named(name: &str, text: String, answer: &'static str) -> Trick {
    Trick {
        name: name.into(),
        protocol: Protocol::One,
        bytes: text.into_bytes(),
        answer,
    }
}

/// A connection with one stream, whose header fields are literals: nothing that a client would check.
fn two(fields: &[Field], answer: &'static str) -> Trick {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend(text.as_bytes());
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let frame = |kind, flags, stream, payload: &[u8]| {
        let length = u8::try_from(payload.len()).expect("a short frame");
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    bytes.extend(frame(4, 0, 0, &[]));
    // The headers and the stream end with this frame.
    bytes.extend(frame(1, 5, 1, &block));
    Trick {
        name: format!("HTTP/2 {fields:?}"),
        protocol: Protocol::Two,
        bytes,
        answer,
    }
}
