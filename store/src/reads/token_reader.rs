//! The one task that looks tokens up.
//!
//! Every request of a program comes with a token, and a statement of its own for each costs more than all else that an
//! accepted message costs. So those that are asked for while others are being read share a statement.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use crate::dialect::Dialect;
use crate::location::Location;
use crate::owned_task::OwnedTask;
use crate::server::{self, LIFETIME};
use crate::statement::Statement;
use crate::tokens::token;
use crate::users::user;
use crate::{StoreError, Token, User, bulk};

/// How many are asked for together, at most.
const BATCH: usize = 64;

/// How many wait to be asked for. Callers wait for room.
const QUEUE: usize = 1024;

/// How long a server may take for a look-up, which it stops by itself earlier; how long all that is done for a batch may
/// take; and how long a caller waits in all.
const PATIENCE: Duration = Duration::from_secs(4);
const LONGEST: Duration = Duration::from_secs(9);
const CALLER: Duration = Duration::from_secs(10);

/// By the hash of the secret.
type Rows = HashMap<String, Result<(Token, User), StoreError>>;

type Found = Result<Option<(Token, User)>, StoreError>;

struct Lookup {
    token_hash: String,
    caller: oneshot::Sender<Found>,
}

/// The way to the task that looks tokens up.
pub(crate) struct TokenReader {
    queue: mpsc::Sender<Lookup>,
    /// How long a caller waits; a file is always there.
    limit: Option<Duration>,
    stop: Arc<Notify>,
    task: OwnedTask,
}

impl TokenReader {
    /// Starts the task, with a connection of its own: one of a pool is asked for a sign of life after each use.
    pub(crate) fn start(location: Location) -> Self {
        let (queue, lookups) = mpsc::channel(QUEUE);
        let stop = Arc::new(Notify::new());
        let limit = match location {
            Location::File(_) => None,
            Location::Server(_) => Some(CALLER),
        };
        let task = OwnedTask::spawn(run(location, lookups, Arc::clone(&stop)));
        Self {
            queue,
            limit,
            stop,
            task,
        }
    }

    /// The token whose secret has this hash and its owner, whether or not they are still valid.
    pub(crate) async fn find(&self, token_hash: &str) -> Found {
        let (caller, found) = oneshot::channel();
        let token_hash = token_hash.to_owned();
        let lookup = Lookup { token_hash, caller };
        let asked = async {
            let queued = self.queue.send(lookup).await;
            queued.map_err(|_| StoreError::Closed)?;
            found.await.unwrap_or(Err(StoreError::Closed))
        };
        match self.limit {
            None => asked.await,
            Some(limit) => {
                let found = timeout(limit, asked).await;
                found.unwrap_or_else(|_| Err(server::silence()))
            }
        }
    }

    /// Ends the task. What is asked for later fails with [`StoreError::Closed`]. Only the first call waits.
    pub(crate) async fn close(&self) {
        self.stop.notify_one();
        self.task.join("the reader of tokens").await;
    }
}

impl fmt::Debug for TokenReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReader").finish_non_exhaustive()
    }
}

async fn run(location: Location, mut lookups: mpsc::Receiver<Lookup>, stop: Arc<Notify>) {
    let mut connection = Connection::new(location);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            biased;
            () = stop.notified() => break,
            received = lookups.recv_many(&mut batch, BATCH) => received,
        };
        if received == 0 {
            break;
        }
        batch.retain(|lookup: &Lookup| !lookup.caller.is_closed());
        if batch.is_empty() {
            continue;
        }
        let found = connection.find_all(&batch).await;
        for Lookup { token_hash, caller } in batch.drain(..) {
            let answer = match &found {
                Ok(found) => found.get(&token_hash).cloned().transpose(),
                Err(error) => Err(error.clone()),
            };
            // The caller may have stopped waiting.
            let _ = caller.send(answer);
        }
        connection.close_used().await;
    }
    connection.used = connection.kept.take();
    connection.close_used().await;
}

