//! A service that keeps messages waiting for their results until it is told to answer.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// What it answers in the end.
pub(crate) const RESULT: &str = "from the service";

/// The service. Dropping it ends it.
pub(crate) struct Service {
    address: SocketAddr,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

struct State {
    /// How many messages have come.
    came: watch::Sender<usize>,
    answers: watch::Sender<bool>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            came: watch::Sender::new(0),
            answers: watch::Sender::new(false),
        });
        let serving = state.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, serving.clone()));
            }
        });
        Self {
            address,
            state,
            _serving: tasks,
        }
    }

    /// What makes a server use it. A message may take as long as a test, and its lease is longer than tests wait.
    pub(crate) fn settings(&self) -> [(&'static str, String); 6] {
        [
            ("HERALD_WORKER__PROCESSOR", "webhook".into()),
            ("HERALD_WORKER__LEASE_MS", "120000".into()),
            ("HERALD_WEBHOOK__URL", format!("http://{}/", self.address)),
            (
                "HERALD_WEBHOOK__SECRET",
                herald_tests::WEBHOOK_SECRET.into(),
            ),
            ("HERALD_WORKER__TIMEOUT_MS", "120000".into()),
            ("HERALD_WEBHOOK__TIMEOUT_MS", "120000".into()),
        ]
    }

    /// Waits until so many messages have come in all.
    pub(crate) async fn has(&self, messages: usize) {
        let mut came = self.state.came.subscribe();
        let came = came.wait_for(|came| *came >= messages);
        herald_tests::within("messages at the service", came)
            .await
            .unwrap();
    }

    /// Answers all that waits, and all that comes.
    pub(crate) fn answer(&self) {
        self.state.answers.send_replace(true);
    }
}

/// Answers the requests of one connection, once it is told to.
async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut buffer = vec![];
    let mut answers = state.answers.subscribe();
    while request(&mut stream, &mut buffer).await.is_some() {
        state.came.send_modify(|came| *came += 1);
        if answers.wait_for(|answers| *answers).await.is_err() {
            return;
        }
        let length = RESULT.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{RESULT}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request, headers and all.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split_once("content-length: ").unwrap().1;
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                buffer.clear();
                return Some(());
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
