//! Accepts TCP and TLS connections.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::session::{self, Context};

/// After a failed accept (no file descriptor left, say), before the next.
const BACKOFF: Duration = Duration::from_millis(100);

/// Live connections by address.
#[derive(Default)]
struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// Counts a connection until dropped.
struct Counted {
    addresses: Arc<Addresses>,
    ip: IpAddr,
}

impl Addresses {
    fn enter(self: &Arc<Self>, ip: IpAddr, limit: usize) -> Option<Counted> {
        let mut counts = self.0.lock();
        let count = counts.entry(ip).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Counted {
            addresses: self.clone(),
            ip,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock();
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

/// Accepts until the broker stops. Each handshake runs in its connection's own task, so a silent one delays nobody.
pub(crate) async fn accept(
    ctx: Arc<Context>,
    tasks: TaskTracker,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
) {
    let addresses = Arc::<Addresses>::default();
    while let Some(accepted) = ctx.stop.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                tracing::warn!(error = %e, "cannot accept a connection");
                sleep(BACKOFF).await;
                continue;
            }
        };
        let limit = ctx.limits.connections_per_address;
        let Some(counted) = addresses.enter(peer.ip(), limit) else {
            ctx.metrics.connects_refused.add(1);
            tracing::warn!(%peer, limit, "too many connections from one address");
            continue;
        };
        let (ctx, tls) = (ctx.clone(), tls.clone());
        tasks.spawn(async move {
            let _counted = counted;
            serve(ctx, stream, peer, tls).await;
        });
    }
}

async fn serve(ctx: Arc<Context>, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
    let deadline = Instant::now() + ctx.limits.handshake;
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(%peer, error = %e, "connection lost");
        return;
    }
    let Some(tls) = tls else {
        return session::run(ctx, stream, peer, deadline).await;
    };
    let handshake = timeout_at(deadline, Box::pin(tls.accept(stream)));
    match ctx.stop.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => session::run(ctx, stream, peer, deadline).await,
        Some(Ok(Err(e))) => {
            ctx.metrics.connects_refused.add(1);
            tracing::debug!(%peer, error = %e, "TLS handshake failed");
        }
        Some(Err(_)) | None => ctx.metrics.connects_refused.add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_room_back_when_a_connection_ends() {
        let addresses = Arc::<Addresses>::default();
        let (a, b): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = addresses.enter(a, 1);
        assert!(first.is_some() && addresses.enter(a, 1).is_none());
        assert!(addresses.enter(b, 1).is_some());
        drop(first);
        assert!(addresses.enter(a, 1).is_some());
    }
}
