//! Lists: what users and administrators look at, page by page.
//!
//! They have connections of their own, few of them, so that no list can take one from the worker, from rights, sign-ins and
//! inboxes. A page is cut by bytes, and a read that lasts is stopped. No statement stays open while a client takes its
//! time, as a page is read whole before it is sent.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::any::AnyRow;

use crate::dialect::{ListPool, Param};
use crate::fetch::{Cut, First};
use crate::page::{JsonBytes, Page};
use crate::server_pool::ServerPool;
use crate::statement::Statement;
use crate::{StoreError, bulk};

/// How many bytes of JSON a page holds that has more than one item.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// How long a read may take. Each is a short walk through an index, so it is a last resort.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// How long it is waited for what a server reads, which stops by itself after [`TIME_LIMIT`].
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// The connections for lists.
#[derive(Debug)]
pub(crate) enum Lists {
    /// Of a file.
    File(ListPool),
    /// Of a server.
    Server(ServerPool),
}

impl Lists {
    /// Up to `limit` items, and no more than a page holds. The statement asks for one more.
    pub(crate) async fn page<T, R>(
        &self,
        statement: String,
        params: &[Param<'_>],
        limit: u32,
        read: R,
    ) -> Result<Page<T>, StoreError>
    where
        T: JsonBytes + Send + 'static,
        R: Fn(&AnyRow) -> Result<T, StoreError> + Send + 'static,
    {
        let page = Cut {
            limit,
            max_bytes: PAGE_BYTES,
            read,
        };
        match self {
            Self::File(pool) => {
                let mut reading = pool.begin(TIME_LIMIT).await?;
                page.of(reading.rows(statement, params)).await
            }
            Self::Server(pool) => pool.read(on_server(statement, params), page).await,
        }
    }

    /// The first row.
    pub(crate) async fn first<T>(
        &self,
        statement: String,
        params: &[Param<'_>],
        read: impl Fn(&AnyRow) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let row = match self {
            Self::File(pool) => {
                let mut reading = pool.begin(TIME_LIMIT).await?;
                reading.rows(statement, params).try_next().await?
            }
            Self::Server(pool) => pool.read(on_server(statement, params), First).await?,
        };
        row.as_ref().map(read).transpose()
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::File(pool) => pool.close().await,
            Self::Server(pool) => pool.close().await,
        }
    }
}

fn on_server(statement: String, params: &[Param<'_>]) -> Statement {
    let statement = Statement::new(bulk::statement(statement));
    params
        .iter()
        .fold(statement, |statement, param| match *param {
            Param::Text(text) => statement.bind(text.to_owned()),
            Param::Int(number) => statement.bind(number),
        })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::location::Location;
    use crate::{Store, StoreOptions};

    /// It never ends.
    const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
        SELECT COUNT(*) FROM n WHERE i < 0";

    async fn pool(dir: &tempfile::TempDir) -> ListPool {
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let store = Store::open(options.clone()).await.unwrap();
        store.close().await;
        let location = Location::parse(options.url).unwrap();
        match location.connect_lists(1).await.unwrap() {
            Lists::File(pool) => pool,
            Lists::Server(..) => unreachable!("it is a file"),
        }
    }

    async fn ask(pool: &ListPool, limit: Duration) -> Result<(), StoreError> {
        let mut reading = pool.begin(limit).await?;
        let row = reading.rows(ENDLESS.into(), &[]).try_next().await;
        Ok(row.map(drop)?)
    }

    #[tokio::test]
    async fn a_read_that_lasts_is_stopped_and_its_connection_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let pool = pool(&dir).await;
        for _ in 0..3 {
            let stopped = ask(&pool, Duration::from_millis(20)).await;
            assert!(matches!(stopped, Err(StoreError::TooSlow)), "{stopped:?}");
        }
        pool.close().await;
    }

    #[tokio::test]
    async fn lists_take_no_connection_from_all_else() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let lists = options.list_readers;
        let store = Store::open(options).await.unwrap();
        let hour = Duration::from_secs(3600);
        let mut taken = vec![];
        for _ in 0..lists {
            let Lists::File(pool) = store.lists() else {
                unreachable!("it is a file");
            };
            taken.push(pool.begin(hour).await.unwrap());
        }
        let user = crate::UserId::new();
        let name = "ann".parse().unwrap();
        store.ping().await.unwrap();
        store.next_due().await.unwrap();
        store.rules().await.unwrap();
        store.rights_changes(0).await.unwrap();
        store.user_by_name(&name).await.unwrap();
        store.position(&user).await.unwrap();
        let inbox = store.notifications(&user, crate::Seq::NONE, 9, 9).await;
        inbox.unwrap();
        let list = store.messages(&user, None, None, 9);
        let list = tokio::time::timeout(Duration::from_millis(50), list).await;
        assert!(list.is_err(), "a list waits for another");
        drop(taken);
        store.messages(&user, None, None, 9).await.unwrap();
        store.close().await;
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_any_more_stops() {
        let dir = tempfile::tempdir().unwrap();
        let pool = pool(&dir).await;
        let hour = Duration::from_secs(3600);
        let begun = Instant::now();
        for _ in 0..3 {
            let given_up = tokio::time::timeout(Duration::from_millis(20), ask(&pool, hour)).await;
            assert!(given_up.is_err());
        }
        // The only connection is free again, which it would not be for an hour.
        let lists = Lists::File(pool);
        let one = lists.first("SELECT 1 AS one".into(), &[], |_| Ok(())).await;
        assert_eq!(one.unwrap(), Some(()));
        assert!(begun.elapsed() < hour);
        lists.close().await;
    }
}
