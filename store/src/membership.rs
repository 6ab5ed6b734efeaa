//! A server among those that share a database: it says that it is there, on a connection of its own, so that no other write is
//! in the way.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::{AnyConnection, Either, Executor as _, Row as _};
use tokio::time::timeout;

use crate::dialect::Dialect;
use crate::location::Location;
use crate::server::{self, Server};
use crate::statement::Statement;
use crate::{NodeId, Store, StoreError, Timestamp, monotonic_clock};

/// How long others hold a node to be there after what it last said, by the clock of the database.
const LEASE: Duration = Duration::from_secs(5);

/// How long the database may take to be told, and for a connection if there is none. With a connection that is lost, there is
/// time for another one before the node has to fear that others hold it to be gone.
const ANSWER: Duration = Duration::from_millis(1500);

/// The way of this server among those that share its database.
#[derive(Debug)]
pub struct Membership {
    store: Store,
    server: Server,
    /// `None` after a failure.
    conn: Option<AnyConnection>,
}

impl Membership {
    /// That of a server whose database is `store`; `None` if that is a file, which is one server's.
    #[must_use]
    pub fn of(store: &Store) -> Option<Self> {
        match store.location() {
            Location::File(_) => None,
            Location::Server(server) => Some(Self {
                store: store.clone(),
                server: server.clone(),
                conn: None,
            }),
        }
    }

    /// Joins with a new id, on a machine of this `name`, instead of `before` if it has joined before: that one is forgotten, and
    /// what it has claimed is claimed as long as its leases last. From then on, claims are made for the new id.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database was not told, soon enough.
    pub async fn join(
        &mut self,
        name: &str,
        version: &str,
        rights_seen: i64,
        before: Option<&NodeId>,
    ) -> Result<NodeId, StoreError> {
        let id = NodeId::new();
        let now = self.server.dialect().now_millis();
        let text = format!(
            "INSERT INTO nodes (id, name, version, rights_seen, process, started_at, lease_until)
             VALUES ($1, $2, $3, $4, $5, {now}, {now} + {})",
            LEASE.as_millis()
        );
        let join = Statement::made(text)
            .bind(id.as_str())
            .bind(named(name))
            .bind(version.to_owned())
            .bind(rights_seen)
            .bind(self.store.process().as_str());
        let mut statements = vec![join];
        if let Some(before) = before {
            let forget = Statement::new("DELETE FROM nodes WHERE id = $1");
            statements.push(forget.bind(before.as_str()));
        }
        self.ask(statements).await?;
        self.store.set_node(id.clone());
        Ok(id)
    }

    /// Says that the node `id` is there, and which change of rights is the last in force there. Returns the time of the
    /// database, which is this process's, too, from then on; `None` if the lease of the node has ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database was not told, soon enough. It may have been told nevertheless.
    pub async fn beat(
        &mut self,
        id: &NodeId,
        rights_seen: i64,
    ) -> Result<Option<Timestamp>, StoreError> {
        let dialect = self.server.dialect();
        let (now, lease) = (dialect.now_millis(), LEASE.as_millis());
        // Where an UPDATE returns no rows, it returns the last number that was made.
        let (until, returning) = match dialect {
            Dialect::MySql => (format!("LAST_INSERT_ID({now} + {lease})"), ""),
            Dialect::Postgres | Dialect::Sqlite => {
                (format!("{now} + {lease}"), " RETURNING lease_until")
            }
        };
        let text = format!(
            "UPDATE nodes SET rights_seen = $1, lease_until = {until}
             WHERE id = $2 AND lease_until > {now}{returning}"
        );
        let beat = Statement::made(text);
        let until = self
            .ask(vec![beat.bind(rights_seen).bind(id.as_str())])
            .await?;
        let now = until.map(|until| until.saturating_sub(LEASE.as_millis() as i64));
        if let Some(now) = now {
            monotonic_clock::follow_database(now);
        }
        Ok(now.map(Timestamp::from_millis))
    }

    /// Ends the connection.
    pub async fn close(&mut self) {
        if let Some(conn) = self.conn.take()
            && let Err(error) = server::close(conn).await
        {
            tracing::debug!(%error, "a database connection was not closed cleanly");
        }
    }

    /// Runs `statements`, each in a transaction of its own, and returns the number that the last one comes to, if it changes
    /// anything.
    async fn ask(&mut self, statements: Vec<Statement>) -> Result<Option<i64>, StoreError> {
        let (server, conn) = (&self.server, self.conn.take());
        let asked = async {
            let mut conn = match conn {
                Some(conn) => conn,
                None => server.connect_with(server.dialect().node()).await?,
            };
            let mut number = None;
            for statement in statements {
                number = run(&mut conn, statement, server.dialect()).await?;
            }
            Ok((conn, number))
        };
        let asked = timeout(ANSWER, asked).await;
        let (conn, number) = asked.unwrap_or_else(|_| Err(server::silence()))?;
        self.conn = Some(conn);
        Ok(number)
    }
}

async fn run(
    conn: &mut AnyConnection,
    statement: Statement,
    dialect: Dialect,
) -> Result<Option<i64>, StoreError> {
    let mut results = conn.fetch_many(statement.query(dialect)?);
    let (mut row, mut made) = (None, None);
    while let Some(result) = results.try_next().await? {
        match result {
            Either::Right(one) => row = Some(one.try_get("lease_until")?),
            Either::Left(done) if done.rows_affected() > 0 => made = done.last_insert_id(),
            Either::Left(_) => {}
        }
    }
    Ok(match dialect {
        Dialect::MySql => made,
        Dialect::Postgres | Dialect::Sqlite => row,
    })
}

/// A name as it is kept: short, and without what not every database takes.
fn named(name: &str) -> String {
    let kept = name.chars().filter(|one| !one.is_control());
    kept.take(64).collect()
}
