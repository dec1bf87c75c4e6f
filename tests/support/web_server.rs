//! A web server whose answer can be changed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A web server that answers every request with its current response.
pub struct WebServer {
    pub address: SocketAddr,
    answer: watch::Sender<Option<String>>,
    delay: watch::Sender<Duration>,
    asked: Arc<AtomicUsize>,
}

impl WebServer {
    pub async fn start(answer: String) -> WebServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (answer, current) = watch::channel(Some(answer));
        let (delay, waits) = watch::channel(Duration::ZERO);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let current = (current.clone(), waits.clone());
                tokio::spawn(answered(stream, current, count.clone()));
            }
        });
        WebServer {
            address,
            answer,
            delay,
            asked,
        }
    }

    pub fn answers(&self, answer: String) {
        self.answer.send(Some(answer)).expect("it serves");
    }

    /// Accepts requests without answering them from now on.
    pub fn is_silent(&self) {
        self.answer.send(None).expect("it serves");
    }

    /// Answers so much later from now on.
    pub fn waits(&self, time: Duration) {
        self.delay.send(time).expect("it serves");
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Handles one request per connection.
async fn answered(
    mut stream: TcpStream,
    (answer, delay): (watch::Receiver<Option<String>>, watch::Receiver<Duration>),
    asked: Arc<AtomicUsize>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let Some(answer) = answer.borrow().clone() else {
        // Waits until the client closes the connection.
        let _ = stream.read_u8().await;
        return;
    };
    let delay = *delay.borrow();
    tokio::time::sleep(delay).await;
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

pub fn page(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
