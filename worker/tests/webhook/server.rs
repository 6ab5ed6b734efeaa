//! An HTTP/1.1 server that answers byte for byte as it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite,
        AsyncWriteExt as _, BufReader,
    },
    net::TcpListener,
    sync::mpsc,
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::jobs::LIMIT;

/// Between two bytes of a drip.
const DRIP: Duration = Duration::from_millis(20);

/// What was asked.
#[derive(Debug)]
pub(crate) struct Request {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What is answered.
pub(crate) enum Reply {
    /// These bytes; the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, and the end of the connection.
    Close(Vec<u8>),
    /// These bytes, and then one more, again and again, slowly.
    Drip(Vec<u8>),
    /// These bytes, and then more as fast as they are taken.
    Endless(Vec<u8>),
}

/// An answer of this status with these headers, each ended by CRLF.
pub(crate) fn answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {length}\r\n{headers}\r\n");
    Reply::Bytes([head.as_bytes(), body].concat())
}

pub(crate) fn ok(body: impl AsRef<[u8]>) -> Reply {
    answer(200, "", body)
}

/// A server on a free port of the loopback; ends when dropped.
pub(crate) struct Server {
    port: u16,
    scheme: &'static str,
    state: Arc<ServerState>,
    requests: mpsc::Receiver<Request>,
    _accepting: JoinSet<()>,
}

struct ServerState {
    reply: Box<dyn Fn(usize) -> Reply + Send + Sync>,
    connections: AtomicUsize,
    asked: AtomicUsize,
    endless: AtomicUsize,
    under_way: AtomicUsize,
    highest: AtomicUsize,
    requests: mpsc::Sender<Request>,
}

impl Server {
    /// Answers the request of each number, from 0, as `reply` says.
    pub(crate) async fn start(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, reply).await
    }

    /// The same over TLS.
    pub(crate) async fn start_with(
        tls: Option<TlsAcceptor>,
        reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, tls, reply)
    }

    /// The same where it already listens.
    pub(crate) fn start_on(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::channel(1024);
        let state = Arc::new(ServerState {
            reply: Box::new(reply),
            connections: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            endless: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            highest: AtomicUsize::new(0),
            requests: sender,
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, tls, state.clone()));
        Self {
            port,
            scheme,
            state,
            requests,
            _accepting: accepting,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}/hook", self.scheme, self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// Bytes of endless answers that were taken.
    pub(crate) fn endless(&self) -> usize {
        self.state.endless.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at once.
    pub(crate) fn highest(&self) -> usize {
        self.state.highest.load(Ordering::SeqCst)
    }

    pub(crate) async fn request(&mut self) -> Request {
        timeout(LIMIT, self.requests.recv()).await.unwrap().unwrap()
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<ServerState>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        state.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, state) = (tls.clone(), state.clone());
        // A connection that fails is what some tests are about.
        connections.spawn(async move {
            let _ = match tls {
                None => serve(stream, &state).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &state).await,
                    Err(_) => None,
                },
            };
        });
    }
}

/// Serves one connection to its end.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, state: &ServerState) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = read(&mut stream).await?;
        let number = state.asked.fetch_add(1, Ordering::SeqCst);
        state.requests.send(request).await.ok()?;
        let under_way = state.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        state.highest.fetch_max(under_way, Ordering::SeqCst);
        yield_now().await;
        // Before the answer, which lets the next one begin.
        state.under_way.fetch_sub(1, Ordering::SeqCst);
        match (state.reply)(number) {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await.ok()?,
            Reply::Close(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                stream.shutdown().await.ok()?;
                return None;
            }
            Reply::Drip(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                loop {
                    sleep(DRIP).await;
                    stream.write_all(b"x").await.ok()?;
                }
            }
            Reply::Endless(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                loop {
                    let written = stream.write(&[b'x'; 4096]).await.ok()?;
                    state.endless.fetch_add(written, Ordering::SeqCst);
                }
            }
        }
        stream.flush().await.ok()?;
    }
}

async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let mut request = Request { head, body: vec![] };
    let length = request.header("content-length")?.parse().ok()?;
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}
