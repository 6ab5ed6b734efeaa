//! Connections for poem's HTTP server.

use std::net::SocketAddr;

use poem::{
    Addr,
    http::uri::Scheme,
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{io, sync::mpsc};

use crate::accept::{Accept, Connection};

/// Connections that shook hands and wait for poem to take them.
const WAITING: usize = 64;

/// An acceptor for poem whose handshakes have been done already.
pub(crate) struct Accepted {
    connections: mpsc::Receiver<(Connection, SocketAddr)>,
    local: SocketAddr,
    scheme: Scheme,
}

/// Starts accepting in a task of `accept`'s own.
pub(crate) fn accepted(accept: Accept) -> io::Result<Accepted> {
    let local = accept.listener.local_addr()?;
    let scheme = match accept.tls {
        Some(_) => Scheme::HTTPS,
        None => Scheme::HTTP,
    };
    let (tx, connections) = mpsc::channel(WAITING);
    let tasks = accept.tasks.clone();
    tasks.spawn(accept.run(move |connection, peer, _deadline| {
        let tx = tx.clone();
        async move {
            // The server is stopping if nobody takes it.
            let _ = tx.send((connection, peer)).await;
        }
    }));
    Ok(Accepted {
        connections,
        local,
        scheme,
    })
}

impl Acceptor for Accepted {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![local(self.local)]
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        match self.connections.recv().await {
            Some((connection, peer)) => Ok((
                connection,
                local(self.local),
                RemoteAddr(Addr::SocketAddr(peer)),
                self.scheme.clone(),
            )),
            // No more will come: poem is told to stop at the same time, and an error would make it ask again at once.
            None => std::future::pending().await,
        }
    }
}

fn local(address: SocketAddr) -> LocalAddr {
    LocalAddr(Addr::SocketAddr(address))
}
