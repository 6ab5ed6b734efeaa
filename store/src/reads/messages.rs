//! A user's own messages.

use sqlx::Row as _;

use crate::dialect::{Dialect, Param};
use crate::ids::AFTER_ALL;
use crate::messages::{COLUMNS, message};
use crate::statement::Statement;
use crate::{Message, MessageId, Page, Status, Store, StoreError, UserId};

impl Store {
    /// The message `id` of `user`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn message(
        &self,
        user: &UserId,
        id: &MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM messages m WHERE m.id = $1 AND m.user_id = $2");
        let params = [Param::Text(id.as_str()), Param::Text(user.as_str())];
        self.lists().first(text, &params, message).await
    }

    /// Up to `limit` messages of `user`, the newest first: those with `status` if it is given, and
    /// those older than `before` if that is.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn messages(
        &self,
        user: &UserId,
        status: Option<Status>,
        before: Option<&MessageId>,
        limit: u32,
    ) -> Result<Page<Message>, StoreError> {
        let before = before.map_or(AFTER_ALL, MessageId::as_str);
        let dialect = self.readers().dialect();
        let (text, params) = own(dialect, user.as_str(), status, before, limit);
        self.lists().page(text, &params, limit, message).await
    }

    /// Whose a message is, which never changes: so that a write can lock the owner's queue before it reads.
    pub(crate) async fn owner(&self, id: &MessageId) -> Result<Option<UserId>, StoreError> {
        let owner = Statement::new("SELECT user_id FROM messages WHERE id = $1").bind(id.as_str());
        let row = self.readers().fetch_optional(owner).await?;
        row.map(|row| Ok(UserId::from_string(row.try_get::<String, _>("user_id")?)))
            .transpose()
    }
}

/// The statement over the messages of a user that are older than `before`, with this status, and its parameters. Each kind has
/// an index that holds just those, in their order.
fn own<'a>(
    dialect: Dialect,
    user: &'a str,
    status: Option<Status>,
    before: &'a str,
    limit: u32,
) -> (String, Vec<Param<'a>>) {
    let mut params = vec![Param::Text(user), Param::Text(before)];
    let condition = match status {
        None => "m.user_id = $1 AND m.id < $2",
        Some(Status::Queued) => "m.status = 'queued' AND m.user_id = $1 AND m.id < $2",
        // There are no more of all users than workers have claimed: not by the indexes of users and ids.
        Some(Status::Processing) => {
            "m.status = 'processing' AND COALESCE(m.user_id, '') = $1 AND COALESCE(m.id, '') < $2"
        }
        Some(ended @ (Status::Processed | Status::Dead | Status::Cancelled)) => {
            params.push(Param::Text(ended.as_str()));
            "m.processed_at IS NOT NULL AND m.user_id = $1 AND m.id < $2 AND m.status = $3"
        }
    };
    params.push(Param::Int(i64::from(limit) + 1));
    let index = match status {
        Some(Status::Processing) => dialect.by_status_time(),
        _ => String::new(),
    };
    let text = format!(
        "SELECT {COLUMNS} FROM messages m{index} WHERE {condition} ORDER BY m.id DESC LIMIT ${}",
        params.len()
    );
    (text, params)
}

#[cfg(test)]
mod tests {
    use sqlx::any::AnyRow;

    use super::*;

    #[tokio::test]
    async fn no_page_is_read_by_a_walk_through_all_messages_of_a_user() {
        let dir = tempfile::tempdir().unwrap();
        let options = crate::StoreOptions::sqlite(&dir.path().join("herald.db"));
        let store = Store::open(options).await.unwrap();
        for (status, index) in [
            (None, "messages_of_user (user_id=? AND id<?)"),
            (
                Some(Status::Queued),
                "messages_queued_of_user (user_id=? AND id<?)",
            ),
            (Some(Status::Processing), "messages_leased"),
            (
                Some(Status::Processed),
                "messages_ended_of_user (user_id=? AND status=? AND id<?)",
            ),
            (
                Some(Status::Dead),
                "messages_ended_of_user (user_id=? AND status=? AND id<?)",
            ),
            (
                Some(Status::Cancelled),
                "messages_ended_of_user (user_id=? AND status=? AND id<?)",
            ),
        ] {
            let (text, params) = own(Dialect::Sqlite, "u", status, "m", 9);
            let text = format!("EXPLAIN QUERY PLAN {text}");
            let detail = |row: &AnyRow| Ok(row.try_get::<String, _>("detail")?);
            let step = store
                .lists()
                .first(text, &params, detail)
                .await
                .unwrap()
                .unwrap();
            assert!(
                step.ends_with(&format!("INDEX {index}")),
                "{status:?}: {step}"
            );
        }
        store.close().await;
    }
}
