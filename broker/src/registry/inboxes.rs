//! Whose inboxes are served here: for what other servers finish.

use std::sync::Arc;

use herald_acl::Username;

use super::Registry;
use crate::{delivery::Subscriber as _, host::Notification};

impl Registry {
    /// The key and the name of each user who has a session with a connection.
    pub(crate) fn online(&self) -> Vec<(Arc<str>, Username)> {
        let state = self.state.lock();
        let mut online = vec![];
        for (username, entries) in &state.users {
            // A name may have come to be another user's, while sessions of the old one end.
            let mut keys: Vec<&Arc<str>> = vec![];
            for entry in entries.iter().filter(|e| e.mailbox.is_online()) {
                if !keys.contains(&&entry.user_id) {
                    keys.push(&entry.user_id);
                }
            }
            online.extend(keys.into_iter().map(|key| (key.clone(), username.clone())));
        }
        online
    }

    /// Whether the user with this key and name has a session with a connection.
    pub(crate) fn is_online(&self, user_id: &str, username: &Username) -> bool {
        let state = self.state.lock();
        state.of(user_id, username).any(|e| e.mailbox.is_online())
    }

    /// Wakes the sessions of the user with this key and name.
    pub(crate) fn wake(&self, user_id: &str, username: &Username, fresh: &Notification) {
        let state = self.state.lock();
        for entry in state.of(user_id, username) {
            entry.mailbox.wake(fresh);
        }
    }

    /// Tells the sessions of the user with this key and name how far the inbox goes, at least.
    pub(crate) fn tell_newest(&self, user_id: &str, username: &Username, newest: i64) {
        let state = self.state.lock();
        for entry in state.of(user_id, username) {
            entry.mailbox.tell_newest(newest);
        }
    }
}
