//! A server that keeps connections and writes down each request that it finds on them. Bytes that are of no
//! request would show as a request that nobody sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    /// Those of the federating Prometheus, which goes on meanwhile.
    scrapes: Vec<String>,
}

pub struct Recorder {
    seen: Arc<Mutex<Seen>>,
}

impl Recorder {
    pub async fn start(address: SocketAddr) -> Recorder {
        let listener = TcpListener::bind(address).await.expect("a socket");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let all = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served(stream, all.clone()));
            }
        });
        Recorder { seen }
    }

    /// The first lines of the requests since the last call.
    pub fn taken(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.seen).requests)
    }

    pub fn scrapes(&self) -> Vec<String> {
        locked(&self.seen).scrapes.clone()
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn served(stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let mut stream = BufReader::new(stream);
    while let Some((first, is_scrape)) = request(&mut stream).await {
        match is_scrape {
            true => locked(&seen).scrapes.push(first),
            false => locked(&seen).requests.push(first),
        }
        let page = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\na 1\n";
        if stream.get_mut().write_all(page.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The first line of the next request, and whether Prometheus sent it; its body is read past.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, bool)> {
    let first = line(stream).await?;
    let (mut length, mut chunked, mut is_scrape) = (0, false, false);
    loop {
        let header = line(stream).await?.to_lowercase();
        let (name, value) = header.split_once(':').unwrap_or_default();
        match (name, value.trim()) {
            ("content-length", value) => length = value.parse().ok()?,
            ("transfer-encoding", value) => chunked = value == "chunked",
            ("user-agent", value) => is_scrape = value.starts_with("prometheus/"),
            _ => {}
        }
        if header.is_empty() {
            break;
        }
    }
    while chunked {
        let size = line(stream).await?;
        let size = usize::from_str_radix(&size, 16).ok()?;
        skipped(stream, size).await?;
        line(stream).await?;
        chunked = size > 0;
    }
    skipped(stream, length).await?;
    Some((first, is_scrape))
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    let read = stream.read_until(b'\n', &mut line).await.ok()?;
    let line = String::from_utf8_lossy(&line);
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn skipped(stream: &mut BufReader<TcpStream>, length: usize) -> Option<()> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok().map(|_| ())
}