/// The connection, which is made when it is needed.
struct Connection {
    location: Location,
    kept: Option<PooledConnection>,
    /// One to say goodbye to, once the callers know what they asked.
    used: Option<PooledConnection>,
}

/// A connection, and when it was made.
struct PooledConnection {
    conn: AnyConnection,
    made: Instant,
}

impl Connection {
    fn new(location: Location) -> Self {
        Self {
            location,
            kept: None,
            used: None,
        }
    }

    fn is_to_a_server(&self) -> bool {
        matches!(self.location, Location::Server(_))
    }

    /// Looks up all of `batch`. One that was kept may be lost since it was used: then a new one is asked.
    async fn find_all(&mut self, batch: &[Lookup]) -> Result<Rows, StoreError> {
        let is_to_a_server = self.is_to_a_server();
        let found = async {
            let was_kept = self.kept.is_some();
            match self.find_once(batch).await {
                Err(StoreError::Unreachable { .. }) if was_kept => self.find_once(batch).await,
                found => found,
            }
        };
        if !is_to_a_server {
            return found.await;
        }
        let found = timeout(LONGEST, found).await;
        found.unwrap_or_else(|_| Err(server::silence()))
    }

    /// Looks up all of `batch`. After a failure, the next call connects again.
    async fn find_once(&mut self, batch: &[Lookup]) -> Result<Rows, StoreError> {
        let is_old = |kept: &PooledConnection| kept.made.elapsed() >= LIFETIME;
        if self.is_to_a_server() && self.kept.as_ref().is_some_and(is_old) {
            self.used = self.kept.take();
        }
        let mut kept = match self.kept.take() {
            Some(kept) => kept,
            None => PooledConnection {
                conn: self.location.connect_reader().await?,
                made: Instant::now(),
            },
        };
        let found = find_with(&mut kept.conn, self.location.dialect(), batch);
        let found = match self.is_to_a_server() {
            false => found.await,
            true => {
                let found = timeout(PATIENCE, found).await;
                found.unwrap_or_else(|_| Err(server::silence()))
            }
        };
        match &found {
            Ok(_) => self.kept = Some(kept),
            Err(error) if server::is_whole_after(error) => self.kept = Some(kept),
            // Nobody is there to say goodbye to.
            Err(StoreError::Unreachable { .. }) => {}
            Err(_) => self.used = Some(kept),
        }
        found
    }

    async fn close_used(&mut self) {
        let Some(used) = self.used.take() else {
            return;
        };
        let closed = match self.is_to_a_server() {
            false => used.conn.close().await.map_err(StoreError::from),
            true => server::close(used.conn).await,
        };
        if let Err(error) = closed {
            tracing::warn!(%error, "the database connection was not closed cleanly");
        }
    }
}

async fn find_with(
    conn: &mut AnyConnection,
    dialect: Dialect,
    batch: &[Lookup],
) -> Result<Rows, StoreError> {
    // Few different statements, as each has to be prepared.
    let parameters = batch.len().next_power_of_two();
    let text = format!(
        "SELECT t.token_hash, u.id, u.username, u.role, u.password_hash, u.disabled, u.created_at,
            t.id AS token_id, t.name, t.scope_api, t.scope_mqtt,
            t.created_at AS token_created_at, t.expires_at, t.last_used_at
         FROM tokens t JOIN users u ON u.id = t.user_id
         WHERE t.token_hash IN ({})",
        bulk::list(parameters, 1)
    );
    let hashes = batch.iter().map(|lookup| lookup.token_hash.as_str());
    let none = std::iter::repeat_n("", parameters - batch.len());
    let statement = Statement::made(text);
    let lookup = hashes.chain(none).fold(statement, Statement::bind);
    let rows = lookup.query(dialect)?.fetch_all(conn).await?;
    rows.iter()
        // An invalid row is an error for its own token only.
        .map(|row| Ok((row.try_get("token_hash")?, both(row))))
        .collect()
}

fn both(row: &AnyRow) -> Result<(Token, User), StoreError> {
    Ok((token(row)?, user(row)?))
}
