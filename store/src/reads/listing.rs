//! Everyone's messages, page by page. Each page is a few steps in an index, however many messages there are.

use std::fmt;
use std::str::FromStr;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::dialect::Param;
use crate::ids::AFTER_ALL;
use crate::messages::{COLUMNS, message};
use crate::page::JsonBytes;
use crate::{Message, MessageId, Status, Store, StoreError, UserId};

/// Where a page of a list of messages begins. The list is in another order for each status. As text it has no spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePageToken {
    user: String,
    time: i64,
    id: String,
}

/// It is not where a page of a list begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor of a list of messages")]
pub struct InvalidPageToken;

impl fmt::Display for MessagePageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.id, self.time, self.user)
    }
}

impl FromStr for MessagePageToken {
    type Err = InvalidPageToken;

    fn from_str(text: &str) -> Result<Self, InvalidPageToken> {
        let mut parts = text.splitn(3, '.');
        let id = parts
            .next()
            .filter(|id| !id.is_empty())
            .ok_or(InvalidPageToken)?;
        let time = parts.next().map_or(Ok(0), str::parse);
        Ok(Self {
            id: id.to_owned(),
            time: time.map_err(|_| InvalidPageToken)?,
            user: parts.next().unwrap_or_default().to_owned(),
        })
    }
}

/// Some of a list of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePage {
    /// In the order of the list.
    pub items: Vec<Message>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<MessagePageToken>,
}

/// How a list is read.
struct Reading {
    statement: String,
    /// Where the page behind a message begins, from its row.
    token: fn(&AnyRow) -> Result<MessagePageToken, sqlx::Error>,
}

/// The statement over messages `m` that satisfy `condition`, in this order. Its parameters are where the page begins (`$1`
/// id, `$2` time, `$3` user), `$4` the user or an empty text, `$5` the status or an empty text, and `$6` how many.
fn select(condition: &str, order: &str) -> String {
    format!("SELECT {COLUMNS} FROM messages m WHERE {condition} ORDER BY {order} LIMIT $6")
}

fn by_id(row: &AnyRow) -> Result<MessagePageToken, sqlx::Error> {
    Ok(MessagePageToken {
        id: row.try_get("id")?,
        time: 0,
        user: String::new(),
    })
}

fn by_end(row: &AnyRow) -> Result<MessagePageToken, sqlx::Error> {
    Ok(MessagePageToken {
        time: row
            .try_get::<Option<i64>, _>("processed_at")?
            .unwrap_or_default(),
        ..by_id(row)?
    })
}

fn by_due(row: &AnyRow) -> Result<MessagePageToken, sqlx::Error> {
    Ok(MessagePageToken {
        time: row.try_get("run_at")?,
        user: row.try_get("user_id")?,
        ..by_id(row)?
    })
}

impl Reading {
    fn of(status: Option<Status>, user: Option<&UserId>) -> Self {
        let (statement, token): (_, fn(&AnyRow) -> _) = match (status, user) {
            (None, None) => (select("m.id < $1", "m.id DESC"), by_id),
            (None, Some(_)) => {
                let condition = "m.user_id = $4 AND m.id < $1";
                (select(condition, "m.id DESC"), by_id)
            }
            // There are no more than workers have claimed.
            (Some(Status::Processing), _) => {
                let condition = "m.status = 'processing' AND +m.id < $1 AND $4 IN ('', m.user_id)";
                (select(condition, "m.id DESC"), by_id)
            }
            (Some(Status::Queued), None) => {
                let condition =
                    "m.status = 'queued' AND (m.user_id, m.run_at, m.id) < ($3, $2, $1)";
                let order = "m.user_id DESC, m.run_at DESC, m.id DESC";
                (select(condition, order), by_due)
            }
            (Some(Status::Queued), Some(_)) => {
                let condition =
                    "m.status = 'queued' AND m.user_id = $4 AND (m.run_at, m.id) < ($2, $1)";
                (select(condition, "m.run_at DESC, m.id DESC"), by_due)
            }
            (Some(Status::Processed | Status::Dead | Status::Cancelled), None) => {
                let condition = "m.processed_at IS NOT NULL AND m.status = $5
                    AND (m.processed_at, m.id) < ($2, $1)";
                (select(condition, "m.processed_at DESC, m.id DESC"), by_end)
            }
            (Some(Status::Processed | Status::Dead | Status::Cancelled), Some(_)) => {
                let condition = "m.processed_at IS NOT NULL AND m.user_id = $4 AND m.status = $5
                    AND m.id < $1";
                (select(condition, "m.id DESC"), by_id)
            }
        };
        Self { statement, token }
    }
}

