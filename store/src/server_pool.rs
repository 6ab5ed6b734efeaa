//! Connections to a server that read.
//!
//! Not the pool of sqlx: it asks a connection for a sign of life after each use, for which it waits without a limit, and of a
//! server that is gone it says only that no connection is free.
//!
//! A read goes on when nobody waits for it any more: a server does not notice who has gone, and works to its own limit. So
//! who asks and goes away, again and again, has no more of its connections at work than the pool has.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection as _};
use tokio::sync::Semaphore;
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::StoreError;
use crate::fetch::Fetch;
use crate::server::{self, LIFETIME, Server};
use crate::statement::Statement;

/// How long a connection is waited for, be it a free one or a new one; and what of it is for the server: others have had it
/// until then.
const WAIT: Duration = Duration::from_secs(4);
const LEAST: Duration = Duration::from_secs(1);

/// A connection that was idle for so long is asked for a sign of life before it is used, and how long it is waited for.
const IDLE: Duration = Duration::from_millis(100);
const SIGN: Duration = Duration::from_secs(1);

/// A few connections to a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: Server,
    settings: &'static str,
    /// How long a read may take: longer than the server gives itself.
    patience: Duration,
    /// One for each connection that may be in use.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Pooled>>,
    /// The reads, each with a permit, and goodbyes.
    tasks: TaskTracker,
    /// Ends them.
    closing: CancellationToken,
}

#[derive(Debug)]
struct Pooled {
    conn: AnyConnection,
    made: Instant,
    used: Instant,
}

impl ServerPool {
    /// Makes one of up to `count` connections, each with `settings`, and the first connection. What is read with one may
    /// take as long as `patience`.
    pub(crate) async fn connect(
        server: Server,
        count: u32,
        settings: &'static str,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let pool = Self(Arc::new(Inner {
            server,
            settings,
            patience,
            permits: Arc::new(Semaphore::new(count.max(1) as usize)),
            idle: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }));
        let first = pool.0.connection().await?;
        pool.0.keep(first);
        Ok(pool)
    }

    /// Reads what is wanted of a statement's rows.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if no connection is free, [`StoreError::Unreachable`] if the server is not there,
    /// [`StoreError::Closed`], and what comes of the statement.
    pub(crate) async fn read<W: Fetch>(
        &self,
        statement: Statement,
        wanted: W,
    ) -> Result<W::Output, StoreError> {
        let query = statement.query(self.0.server.dialect())?;
        let deadline = Instant::now() + WAIT;
        let permit = Arc::clone(&self.0.permits).acquire_owned();
        let permit = timeout_at((deadline - LEAST).into(), permit).await;
        let permit = permit.map_err(|_| StoreError::Busy)?;
        let permit = permit.map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(&self.0);
        let read = self.0.tasks.spawn(async move {
            let read = async {
                let connected = timeout_at(deadline.into(), pool.connection()).await;
                let mut pooled = connected.unwrap_or_else(|_| Err(server::silence()))?;
                let fetched = timeout(pool.patience, wanted.fetch(query, &mut pooled.conn)).await;
                let fetched = fetched.unwrap_or_else(|_| Err(server::silence()));
                if fetched.as_ref().err().is_none_or(server::is_whole_after) {
                    pool.keep(pooled);
                }
                fetched
            };
            let read = pool.closing.run_until_cancelled(read).await;
            drop(permit);
            read.unwrap_or(Err(StoreError::Closed))
        });
        match read.await {
            Ok(read) => read,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // With the runtime.
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// Ends the reads under way, for which nobody waits any more, and closes the connections.
    pub(crate) async fn close(&self) {
        self.0.permits.close();
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        let idle = std::mem::take(&mut *self.0.idle());
        for pooled in idle {
            if let Err(error) = server::close(pooled.conn).await {
                tracing::debug!(%error, "a database connection was not closed cleanly");
                // The others would say nothing, either.
                return;
            }
        }
    }
}

impl Inner {
    /// One that was kept, or a new one.
    async fn connection(&self) -> Result<Pooled, StoreError> {
        loop {
            let idle = self.idle().pop();
            let Some(mut pooled) = idle else {
                break;
            };
            if pooled.made.elapsed() >= LIFETIME {
                // It is bounded, and nobody has to wait for it.
                self.tasks.spawn(server::close(pooled.conn));
                continue;
            }
            if pooled.used.elapsed() < IDLE || pooled.is_alive().await {
                return Ok(pooled);
            }
            // Others that were not used since are most likely lost, too.
            self.idle().retain(|other| other.used > pooled.used);
        }
        let conn = self.server.connect_with(self.settings).await?;
        let now = Instant::now();
        Ok(Pooled {
            conn,
            made: now,
            used: now,
        })
    }

    /// Keeps a connection for the next who needs one.
    fn keep(&self, mut pooled: Pooled) {
        pooled.used = Instant::now();
        self.idle().push(pooled);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Pooled>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pooled {
    /// Reads the rest of what it was asked before, if that was not read, and asks for a sign of life.
    async fn is_alive(&mut self) -> bool {
        matches!(timeout(SIGN, self.conn.ping()).await, Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests;
