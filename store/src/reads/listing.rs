//! Everyone's messages, page by page. Each page is a few steps in an index, however many messages there are.

use std::fmt;
use std::str::FromStr;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::dialect::{Dialect, Param};
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

/// How a page is read.
struct Reading<'a> {
    statement: String,
    params: Vec<Param<'a>>,
    /// Where the page behind a message begins, from its row.
    token: fn(&AnyRow) -> Result<MessagePageToken, sqlx::Error>,
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

/// A condition on messages `m`, and its parameters from `$1` on.
struct Condition<'a> {
    text: String,
    params: Vec<Param<'a>>,
    /// The index, if it has to be named.
    index: String,
}

impl<'a> Condition<'a> {
    fn new(text: &str, params: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            text: text.to_owned(),
            params: params.into_iter().map(Param::Text).collect(),
            index: String::new(),
        }
    }

    fn by_status_time(mut self, dialect: Dialect) -> Self {
        self.index = dialect.by_status_time();
        self
    }

    /// Those of them that have less in these columns.
    fn before(mut self, dialect: Dialect, row: &[(&str, Param<'a>)]) -> Self {
        let columns: Vec<_> = row.iter().map(|(column, _)| *column).collect();
        let (text, values) = dialect.compare_rows(&columns, '<', self.params.len() + 1);
        if !self.text.is_empty() {
            self.text += " AND ";
        }
        self.text += &text;
        self.params
            .extend(values.into_iter().map(|value| row[value].1));
        self
    }

    fn statement(mut self, order: &str, limit: u32) -> (String, Vec<Param<'a>>) {
        self.params.push(Param::Int(i64::from(limit) + 1));
        let text = format!(
            "SELECT {COLUMNS} FROM messages m{} WHERE {} ORDER BY {order} LIMIT ${}",
            self.index,
            self.text,
            self.params.len()
        );
        (text, self.params)
    }
}

impl<'a> Reading<'a> {
    /// The page of up to `limit` messages, and one more, behind `before`.
    fn of(
        dialect: Dialect,
        status: Option<Status>,
        user: Option<&'a UserId>,
        before: Option<&'a MessagePageToken>,
        limit: u32,
    ) -> Self {
        let text =
            |part: fn(&MessagePageToken) -> &str| Param::Text(before.map_or(AFTER_ALL, part));
        let id = |column| (column, text(|token| &token.id));
        let time = Param::Int(before.map_or(i64::MAX, |token| token.time));
        let ended = status.map(Status::as_str);
        let user = user.map(UserId::as_str);
        let (condition, order, token): (_, _, fn(&AnyRow) -> _) = match status {
            None => {
                let condition = user.map_or("", |_| "m.user_id = $1");
                let condition = Condition::new(condition, user).before(dialect, &[id("m.id")]);
                (condition, "m.id DESC", by_id)
            }
            // There are no more than workers have claimed. Not by the index of ids, nor by that of a user.
            Some(Status::Processing) => {
                let condition = match user {
                    Some(_) => "m.status = 'processing' AND COALESCE(m.user_id, '') = $1",
                    None => "m.status = 'processing'",
                };
                let condition = Condition::new(condition, user).by_status_time(dialect);
                let condition = condition.before(dialect, &[id("COALESCE(m.id, '')")]);
                (condition, "m.id DESC", by_id)
            }
            Some(Status::Queued) if user.is_none() => {
                let row = [
                    ("m.user_id", text(|token| &token.user)),
                    ("m.run_at", time),
                    id("m.id"),
                ];
                let condition = Condition::new("m.status = 'queued'", None).before(dialect, &row);
                (
                    condition,
                    "m.user_id DESC, m.run_at DESC, m.id DESC",
                    by_due,
                )
            }
            Some(Status::Queued) => {
                let condition = Condition::new("m.status = 'queued' AND m.user_id = $1", user);
                let condition = condition.before(dialect, &[("m.run_at", time), id("m.id")]);
                (condition, "m.run_at DESC, m.id DESC", by_due)
            }
            Some(Status::Processed | Status::Dead | Status::Cancelled) if user.is_none() => {
                let condition = "m.processed_at IS NOT NULL AND m.status = $1";
                let condition = Condition::new(condition, ended).by_status_time(dialect);
                let (ended, order) = match dialect {
                    Dialect::Sqlite | Dialect::Postgres => {
                        ("m.processed_at", "m.processed_at DESC, m.id DESC")
                    }
                    Dialect::MySql => ("m.status_at", "m.status_at DESC, m.id DESC"),
                };
                let condition = condition.before(dialect, &[(ended, time), id("m.id")]);
                (condition, order, by_end)
            }
            Some(Status::Processed | Status::Dead | Status::Cancelled) => {
                let condition = "m.processed_at IS NOT NULL AND m.user_id = $1 AND m.status = $2";
                let condition = Condition::new(condition, user.into_iter().chain(ended));
                (condition.before(dialect, &[id("m.id")]), "m.id DESC", by_id)
            }
        };
        let (statement, params) = condition.statement(order, limit);
        Self {
            statement,
            params,
            token,
        }
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
        let dialect = self.readers().dialect();
        let Reading {
            statement,
            params,
            token,
        } = Reading::of(dialect, status, user, before, limit);
        let read = move |row: &AnyRow| {
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
    use crate::statement::Statement;

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
            let reading = Reading::of(Dialect::Sqlite, status, user, None, 9);
            let text = format!("EXPLAIN QUERY PLAN {}", reading.statement);
            let explain = Statement::new(crate::bulk::statement(text));
            let explain = reading
                .params
                .into_iter()
                .fold(explain, |explain, param| match param {
                    Param::Text(text) => explain.bind(text),
                    Param::Int(number) => explain.bind(number),
                });
            let rows = store.readers().fetch_all(explain).await.unwrap();
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
