//! A client that asks Kiali all the while, through its Service: each request on a new connection, to a ready pod.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ambikiali_sandbox::standin::service;
use kube::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::Clusters;

/// Names the clusters whose namespaces Kiali sees.
const REQUEST: &str =
    "GET /kiali/api/namespaces HTTP/1.1\r\nHost: kiali.kiali\r\nConnection: close\r\n\r\n";
const PAUSE: Duration = Duration::from_millis(50);

pub struct Asker {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(usize, Vec<String>)>,
}

impl Asker {
    pub fn start(clusters: &Clusters) -> Asker {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, until) = (clusters.home().client(), stop.clone());
        let task = tokio::spawn(async move {
            let (mut asked, mut failed) = (0, Vec::new());
            while !until.load(Ordering::Relaxed) {
                asked += 1;
                failed.extend(ask(&client).await.err());
                tokio::time::sleep(PAUSE).await;
            }
            (asked, failed)
        });
        Asker { stop, task }
    }

    /// How many requests it sent, and why some failed.
    pub async fn stopped(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("it asks to the end")
    }
}

/// Asks once more only if the pod stopped before it sent a byte: whatever is under way then ends without an answer, since
/// Kiali waits for nothing when it is stopped, and browsers repeat such a request.
async fn ask(client: &Client) -> Result<(), String> {
    match once(client).await {
        Ok(answered) => answered,
        Err(_stopped) => once(client).await.unwrap_or_else(Err),
    }
}

/// The outer error: no answer at all.
async fn once(client: &Client) -> Result<Result<(), String>, String> {
    let pod = match service::resolve(client, "kiali.kiali", 20001).await {
        Ok(pod) => pod,
        Err(error) => return Ok(Err(format!("{error:#}"))),
    };
    let stream = TcpStream::connect(pod).await;
    let mut stream = stream.map_err(|error| format!("{pod}: {error}"))?;
    let mut text = String::new();
    let answered = async {
        stream.write_all(REQUEST.as_bytes()).await?;
        stream.read_to_string(&mut text).await
    };
    let answered = answered.await;
    if text.is_empty() {
        return Err(format!("{pod}: no answer"));
    }
    let sees_both = ["cluster1", "cluster2"]
        .iter()
        .all(|name| text.contains(name));
    Ok(match answered {
        Err(error) => Err(format!("{pod}: {error}")),
        Ok(_) if text.starts_with("HTTP/1.1 200 ") && sees_both => Ok(()),
        Ok(_) => Err(format!(
            "{pod}: {}",
            text.lines().next().unwrap_or_default()
        )),
    })
}
