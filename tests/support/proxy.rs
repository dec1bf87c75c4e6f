//! A proxy on loopback for HTTP CONNECT, CONNECT over TLS, and SOCKS5. It connects to this machine whatever the
//! requested host, so that no name is resolved.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Connect,
    Socks,
    /// Answers the first bytes with these and closes the connection.
    Refuses(&'static [u8]),
}

pub struct Proxy {
    pub port: u16,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts a proxy. If `login` is given, it requires this user and password in the form `USER:PASSWORD`.
    pub async fn start(kind: Kind, tls: Option<TlsAcceptor>, login: Option<&'static str>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serve(kind, tls.accept(stream).await?, login).await,
                        None => serve(kind, stream, login).await,
                    }
                });
            }
        });
        Proxy { port, asked, task }
    }

    /// Returns the number of connections so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn serve<S>(kind: Kind, mut stream: S, login: Option<&str>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let port = match kind {
        Kind::Connect => connect(&mut stream, login).await?,
        Kind::Socks => socks(&mut stream, login).await?,
        Kind::Refuses(answer) => {
            let _ = stream.read(&mut [0; 4096]).await?;
            stream.write_all(answer).await?;
            None
        }
    };
    let Some(port) = port else {
        return Ok(());
    };
    let mut there = TcpStream::connect(("127.0.0.1", port)).await?;
    let answer: &[u8] = match kind {
        Kind::Connect | Kind::Refuses(_) => b"HTTP/1.1 200 OK\r\n\r\n",
        Kind::Socks => &[5, 0, 0, 1, 127, 0, 0, 1, 0, 0],
    };
    stream.write_all(answer).await?;
    let _ = io::copy_bidirectional(&mut stream, &mut there).await;
    Ok(())
}

async fn connect<S>(stream: &mut S, login: Option<&str>) -> io::Result<Option<u16>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    use base64::Engine;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if let Some(login) = login {
        let basic = base64::engine::general_purpose::STANDARD.encode(login);
        if !head.contains(&format!("Basic {basic}\r\n")) {
            let refusal =
                b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(refusal).await?;
            return Ok(None);
        }
    }
    let target = head.split_whitespace().nth(1).unwrap_or_default();
    Ok(target
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok()))
}

async fn socks<S>(stream: &mut S, login: Option<&str>) -> io::Result<Option<u16>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let [_, methods] = read(stream).await?;
    let mut offered = vec![0; methods.into()];
    stream.read_exact(&mut offered).await?;
    if let Some(login) = login {
        stream.write_all(&[5, 2]).await?;
        let [_, length] = read(stream).await?;
        let mut user = vec![0; length.into()];
        stream.read_exact(&mut user).await?;
        let [length] = read(stream).await?;
        let mut password = vec![0; length.into()];
        stream.read_exact(&mut password).await?;
        let said = [user, b":".to_vec(), password].concat();
        let known = said == login.as_bytes();
        stream.write_all(&[1, u8::from(!known)]).await?;
        if !known {
            return Ok(None);
        }
    } else {
        stream.write_all(&[5, 0]).await?;
    }
    let [_, _, _, kind] = read(stream).await?;
    let length = match kind {
        1 => 4,
        4 => 16,
        _ => read::<1>(stream).await?[0].into(),
    };
    let mut host = vec![0; length];
    stream.read_exact(&mut host).await?;
    Ok(Some(u16::from_be_bytes(read(stream).await?)))
}

async fn read<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
