//! Listens to notifications of PostgreSQL.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::bundle::Bundle;
use super::shared::Channel;
use super::trouble::{HEARD, NOT_HEARD, Trouble};
use crate::server;
use crate::{StoreError, dialect::Dialect};

/// How long nothing of this node itself may come before the connection is held to be lost: some comes each second.
const SILENCE: Duration = Duration::from_secs(3);

/// How long a connection may take, and when it is tried again.
const CONNECT: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(250);

/// Listens until dropped, while there are other nodes.
pub(super) async fn run(channel: &Channel) {
    // Kept until there is another, so that there are no more of connections that are silent.
    let mut kept = None;
    let mut trouble = Trouble::of(channel.purpose);
    loop {
        channel.joined_by_others().await;
        tokio::select! {
            () = listen(channel, &mut kept, &mut trouble) => {}
            () = channel.alone() => kept = None,
        }
    }
}

/// Listens until that ends.
async fn listen(channel: &Channel, kept: &mut Option<PgListener>, trouble: &mut Trouble) {
    let connected = timeout(CONNECT, connect(channel)).await;
    let listener = match connected.unwrap_or_else(|_| Err(server::silence())) {
        Ok(listener) => kept.insert(listener),
        Err(error) => {
            trouble.note(&error, NOT_HEARD);
            return sleep(AGAIN).await;
        }
    };
    // What was sent before.
    channel.incoming.miss();
    let (mut heard, mut is_heard) = (Instant::now(), false);
    while let Ok(Ok(Some(came))) = timeout_at(heard + SILENCE, listener.try_recv()).await {
        let Some(bundle) = Bundle::parse(came.payload()) else {
            continue;
        };
        match Some(&bundle.node) == channel.store.node().as_ref() {
            true => {
                (heard, is_heard) = (Instant::now(), true);
                trouble.is_over(HEARD);
            }
            false => channel.incoming.take(bundle),
        }
    }
    if !is_heard {
        trouble.note(&server::silence(), NOT_HEARD);
    }
    tracing::debug!("the connection on which other servers are heard was lost");
    sleep(AGAIN).await;
}

async fn connect(channel: &Channel) -> Result<PgListener, StoreError> {
    // Checked when the server was.
    let options = PgConnectOptions::from_str(channel.server.connects_to().expose())?;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(CONNECT)
        .after_connect(|conn, _| {
            Box::pin(async move { conn.execute(Dialect::Postgres.node()).await.map(drop) })
        })
        .connect_with(options)
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    listener.listen(channel.purpose.name()).await?;
    Ok(listener)
}