impl Store {
    /// The message `id`, whosever it is.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn any_message(&self, id: &MessageId) -> Result<Option<Message>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM messages m WHERE m.id = $1");
        let params = [Param::Text(id.as_str())];
        self.lists().first(text, &params, message).await
    }

    /// Up to `limit` messages of everyone or of `user`, those with `status` if it is given, and those behind `before` if
    /// that is.
    ///
    /// The newest are first. Of everyone's that ended (all of one status), it is the ones that ended last. Queued ones come by
    /// user, and those that are due last first.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn all_messages(
        &self,
        status: Option<Status>,
        user: Option<&UserId>,
        before: Option<&MessagePageToken>,
        limit: u32,
    ) -> Result<MessagePage, StoreError> {
        let Reading { statement, token } = Reading::of(status, user);
        let params = [
            Param::Text(before.map_or(AFTER_ALL, |token| &token.id)),
            Param::Int(before.map_or(i64::MAX, |token| token.time)),
            Param::Text(before.map_or(AFTER_ALL, |token| &token.user)),
            Param::Text(user.map_or("", UserId::as_str)),
            Param::Text(status.map_or("", Status::as_str)),
            Param::Int(i64::from(limit) + 1),
        ];
        let read = |row: &AnyRow| {
            let (message, token) = (message(row)?, token(row)?);
            Ok(ListedMessage { message, token })
        };
        let page = self.lists().page(statement, &params, limit, read).await?;
        let last = page.items.last().filter(|_| page.more);
        Ok(MessagePage {
            next: last.map(|last| last.token.clone()),
            items: page.items.into_iter().map(|item| item.message).collect(),
        })
    }
}

/// A message, and where the page behind it begins.
struct ListedMessage {
    message: Message,
    token: MessagePageToken,
}

impl JsonBytes for ListedMessage {
    fn json_bytes(&self) -> usize {
        self.message.json_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;

    #[test]
    fn a_page_token_is_read_back_from_its_text() {
        let token = MessagePageToken {
            user: "u".into(),
            time: -7,
            id: "m".into(),
        };
        assert_eq!(token.to_string().parse(), Ok(token));
        let id = MessagePageToken {
            user: String::new(),
            time: 0,
            id: "m".into(),
        };
        assert_eq!("m".parse(), Ok(id));
        for text in ["", ".", "m.x", "m."] {
            assert_eq!(
                text.parse::<MessagePageToken>(),
                Err(InvalidPageToken),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn no_page_is_read_by_a_walk_through_all_messages() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let store = Store::open(options).await.unwrap();
        let user = UserId::new();
        let all = Status::ALL.into_iter().map(Some).chain([None]);
        for (status, user) in all.flat_map(|status| [(status, None), (status, Some(&user))]) {
            let reading = Reading::of(status, user);
            let text = format!("EXPLAIN QUERY PLAN {}", reading.statement);
            let rows = sqlx::query(crate::bulk::statement(text))
                .bind(AFTER_ALL)
                .bind(i64::MAX)
                .bind(AFTER_ALL)
                .bind("")
                .bind("")
                .bind(10_i64)
                .fetch_all(store.readers())
                .await
                .unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            if status == Some(Status::Processing) {
                // An index that has no other messages.
                assert_eq!(plan[0], "SCAN m USING INDEX messages_leased");
                continue;
            }
            assert!(plan[0].starts_with("SEARCH m USING INDEX"), "{plan:#?}");
            let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
            assert!(!sorts, "{plan:#?}");
        }
        store.close().await;
    }
}
