//! What is wanted of the rows that a statement returns.

use futures_util::future::BoxFuture;
use futures_util::{Stream, TryStreamExt as _};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Executor};

use crate::StoreError;
use crate::page::{JsonBytes, Page};

/// What is wanted of the rows that a statement returns.
pub(crate) trait Fetch: Send + 'static {
    type Output: Send + 'static;

    /// Runs the statement and reads as much as is wanted. Boxed, as the compiler cannot tell otherwise that it can be sent.
    fn fetch<'e>(
        self,
        query: Query<'static, Any, AnyArguments>,
        from: impl Executor<'e, Database = Any> + 'e,
    ) -> BoxFuture<'e, Result<Self::Output, StoreError>>;
}

/// All rows.
pub(crate) struct All;

/// The only row.
pub(crate) struct One;

/// The first row, if any.
pub(crate) struct First;

/// Up to `limit` items, and no more than `max_bytes` hold, but one at least. The statement asks for one more.
pub(crate) struct Cut<R> {
    pub(crate) limit: u32,
    pub(crate) max_bytes: usize,
    /// Reads an item.
    pub(crate) read: R,
}

impl Fetch for All {
    type Output = Vec<AnyRow>;

    fn fetch<'e>(
        self,
        query: Query<'static, Any, AnyArguments>,
        from: impl Executor<'e, Database = Any> + 'e,
    ) -> BoxFuture<'e, Result<Self::Output, StoreError>> {
        Box::pin(async move { Ok(query.fetch_all(from).await?) })
    }
}

impl Fetch for One {
    type Output = AnyRow;

    fn fetch<'e>(
        self,
        query: Query<'static, Any, AnyArguments>,
        from: impl Executor<'e, Database = Any> + 'e,
    ) -> BoxFuture<'e, Result<Self::Output, StoreError>> {
        Box::pin(async move { Ok(query.fetch_one(from).await?) })
    }
}

impl Fetch for First {
    type Output = Option<AnyRow>;

    fn fetch<'e>(
        self,
        query: Query<'static, Any, AnyArguments>,
        from: impl Executor<'e, Database = Any> + 'e,
    ) -> BoxFuture<'e, Result<Self::Output, StoreError>> {
        Box::pin(async move { Ok(query.fetch_optional(from).await?) })
    }
}

impl<T, R> Fetch for Cut<R>
where
    T: JsonBytes + Send + 'static,
    R: Fn(&AnyRow) -> Result<T, StoreError> + Send + 'static,
{
    type Output = Page<T>;

    fn fetch<'e>(
        self,
        query: Query<'static, Any, AnyArguments>,
        from: impl Executor<'e, Database = Any> + 'e,
    ) -> BoxFuture<'e, Result<Self::Output, StoreError>> {
        Box::pin(self.of(query.fetch(from)))
    }
}

impl<T, R> Cut<R>
where
    T: JsonBytes,
    R: Fn(&AnyRow) -> Result<T, StoreError>,
{
    /// What is wanted of these rows.
    pub(crate) async fn of(
        self,
        rows: impl Stream<Item = Result<AnyRow, sqlx::Error>>,
    ) -> Result<Page<T>, StoreError> {
        let mut rows = std::pin::pin!(rows);
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some(row) = rows.try_next().await? {
            if page.items.len() == self.limit as usize {
                page.more = true;
                break;
            }
            let item = (self.read)(&row)?;
            bytes += item.json_bytes();
            if bytes > self.max_bytes && !page.items.is_empty() {
                page.more = true;
                break;
            }
            page.items.push(item);
        }
        Ok(page)
    }
}
