//! Sessions whose user is gone and which have yet to end.

use std::{collections::HashMap, sync::Arc};

use herald_acl::{OwnTopics, TopicName};
use parking_lot::RwLock;

use crate::ids::SessionId;

/// What was their user's own may be another user's of the same name by now, who must get nothing of it through them. As
/// many as there are sessions at most: each is taken out when it ends.
#[derive(Default)]
pub(super) struct Forgotten(RwLock<HashMap<SessionId, Arc<OwnTopics>>>);

impl Forgotten {
    /// The user of `sessions` is gone, to whom `own` belonged.
    pub(super) fn add(&self, sessions: Vec<SessionId>, own: &Arc<OwnTopics>) {
        let all = sessions.into_iter().map(|session| (session, own.clone()));
        self.0.write().extend(all);
    }

    /// `session` has ended.
    pub(super) fn remove(&self, session: SessionId) {
        if !self.0.read().is_empty() {
            self.0.write().remove(&session);
        }
    }

    /// Whether `session` is one of them.
    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.0.read().contains_key(&session)
    }

    /// Whether `session` is one of them and `topic` was its user's own.
    pub(super) fn owned(&self, session: SessionId, topic: &TopicName) -> bool {
        let all = self.0.read();
        all.get(&session).is_some_and(|own| own.contains(topic))
    }
}
