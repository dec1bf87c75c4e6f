//! What passes the Gateway's real Envoy. Each trick of a table is sent to it as raw bytes, and in the place of
//! Prometheus a server writes down what arrives.

mod recorder;
mod tricks;

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Foreign, exposed, get, on_two_clusters, scale, until};
use recorder::Recorder;
use tricks::{Protocol, Trick};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn envoy_lets_nothing_but_get_federate_through_whatever_the_request_looks_like() {
    on_two_clusters(async |clusters| {
        // With mutual TLS, none of the tricks would reach Envoy's routes.
        clusters.install(&["--exposure", "http"]).await.succeeded();
        let remote = clusters.remote();
        let address = exposed(remote).await;
        let name = "istio-system/prometheus";
        let service = get(remote, "v1", "Service", name).await.expect("a Service");
        let selector = &service["spec"]["selector"];
        scale(remote, name, 0).await;
        // An address that no pod gets in a test of this length.
        let at = remote.addresses().process_pod(24_000);
        let recorder = Recorder::start((at, 9090).into()).await;
        let entry = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
            "metadata": {"name": "recorder", "namespace": "istio-system", "labels": selector},
            "spec": {"address": at, "labels": selector},
        });
        let entry = Foreign::apply(remote, &entry.to_string()).await;
        until("the recorder stands for Prometheus", async || {
            sent(&address, &tricks::plain()).await;
            !recorder.taken().is_empty()
        })
        .await;

        recorder.taken();
        let all = tricks::all();
        let mut wrong = Vec::new();
        for trick in &all {
            let answered = sent(&address, trick).await;
            if answered != trick.answer {
                wrong.push(format!("{}: {answered}, not {}", trick.name, trick.answer));
            }
        }
        let arrived = recorder.taken();
        println!(
            "{} tricks, {} reached Prometheus, each as GET /federate",
            all.len(),
            arrived.len()
        );
        assert!(
            wrong.is_empty(),
            "answered otherwise:\n{}",
            wrong.join("\n")
        );
        let passed = all.iter().flat_map(|trick| trick.answer.split(' '));
        let passed = passed.filter(|status| *status == "200").count();
        assert_eq!(arrived.len(), passed, "{arrived:#?}");
        for line in arrived.iter().chain(&recorder.scrapes()) {
            let rest = line.strip_prefix("GET /federate").unwrap_or_default();
            let query = rest.strip_suffix(" HTTP/1.1");
            let only_a_query = query.is_some_and(|q| q.is_empty() || q.starts_with('?'));
            assert!(only_a_query, "{line:?} reached Prometheus");
        }

        entry.removed().await;
        scale(remote, name, 1).await;
        clusters
            .run(&["verify", "--probes", "none"])
            .await
            .succeeded();
        clusters.cleaned().await;
    });
}

/// The statuses that a trick was answered with, and how the connection ended if it did before.
async fn sent(address: &str, trick: &Trick) -> String {
    let stream = TcpStream::connect(address).await.expect("the Gateway");
    let answers = async {
        match trick.protocol {
            Protocol::One => over_one(stream, trick).await,
            Protocol::Two => over_two(stream, trick).await,
        }
    };
    let answers = timeout(PATIENCE, answers).await;
    let answers = answers.unwrap_or_else(|_| vec!["silent".into()]);
    answers.join(" ")
}

/// As many answers as are expected, or until Envoy closes the connection.
async fn over_one(mut stream: TcpStream, trick: &Trick) -> Vec<String> {
    // Envoy may refuse, and close, before it has read everything.
    let _ = stream.write_all(&trick.bytes).await;
    let mut reader = BufReader::new(stream);
    let mut answers = Vec::new();
    let without_bodies = trick.bytes.starts_with(b"HEAD ");
    while answers.len() < trick.answer.split(' ').count() {
        match status(&mut reader, without_bodies).await {
            Some(status) => answers.push(status),
            None => {
                answers.push("closed".into());
                break;
            }
        }
    }
    answers
}

/// Reads one answer with its body; None at the end of the connection.
async fn status(reader: &mut BufReader<TcpStream>, without_body: bool) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    let status = line.strip_prefix("HTTP/1.1 ")?.get(..3)?.to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        reader.read_line(&mut line).await.ok()?;
        let header = line.trim_end().to_lowercase();
        chunked |= header == "transfer-encoding: chunked";
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if header.is_empty() {
            break;
        }
    }
    if without_body {
        return Some(status);
    }
    while chunked {
        line.clear();
        reader.read_line(&mut line).await.ok()?;
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a size");
        // With the end of the line behind it.
        reader.read_exact(&mut vec![0; size + 2]).await.ok()?;
        chunked = size > 0;
    }
    reader.read_exact(&mut vec![0; length]).await.ok()?;
    Some(status)
}

/// The answer to the one stream, or that Envoy gave it or the connection up.
async fn over_two(mut stream: TcpStream, trick: &Trick) -> Vec<String> {
    let _ = stream.write_all(&trick.bytes).await;
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return vec!["closed".into()];
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).await.is_err() {
            return vec!["closed".into()];
        }
        // HEADERS, whose first field is an indexed status; RST_STREAM; GOAWAY.
        let said = match (head[3], payload.first()) {
            (1, Some(0x88)) => "200",
            (1, Some(0x8c)) => "400",
            (1, Some(0x8d)) => "404",
            (1, _) => "another status",
            (3, _) => "reset",
            (7, _) => "closed",
            _ => continue,
        };
        return vec![said.into()];
    }
}
