//! Sessions whose user is gone and which have yet to end.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use herald_acl::{OwnTopics, TopicName};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::ids::SessionId;

/// How long after a user is forgotten here the user's sessions have ended on all servers, or these are cut off.
const ENDED: Duration = Duration::from_secs(2);

/// How long it is known: nothing of another server comes as late.
const KEPT: Duration = Duration::from_secs(15);

/// Of how many users.
const USERS: usize = 10_000;

/// What was their user's own may be another user's of the same name by now, who must get nothing of it through them.
#[derive(Default)]
pub(super) struct Forgotten {
    /// As many as there are sessions at most: each is taken out when it ends.
    sessions: RwLock<HashMap<SessionId, Arc<OwnTopics>>>,
    elsewhere: Mutex<VecDeque<Elsewhere>>,
}

/// A user whose sessions on other servers may just end.
struct Elsewhere {
    own: Arc<OwnTopics>,
    until: SystemTime,
    since: Instant,
}

impl Forgotten {
    /// The user of `sessions` is gone, to whom `own` belonged.
    pub(super) fn add(&self, sessions: Vec<SessionId>, own: &Arc<OwnTopics>) {
        let all = sessions.into_iter().map(|session| (session, own.clone()));
        self.sessions.write().extend(all);
    }

    /// The same for what comes from other servers: `now` is by the clock that all go by.
    pub(super) fn add_elsewhere(&self, own: &Arc<OwnTopics>, now: SystemTime) {
        let mut users = self.elsewhere.lock();
        let at = Instant::now();
        while users.front().is_some_and(|user| user.since + KEPT < at) {
            users.pop_front();
        }
        // Whoever has more to forget than this at once forgets the first a little early: they have been waited for.
        if users.len() >= USERS {
            users.pop_front();
        }
        users.push_back(Elsewhere {
            own: own.clone(),
            until: now + ENDED,
            since: at,
        });
    }

    /// Whether what another server has published to `topic` at that time may be of a user who is gone.
    pub(super) fn owned_elsewhere(&self, topic: &TopicName, published: SystemTime) -> bool {
        let users = self.elsewhere.lock();
        let mut lately = users.iter().filter(|user| published <= user.until);
        lately.any(|user| user.own.contains(topic))
    }

    /// `session` has ended.
    pub(super) fn remove(&self, session: SessionId) {
        if !self.sessions.read().is_empty() {
            self.sessions.write().remove(&session);
        }
    }

    /// Whether `session` is one of them.
    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.sessions.read().contains_key(&session)
    }

    /// Whether `session` is one of them and `topic` was its user's own.
    pub(super) fn owned(&self, session: SessionId, topic: &TopicName) -> bool {
        let all = self.sessions.read();
        all.get(&session).is_some_and(|own| own.contains(topic))
    }
}
