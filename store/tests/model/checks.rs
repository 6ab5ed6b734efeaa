//! What is read through the store, beside what the model knows of it.

use herald_store::Notification;

use crate::model::Model;

impl Model {
    /// What is read of a user's inbox is what was told then, unless the message is gone.
    pub(crate) fn check_inbox(&self, user: &str, read: &[Notification]) {
        let of_user = (user.to_owned(), i64::MIN)..=(user.to_owned(), i64::MAX);
        let kept: Vec<_> = self.tables.notifications.range(of_user).collect();
        assert_eq!(kept.len(), read.len());
        for ((key, (message, _)), read) in kept.into_iter().zip(read) {
            let told = &self.told[key];
            if self.tables.messages.contains_key(message) {
                assert_eq!(told, read);
            } else {
                assert_eq!(told.seq, read.seq);
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
}
