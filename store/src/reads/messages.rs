//! A user's own messages.

use crate::dialect::Param;
use crate::ids::AFTER_ALL;
use crate::messages::{COLUMNS, message};
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
        let params = [
            Param::Text(user.as_str()),
            Param::Text(before.map_or(AFTER_ALL, MessageId::as_str)),
            Param::Int(i64::from(limit) + 1),
            Param::Text(status.map_or("", Status::as_str)),
        ];
        let lists = self.lists();
        lists.page(own(status), &params, limit, message).await
    }
}

/// The statement over the messages of the user `$1` that are older than `$2`, up to `$3`, with the status `$4`, if any. Each
/// kind has an index that holds just those, in their order.
fn own(status: Option<Status>) -> String {
    let condition = match status {
        None => "m.user_id = $1 AND m.id < $2",
        Some(Status::Queued) => "m.status = 'queued' AND m.user_id = $1 AND m.id < $2",
        // There are no more of all users than workers have claimed.
        Some(Status::Processing) => "m.status = 'processing' AND +m.user_id = $1 AND +m.id < $2",
        Some(Status::Processed | Status::Dead | Status::Cancelled) => {
            "m.processed_at IS NOT NULL AND m.user_id = $1 AND m.status = $4 AND m.id < $2"
        }
    };
    format!("SELECT {COLUMNS} FROM messages m WHERE {condition} ORDER BY m.id DESC LIMIT $3")
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;
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
            let text = format!("EXPLAIN QUERY PLAN {}", own(status));
            let params = [
                Param::Text("u"),
                Param::Text("m"),
                Param::Int(9),
                Param::Text("dead"),
            ];
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
