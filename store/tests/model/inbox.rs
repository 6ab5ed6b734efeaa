//! What the model does with inboxes and cursors, and with what is old.

use herald_store::Pruned;

use crate::model::Model;
use crate::steps::Ack;
use crate::tables::Tables;

/// A client id that came back within this time is not noted as used, in milliseconds.
const JUST_USED: i64 = 3_600_000;

impl Model {
    pub(crate) fn subscribed(&mut self, user: &str, client: &str) -> i64 {
        let acked = self.tables.inboxes[user].acked_seq;
        let key = (user.to_owned(), client.to_owned());
        let cursor = self.tables.cursors.entry(key).or_insert((acked, self.now));
        if self.now >= cursor.1 + JUST_USED {
            cursor.1 = self.now;
        }
        cursor.0
    }

    pub(crate) fn went_to(&mut self, user: &str, client: &str, seq: i64) -> i64 {
        let at = seq.clamp(0, self.tables.inboxes[user].last_seq);
        let key = (user.to_owned(), client.to_owned());
        self.tables.cursors.insert(key, (at, self.now));
        at
    }

    pub(crate) fn acknowledged(&mut self, user: &str, client: Option<&str>, ack: &Ack) {
        if ack.up_to <= 0 {
            return;
        }
        let inbox = self.tables.inboxes.get_mut(user).unwrap();
        let up_to = ack.up_to.min(inbox.last_seq);
        let newly = (user.to_owned(), inbox.acked_seq + 1)..=(user.to_owned(), up_to);
        if *newly.start() <= *newly.end() {
            for (_, (message, _)) in self.tables.notifications.range(newly) {
                if let Some(message) = self.tables.messages.get_mut(message) {
                    message.delivered_at.get_or_insert(self.now);
                }
            }
        }
        inbox.acked_seq = inbox.acked_seq.max(up_to);
        if let Some(client) = client {
            let key = (user.to_owned(), client.to_owned());
            let cursor = self.tables.cursors.entry(key).or_default();
            *cursor = (cursor.0.max(up_to), self.now);
        }
    }

    pub(crate) fn pruned(&mut self, before: i64) -> Pruned {
        let old = |at: i64| at < before;
        let Tables {
            messages,
            failed,
            notifications,
            cursors,
            ..
        } = &mut self.tables;
        let counts = [messages.len(), notifications.len(), cursors.len()];
        messages.retain(|_, message| !message.processed_at.is_some_and(old));
        failed.retain(|(message, _), _| messages.contains_key(message));
        notifications.retain(|_, (_, made_at)| !old(*made_at));
        cursors.retain(|_, (_, used_at)| !old(*used_at));
        let left = [messages.len(), notifications.len(), cursors.len()];
        let gone = |table: usize| (counts[table] - left[table]) as u64;
        Pruned {
            messages: gone(0),
            notifications: gone(1),
            cursors: gone(2),
        }
    }
}
