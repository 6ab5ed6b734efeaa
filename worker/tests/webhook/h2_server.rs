//! An HTTP/2 server.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use h2::server::SendResponse;
use http::Response;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

type Reply = dyn Fn(usize) -> (u16, Vec<u8>) + Send + Sync;

/// A server on a free port of the loopback; ends when dropped.
pub(crate) struct H2Server {
    port: u16,
    state: Arc<H2ServerState>,
    _accepting: JoinSet<()>,
}

struct H2ServerState {
    reply: Box<Reply>,
    connections: AtomicUsize,
    asked: AtomicUsize,
}

impl H2Server {
    /// Answers the request of each number, from 0, with the status and the body that `reply` says.
    pub(crate) async fn start(
        tls: TlsAcceptor,
        reply: impl Fn(usize) -> (u16, Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(H2ServerState {
            reply: Box::new(reply),
            connections: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        });
        let mut accepting = JoinSet::new();
        let accepted = state.clone();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                accepted.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, tls.clone(), accepted.clone()));
            }
        });
        Self {
            port,
            state,
            _accepting: accepting,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/hook", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, state: Arc<H2ServerState>) {
    let stream = tls.accept(stream).await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut answers = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let number = state.asked.fetch_add(1, Ordering::SeqCst);
        let (status, body) = (state.reply)(number);
        answers.spawn(answer(request.into_body(), respond, status, body));
    }
}

/// Reads the request to its end and answers.
async fn answer(
    mut asked: h2::RecvStream,
    mut respond: SendResponse<Bytes>,
    status: u16,
    body: Vec<u8>,
) {
    while let Some(Ok(chunk)) = asked.data().await {
        let _ = asked.flow_control().release_capacity(chunk.len());
    }
    let head = Response::builder().status(status).body(()).unwrap();
    // The client may have gone.
    if let Ok(mut stream) = respond.send_response(head, false) {
        let _ = stream.send_data(body.into(), true);
    }
}
