//! Connections to a server that read.
//!
//! Not the pool of sqlx: it asks a connection for a sign of life after each use, for which it waits without a limit, and of a
//! server that is gone it says only that no connection is free.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection as _};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{timeout, timeout_at};

use crate::StoreError;
use crate::dialect::Dialect;
use crate::server::{self, Server};

/// How long a connection is waited for, be it a free one or a new one.
const WAIT: Duration = Duration::from_secs(5);

/// A connection that was idle for so long is asked for a sign of life before it is used, and how long it is waited for.
const IDLE: Duration = Duration::from_millis(100);
const SIGN: Duration = Duration::from_secs(2);

/// How old a connection grows: what the server keeps for it goes with it.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A few connections to a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: Server,
    settings: &'static str,
    /// One for each connection that may be in use.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Pooled>>,
}

#[derive(Debug)]
struct Pooled {
    conn: AnyConnection,
    made: Instant,
    used: Instant,
}

impl ServerPool {
    /// Makes one of up to `count` connections, each with `settings`, and the first connection.
    pub(crate) async fn connect(
        server: Server,
        count: u32,
        settings: &'static str,
    ) -> Result<Self, StoreError> {
        let pool = Self(Arc::new(Inner {
            server,
            settings,
            permits: Arc::new(Semaphore::new(count.max(1) as usize)),
            idle: Mutex::default(),
        }));
        let first = pool.begin().await?;
        first.end(Ok(()))?;
        Ok(pool)
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if none is free, [`StoreError::Unreachable`] if the server is not there, [`StoreError::Closed`].
    pub(crate) async fn begin(&self) -> Result<ServerReading, StoreError> {
        let deadline = Instant::now() + WAIT;
        let permit = Arc::clone(&self.0.permits).acquire_owned();
        let permit = timeout_at(deadline.into(), permit).await;
        let permit = permit.map_err(|_| StoreError::Busy)?;
        let permit = permit.map_err(|_| StoreError::Closed)?;
        let connected = timeout_at(deadline.into(), self.connection()).await;
        Ok(ServerReading {
            pooled: Some(connected.unwrap_or_else(|_| Err(server::silence()))?),
            pool: self.clone(),
            permit: Some(permit),
        })
    }

    async fn connection(&self) -> Result<Pooled, StoreError> {
        loop {
            let idle = self.idle().pop();
            let Some(mut pooled) = idle else {
                break;
            };
            if pooled.made.elapsed() >= LIFETIME {
                continue;
            }
            if pooled.used.elapsed() < IDLE || pooled.is_alive().await {
                return Ok(pooled);
            }
            // The others were not used since: they are most likely lost, too.
            self.idle().clear();
        }
        let conn = self.0.server.connect_with(self.0.settings).await?;
        let now = Instant::now();
        Ok(Pooled {
            conn,
            made: now,
            used: now,
        })
    }

    /// Closes the connections that are idle, and each other one when it is not used any more.
    pub(crate) async fn close(&self) {
        self.0.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for pooled in idle {
            if let Err(error) = server::close(pooled.conn).await {
                tracing::debug!(%error, "a database connection was not closed cleanly");
                // The others would say nothing, either.
                return;
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Pooled>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a connection for the next who needs one.
    fn keep(&self, mut pooled: Pooled) {
        if !self.0.permits.is_closed() {
            pooled.used = Instant::now();
            self.idle().push(pooled);
        }
    }
}

impl Pooled {
    /// Reads the rest of what it was asked before, if that was not read, and asks for a sign of life.
    async fn is_alive(&mut self) -> bool {
        matches!(timeout(SIGN, self.conn.ping()).await, Ok(Ok(())))
    }
}

/// A connection in use.
#[derive(Debug)]
pub(crate) struct ServerReading {
    /// It is there until this is dropped.
    pooled: Option<Pooled>,
    pool: ServerPool,
    permit: Option<OwnedSemaphorePermit>,
}

impl ServerReading {
    /// Waits for what `read` reads with the connection, for a limited time.
    pub(crate) async fn within<T, E>(
        mut self,
        limit: Duration,
        read: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> Result<T, StoreError>
    where
        StoreError: From<E>,
    {
        let Some(pooled) = &mut self.pooled else {
            return Err(StoreError::Closed);
        };
        let read = timeout(limit, read(&mut pooled.conn)).await;
        let read = read.map_or_else(|_| Err(server::silence()), |read| Ok(read?));
        self.end(read)
    }

    /// Gives the connection back, unless what was read with it says that it is lost.
    fn end<T>(mut self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        let pooled = self.pooled.take();
        // After any other error, it may be in the middle of an answer.
        let is_whole = match &read {
            Ok(_) => true,
            Err(error) => matches!(
                error,
                StoreError::TooSlow | StoreError::Locked | StoreError::Conflict
            ),
        };
        if let Some(pooled) = pooled
            && is_whole
        {
            self.pool.keep(pooled);
        }
        read
    }
}

impl Drop for ServerReading {
    /// If nobody waited for the end of what was read, the connection is used again once the rest has come. Not to MySQL: in
    /// the middle of a packet, its driver would take the rest of that for the next.
    fn drop(&mut self) {
        let (Some(mut pooled), Some(permit)) = (self.pooled.take(), self.permit.take()) else {
            return;
        };
        if self.pool.0.server.dialect() == Dialect::MySql {
            return;
        }
        let pool = self.pool.clone();
        // It ends by itself, soon.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if pooled.is_alive().await {
                    pool.keep(pooled);
                }
                drop(permit);
            });
        }
    }
}
