//! A proxy before a database that cuts connections where a test wants it.

mod answers;
mod connection;
mod cut;
mod frames;
mod message;
mod mysql;
mod postgres;
mod shared;
mod silence;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

pub use cut::{Cut, Moment};
pub use message::Message;
pub use silence::Silence;

use self::{connection::Connection, cut::Cuts, shared::Shared};
use crate::DatabaseKind;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 128;

/// A proxy that passes on what clients and a database send each other, until it is told to cut. Dropping it cuts all connections.
pub struct CuttingProxy {
    url: String,
    address: SocketAddr,
    /// Has the port while connections are refused.
    _port: TcpSocket,
    accepting: Option<AbortOnDropHandle<()>>,
    shared: Arc<Shared>,
}

impl CuttingProxy {
    /// Starts one before the server of `url`. What it passes on is not encrypted: it tells clients that the server has no TLS.
    pub async fn start(kind: DatabaseKind, url: &str) -> Self {
        let (before, rest) = url.rsplit_once('@').expect("a URL with a user");
        let (server, database) = rest.split_once('/').expect("a URL with a database");
        let port = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = port.local_addr().unwrap();
        let mut proxy = Self {
            url: format!("{before}@{address}/{database}"),
            address,
            _port: port,
            accepting: None,
            shared: Arc::new(Shared {
                kind,
                server: server.to_owned(),
                cuts: Cuts::default(),
                is_held: watch::Sender::new(false),
                silence: Silence::default(),
                end: Mutex::default(),
            }),
        };
        proxy.admit();
        proxy
    }

    /// The URL of the database behind it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts all connections. New ones are accepted.
    pub fn cut_all(&self) {
        let mut end = self.shared.end.lock().unwrap();
        std::mem::take(&mut *end).cancel();
    }

    /// Cuts a connection at the next message that `which` wants, once. It is forgotten when what is returned is dropped.
    pub fn cut_at(
        &self,
        moment: Moment,
        which: impl Fn(&Message) -> bool + Send + Sync + 'static,
    ) -> Cut {
        self.shared.cuts.add(moment, which)
    }

    /// Refuses new connections. Those that there are stay.
    pub async fn refuse(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // The socket is closed once the task has ended.
            let _ = accepting.await;
        }
    }

    /// Accepts connections again.
    pub fn admit(&mut self) {
        if self.accepting.is_some() {
            return;
        }
        let listener = socket(self.address).listen(BACKLOG).unwrap();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&self.shared)));
        self.accepting = Some(AbortOnDropHandle::new(accepting));
    }

    /// Passes nothing on any more, as a server that is stuck. Connections are accepted.
    pub fn hold(&self) {
        self.shared.is_held.send_replace(true);
    }

    /// What makes the connections that there are say nothing any more, as behind a firewall that has forgotten them.
    #[must_use]
    pub fn silence(&self) -> Silence {
        self.shared.silence.clone()
    }

    /// Passes on all that was held.
    pub fn release(&self) {
        self.shared.is_held.send_replace(false);
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.cut_all();
    }
}

/// A socket with this address, which another one may have at the same time unless both listen.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut number = 0;
    // Accepting fails if there are too many files: then the test fails, too.
    while let Ok((client, _)) = listener.accept().await {
        number += 1;
        let end = shared.end.lock().unwrap().child_token();
        let silent = shared.silence.of_new();
        let connection = Connection::new(number, end, silent, Arc::clone(&shared));
        // It ends with the token.
        tokio::spawn(connection.run(client));
    }
}
