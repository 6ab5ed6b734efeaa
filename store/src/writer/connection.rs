//! The connection that writes.
//!
//! On a server, each transaction writes its number into a row that is the connection's own. If the connection is lost while
//! the commit is under way, another one reads there what came of it: it waits until the lost one's transaction has ended.

use std::mem;
use std::sync::Arc;

use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};
use uuid::Uuid;

use super::file_transaction::{FileConnection, FileTransaction};
use super::observers::Observers;
use super::patience::answered;
use super::transaction::{Begun, Transaction, TransactionKind};
use crate::credential_cache::{CredentialCache, Ending};
use crate::dialect::{Dialect, begin_write};
use crate::statement::Statement;
use crate::{StoreError, bulk};

/// The connection that writes.
pub(super) struct Connection {
    pub(super) conn: AnyConnection,
    dialect: Dialect,
    /// What tells it from all others, also of other processes.
    id: Uuid,
    /// How many transactions it has begun.
    begun: i64,
    /// Whether sqlx may not know of a transaction that has begun: the text that begins one does more.
    is_unclear: bool,
    /// Of a file, whether what is committed is as durable as can be.
    is_full: bool,
    /// Forgets what its transactions end.
    credentials: Arc<CredentialCache>,
}

/// By what it is known later whether a transaction was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    connection: Uuid,
    number: i64,
}

impl Connection {
    pub(super) fn new(conn: AnyConnection, dialect: Dialect, observers: &Observers) -> Self {
        Self {
            conn,
            dialect,
            id: Uuid::now_v7(),
            begun: 0,
            is_unclear: false,
            is_full: true,
            credentials: Arc::clone(&observers.credentials),
        }
    }

    /// Begins a transaction. On a server, it has a mark, in the same text: that costs no round trip.
    pub(super) async fn begin(
        &mut self,
        kind: TransactionKind,
    ) -> Result<(Transaction<'_>, Option<Mark>), StoreError> {
        let ending = Ending::new(Arc::clone(&self.credentials));
        if self.dialect == Dialect::Sqlite {
            let to = FileConnection {
                conn: &mut self.conn,
                is_full: &mut self.is_full,
            };
            let begun = Begun::File(FileTransaction::new(to, kind.durable, kind.marked).await?);
            return Ok((Transaction::new(begun, kind, ending), None));
        }
        let Self {
            conn,
            dialect,
            begun,
            is_unclear,
            ..
        } = self;
        *begun += 1;
        let mark = Mark {
            connection: self.id,
            number: *begun,
        };
        // Elsewhere no wait is shorter than the usual one.
        let haste = match (*dialect, kind.haste) {
            (Dialect::Postgres, Some(haste)) => {
                format!("SET LOCAL lock_timeout = '{}ms'; ", haste.as_millis())
            }
            _ => String::new(),
        };
        let begin = begin_write(*dialect, kind.durable);
        let text = format!("{begin}; {haste}{}", mark.text(*dialect));
        *is_unclear = true;
        let begun = answered(*dialect, conn.begin_with(bulk::statement(text))).await?;
        *is_unclear = false;
        let begun = Begun::Server(begun);
        Ok((Transaction::new(begun, kind, ending), Some(mark)))
    }

    /// Undoes what was begun on a server and not ended: sqlx does so with what is asked next.
    pub(super) async fn undo(&mut self) -> Result<(), StoreError> {
        if mem::take(&mut self.is_unclear) {
            let undone = self.conn.execute("ROLLBACK");
            answered(self.dialect, undone).await?;
        }
        answered(self.dialect, self.conn.ping()).await
    }

    /// Whether the transaction with this mark, of a connection that is gone, was committed. Waits until it has ended, as it
    /// has locked its row; and until what it committed is as durable as a commit is.
    pub(super) async fn has_committed(&mut self, mark: &Mark) -> Result<bool, StoreError> {
        let now = self.dialect.now();
        let again = self.dialect.on_conflict(&["writer"], &["at"]);
        let text =
            format!("INSERT INTO last_commits (writer, number, at) VALUES ($1, 0, {now}) {again}");
        let wait = Statement::new(bulk::statement(text)).bind(mark.connection.to_string());
        let wait = wait.query(self.dialect)?.execute(&mut self.conn);
        answered(self.dialect, wait).await?;
        let read = Statement::new("SELECT number FROM last_commits WHERE writer = $1");
        let read = read.bind(mark.connection.to_string());
        let read = read.query(self.dialect)?.fetch_one(&mut self.conn);
        let row = answered(self.dialect, read).await?;
        let has_committed = row.try_get::<i64, _>("number")? >= mark.number;
        // What it ended may have been looked up since.
        self.credentials.forget_all();
        Ok(has_committed)
    }
}

impl Mark {
    /// What writes it. Of nothing but numbers, so that it can stand beside the beginning of the transaction.
    fn text(&self, dialect: Dialect) -> String {
        let Self { connection, number } = self;
        let now = dialect.now();
        let again = dialect.on_conflict(&["writer"], &["number", "at"]);
        format!(
            "INSERT INTO last_commits (writer, number, at) VALUES ('{connection}', {number}, {now}) {again}"
        )
    }
}

#[cfg(test)]
mod tests {
    use herald_test_databases::{DatabaseKind, TestDatabase};
    use tokio::time::timeout;

    use super::*;
    use crate::location::Location;
    use crate::open::prepare;

    /// Too short for what does not come.
    const MOMENT: std::time::Duration = std::time::Duration::from_millis(50);

    async fn connect(location: &Location) -> Connection {
        let conn = location.connect_writer().await.unwrap();
        let observers = Observers {
            wake: Arc::default(),
            credentials: Arc::new(CredentialCache::new()),
        };
        Connection::new(conn, location.dialect(), &observers)
    }

    #[tokio::test]
    async fn who_asks_for_a_commit_waits_until_it_is_over() {
        let dialect = Dialect::Postgres;
        let Some(database) = TestDatabase::empty(DatabaseKind::Postgres).await else {
            return;
        };
        let location = Location::parse(database.url().into()).unwrap();
        prepare(&location).await.unwrap();
        let mut lost = connect(&location).await;
        let mut other = connect(&location).await;
        for committed in [true, false, true, false] {
            let kind = TransactionKind {
                dialect,
                durable: true,
                marked: false,
                careful: false,
                haste: None,
            };
            let (begun, mark) = lost.begin(kind).await.unwrap();
            let asked = other.has_committed(mark.as_ref().unwrap());
            tokio::pin!(asked);
            assert!(timeout(MOMENT, &mut asked).await.is_err(), "it is not over");
            if committed {
                begun.commit().await.unwrap();
            } else {
                begun.rollback().await.unwrap();
            }
            assert_eq!(asked.await.unwrap(), committed);
        }
    }
}
