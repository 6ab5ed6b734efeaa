//! What is read through the store, beside what the model knows of it.

use herald_store::{Notification, StatusCounts};

use crate::model::Model;

impl Model {
    /// What is read of a user's inbox is as it was when it was new, unless the message is gone.
    pub(crate) fn check_inbox(&self, user: &str, read: &[Notification]) {
        let of_user = (user.to_owned(), i64::MIN)..=(user.to_owned(), i64::MAX);
        let kept: Vec<_> = self.tables.notifications.range(of_user).collect();
        assert_eq!(kept.len(), read.len());
        for ((key, (message, _)), read) in kept.into_iter().zip(read) {
            let notified = &self.notified[key];
            if self.tables.messages.contains_key(message) {
                assert_eq!(notified, read);
            } else {
                assert_eq!(notified.seq, read.seq);
                assert!(read.payload.contains(r#""deleted":true"#), "{read:?}");
            }
        }
    }

    /// What is read of a user's messages says why the last attempt failed, and what became of them.
    pub(crate) fn check_messages(&self, read: &[herald_store::Message]) {
        for message in read {
            let error = self.errors.get(message.id.as_str());
            assert_eq!(message.error.as_ref(), error, "{}", message.id);
            let processed = message.status == herald_store::Status::Processed;
            assert_eq!(message.result.is_some(), processed, "{}", message.id);
        }
    }

    /// When the first of all queued messages is due.
    pub(crate) fn oldest_due(&self) -> Option<i64> {
        let users = self.tables.inboxes.keys();
        users.filter_map(|user| self.due(user)).min()
    }

    /// How many messages have each status.
    pub(crate) fn counts(&self) -> StatusCounts {
        let with = |status| {
            let messages = self.tables.messages.values();
            messages.filter(|m| m.status == status).count() as u64
        };
        StatusCounts {
            queued: with("queued"),
            processing: with("processing"),
            processed: with("processed"),
            dead: with("dead"),
            cancelled: with("cancelled"),
        }
    }
}
