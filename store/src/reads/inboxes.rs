//! The inboxes of many users at once, for a server that hears what others have finished.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::inbox::{INBOXES, notification};
use crate::page::JsonBytes;
use crate::statement::Statement;
use crate::{Notification, Page, Seq, Store, StoreError, UserId, bulk};

/// How many notifications are read at once, at most.
const NUMBERS: usize = 256;

/// How many users are looked for with one statement.
const USERS: usize = 1024;

impl Store {
    /// The most numbers that [`numbered_notifications`](Self::numbered_notifications) takes.
    pub const NUMBERS: usize = NUMBERS;

    /// Those notifications that have these numbers in these inboxes, in the order of their users and numbers; no more than
    /// `max_bytes` hold, but one at least. With one statement. Of more numbers than [`NUMBERS`](Self::NUMBERS) the first are
    /// read.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn numbered_notifications(
        &self,
        numbers: &[(UserId, Seq)],
        max_bytes: usize,
    ) -> Result<Page<(UserId, Notification)>, StoreError> {
        let numbers = &numbers[..numbers.len().min(NUMBERS)];
        if numbers.is_empty() {
            return Ok(Page::default());
        }
        // Few different statements, as each has to be prepared. One that is there twice is read once.
        let count = numbers.len().next_power_of_two();
        let dialect = self.readers().dialect();
        let text = format!(
            "{INBOXES} WHERE (n.user_id, n.seq) IN ({}) ORDER BY n.user_id, n.seq",
            bulk::keys(dialect, count, 2, 1)
        );
        let last = &numbers[numbers.len() - 1];
        let padded = numbers.iter().chain(std::iter::repeat(last)).take(count);
        let statement = padded.fold(Statement::made(text), |statement, (user, seq)| {
            statement.bind(user.as_str().to_owned()).bind(seq.0)
        });
        let (epoch, most) = (self.epoch(), self.notification_bytes());
        let read = move |row: &AnyRow| {
            let user = UserId::from_string(row.try_get::<String, _>("user_id")?);
            Ok((user, notification(row, &epoch, most)?))
        };
        let readers = self.readers();
        readers
            .page(statement, NUMBERS as u32, max_bytes, read)
            .await
    }

    /// The number of the newest notification of each of these users, [`Seq::NONE`] if there is none. Those who are not there
    /// are left out.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn newest_numbers(&self, users: &[UserId]) -> Result<Vec<(UserId, Seq)>, StoreError> {
        let mut newest = Vec::with_capacity(users.len());
        for users in users.chunks(USERS) {
            let count = users.len().next_power_of_two();
            let list = bulk::list(count, 1);
            let text = format!("SELECT user_id, last_seq FROM inboxes WHERE user_id IN ({list})");
            let padded = users.iter().chain(std::iter::repeat(&users[0])).take(count);
            let padded = padded.map(|user| user.as_str().to_owned());
            let statement = Statement::made(text).bind_all(padded);
            for row in self.readers().fetch_all(statement).await? {
                let user = UserId::from_string(row.try_get::<String, _>("user_id")?);
                newest.push((user, Seq(row.try_get("last_seq")?)));
            }
        }
        Ok(newest)
    }
}

impl JsonBytes for (UserId, Notification) {
    fn json_bytes(&self) -> usize {
        self.1.json_bytes()
    }
}
