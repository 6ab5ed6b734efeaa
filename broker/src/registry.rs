//! The live sessions: who is connected, under which client id, and which of them observe others.

mod arrivals;
mod arriving;
mod elsewhere;
mod inboxes;
mod listing;
mod revocations;

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::Arc,
};

use bytes::Bytes;
use herald_acl::{Role, TopicFilter, Username, topics};
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    delivery::Subscriber as _,
    host::{Credential, Identity, Notification, Revoked},
    ids::{SessionId, SubscriptionKey},
    mailbox::Mailbox,
    message::Message,
    observers::Observers,
    owners::{OwnSession, Owned, SessionOwners},
    state::{HandedSession, Takeover},
    wire::Reason,
};

use arrivals::Arrivals;
pub(crate) use arrivals::Arrived;
use revocations::Revocations;

struct Entry {
    session: SessionId,
    /// The host's key: a name may come to be another user's.
    user_id: Arc<str>,
    client_id: Arc<str>,
    role: Role,
    credential: Credential,
    mailbox: Arc<Mailbox>,
    /// Of the last takeover; 0 without other servers.
    number: u64,
}

#[derive(Default)]
struct Sessions {
    users: HashMap<Username, Vec<Entry>>,
    /// Whose each session is, in the order in which sessions are listed.
    owners: BTreeMap<SessionId, Username>,
    /// Administrators who get live copies of other users' notifications.
    observers: Observers,
    revocations: Revocations,
    arrivals: Arrivals,
    /// Who waits for the end of which session.
    waiting: Vec<(SessionId, oneshot::Sender<Infallible>)>,
}

/// Sessions are keyed by (user, client id): another user's client id is another session.
#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<Sessions>,
    /// Knows which sessions other servers have, if there are any.
    owners: Option<Arc<dyn SessionOwners>>,
}

/// What comes of entering a session.
pub(crate) enum Entered {
    /// The client had none.
    New,
    /// The client's session is taken over from its owner.
    TakingOver {
        /// An error if it was lost.
        handed: oneshot::Receiver<HandedSession>,
        mailbox: Arc<Mailbox>,
        /// It is not the client's session any more, as another server had that meanwhile.
        is_stale: bool,
    },
}

/// How a session that is to end comes to its end.
pub(crate) enum Ending {
    /// Its owner hands it over, and whoever gets it ends it.
    Handed {
        identity: Identity,
        handed: oneshot::Receiver<HandedSession>,
        mailbox: Arc<Mailbox>,
    },
    /// Its owner ends it. Fails then.
    Ends(oneshot::Receiver<Infallible>),
}

/// Why no session is entered.
#[derive(Debug)]
pub(crate) enum NotEntered {
    /// The user has as many sessions as allowed.
    TooMany,
    /// What was arrived for has come to nothing.
    Over(Reason),
}

impl Registry {
    /// An empty one, on a server that is the only one unless it has `owners`.
    pub(crate) fn new(owners: Option<Arc<dyn SessionOwners>>) -> Self {
        Self {
            state: Mutex::default(),
            owners,
        }
    }

    /// What knows which sessions other servers have.
    pub(crate) fn owners(&self) -> Option<&Arc<dyn SessionOwners>> {
        self.owners.as_ref()
    }

    /// Enters a session, or takes over the one that the same user has under the same client id (MQTT 5 section 3.1.4-3). A
    /// session without a connection makes room for a new one. Among other servers, the client has `arrived` before.
    pub(crate) fn enter(
        &self,
        identity: &Identity,
        client_id: &Arc<str>,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
        limit: usize,
        arrived: Option<(&OwnSession, Owned)>,
    ) -> Result<Entered, NotEntered> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let (number, owned) = match arrived {
            Some((arrived, owned)) => (arrived.number, Some(owned)),
            None => (0, None),
        };
        if let Some(reason) = arrived.and_then(|(arrived, _)| state.arrivals.over(arrived)) {
            return Err(NotEntered::Over(reason));
        }
        let elsewhere = owned.map_or(0, |owned| owned.elsewhere);
        let entries = state.users.entry(identity.username.clone());
        // Most users have one session.
        let entries = entries.or_insert_with(|| Vec::with_capacity(1));
        if let Some(old) = entries.iter_mut().find(|e| e.is_of(identity, client_id)) {
            let (takeover, handed) = oneshot::channel();
            old.credential = identity.credential.clone();
            old.mailbox.take_over(takeover);
            let mailbox = old.mailbox.clone();
            let is_stale = owned.is_some_and(|owned| old.number < owned.first_number);
            old.number = old.number.max(number);
            return Ok(Entered::TakingOver {
                handed,
                mailbox,
                is_stale,
            });
        }
        let mut made_room = None;
        if entries.len() + elsewhere >= limit {
            let idle = entries.iter().position(|e| e.mailbox.is_idle());
            let idle = entries.remove(idle.ok_or(NotEntered::TooMany)?);
            idle.mailbox.stop(Reason::QuotaExceeded);
            state.owners.remove(&idle.session);
            made_room = Some(idle);
        }
        entries.push(Entry {
            session,
            user_id: identity.user_id.clone(),
            client_id: client_id.clone(),
            role: identity.role,
            credential: identity.credential.clone(),
            mailbox: mailbox.clone(),
            number,
        });
        state.owners.insert(session, identity.username.clone());
        if let Some(gone) = made_room {
            self.removed(state, &identity.username, &gone);
        }
        Ok(Entered::New)
    }

    /// Whether the client has a session.
    pub(crate) fn has(&self, identity: &Identity, client_id: &str) -> bool {
        let state = self.state.lock();
        let mut entries = state.users.get(&identity.username).into_iter().flatten();
        entries.any(|e| e.is_of(identity, client_id))
    }

    /// Removes a session, if it is still there, unless a new connection waits for it: then returns where it does. What the
    /// session observes ends either way.
    pub(crate) fn leave(&self, username: &Username, session: SessionId) -> Option<Takeover> {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.observers.remove(session, None);
        let entries = state.users.get_mut(username)?;
        let at = entries.iter().position(|e| e.session == session)?;
        let takeover = entries[at].mailbox.take_takeover();
        if takeover.is_none() {
            let gone = entries.remove(at);
            state.owners.remove(&session);
            if entries.is_empty() {
                state.users.remove(username);
            }
            self.removed(state, username, &gone);
        }
        takeover
    }

    /// Removes a session that was lost. Whoever waits for it learns that.
    pub(crate) fn forget(&self, username: &Username, session: SessionId) {
        while self.leave(username, session).is_some() {}
    }

    /// Copies what other users are notified of, and `filter` matches, to `mailbox`.
    pub(crate) fn observe(
        &self,
        owner: &Username,
        filter: &TopicFilter,
        subscription: (SessionId, SubscriptionKey),
        mailbox: Arc<Mailbox>,
    ) {
        let mut state = self.state.lock();
        state.observers.add(owner, filter, subscription, mailbox);
    }

    /// Ends what [`Registry::observe`] began; with `filter` `None`, all of the session's.
    pub(crate) fn unobserve(&self, session: SessionId, filter: Option<&TopicFilter>) {
        self.state.lock().observers.remove(session, filter);
    }

    /// Wakes the sessions of the user whose key is `user_id`, and copies to the observers. Returns how many copies had to be
    /// dropped.
    pub(crate) fn notify(
        &self,
        user_id: &str,
        username: &Username,
        notification: &Notification,
    ) -> u64 {
        let state = self.state.lock();
        for entry in state.of(user_id, username) {
            entry.mailbox.wake(notification);
        }
        state.copy(username, &notification.payload)
    }

    /// Copies a notification of another server to the observers. Returns how many copies had to be dropped.
    pub(crate) fn copy(&self, username: &Username, payload: &Bytes) -> u64 {
        self.state.lock().copy(username, payload)
    }

    /// Whether anybody observes what others are notified of.
    pub(crate) fn is_observed(&self) -> bool {
        !self.state.lock().observers.is_empty()
    }

    /// Makes the sessions of `username` look into their inbox.
    pub(crate) fn nudge(&self, username: &Username) {
        let state = self.state.lock();
        for entry in state.users.get(username).into_iter().flatten() {
            entry.mailbox.nudge();
        }
    }

    /// Makes the session that the user with this key and name has under `client_id` leave out the notifications up to `up_to`.
    /// `false`: there is none.
    pub(crate) fn skip(
        &self,
        user_id: &str,
        username: &Username,
        client_id: &str,
        up_to: i64,
    ) -> bool {
        let state = self.state.lock();
        let mut entries = state.of(user_id, username);
        let entry = entries.find(|e| *e.client_id == *client_id);
        if let Some(entry) = entry {
            entry.mailbox.skip(up_to);
        }
        entry.is_some()
    }

    /// Makes every session ask the ACL again whether it may have what it has subscribed to.
    pub(crate) fn recheck_all(&self) {
        for entry in self.state.lock().users.values().flatten() {
            entry.mailbox.recheck();
        }
    }

    /// Ends the sessions that `revoked` names, those that are about to begin among them.
    pub(crate) fn revoke(&self, username: &Username, revoked: &Revoked) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.revocations.note(now, username, revoked);
        for entry in state.users.get(username).into_iter().flatten() {
            if revoked.ends(&entry.credential) {
                entry.mailbox.stop(Reason::NotAuthorized);
            }
        }
    }

    /// The sessions of all who have this name.
    pub(crate) fn sessions_of(&self, username: &Username) -> Vec<SessionId> {
        let state = self.state.lock();
        let entries = state.users.get(username).into_iter().flatten();
        entries.map(|e| e.session).collect()
    }

    /// Whether what `identity` rests on was revoked after its login began at `since`.
    pub(crate) fn is_revoked(&self, identity: &Identity, since: Instant) -> bool {
        self.state.lock().revocations.have(identity, since)
    }

    /// Makes all sessions look into their inboxes.
    pub(crate) fn nudge_all(&self) {
        for entry in self.state.lock().users.values().flatten() {
            entry.mailbox.nudge();
        }
    }

    /// Makes all sessions do what they can do now.
    pub(crate) fn wake_all(&self) {
        for entry in self.state.lock().users.values().flatten() {
            entry.mailbox.wake_up();
        }
    }

    /// Ends the connections of all sessions.
    pub(crate) fn disconnect_all(&self, reason: Reason) {
        for entry in self.state.lock().users.values().flatten() {
            entry.mailbox.disconnect(reason);
        }
    }

    /// Ends all sessions.
    pub(crate) fn stop_all(&self, reason: Reason) {
        for entry in self.state.lock().users.values().flatten() {
            entry.mailbox.stop(reason);
        }
    }

    /// How many sessions there are, and how many of them have a connection.
    pub(crate) fn count(&self) -> (usize, usize) {
        let state = self.state.lock();
        let all = || state.users.values().flatten();
        let online = all().filter(|e| e.mailbox.is_online()).count();
        (all().count(), online)
    }
}

impl Sessions {
    fn copy(&self, username: &Username, payload: &Bytes) -> u64 {
        if self.observers.is_empty() {
            return 0;
        }
        let message = Message::of_ours(topics::inbox(username), payload.clone());
        // Users get their own inbox anyway.
        self.observers.copy(&Arc::new(message), Some(username))
    }

    /// Those of the user with this key and name: a name may have come to be another user's.
    fn of(&self, user_id: &str, username: &Username) -> impl Iterator<Item = &Entry> {
        let entries = self.users.get(username).into_iter().flatten();
        entries.filter(move |e| *e.user_id == *user_id)
    }
}

impl Entry {
    fn is_of(&self, identity: &Identity, client_id: &str) -> bool {
        self.user_id == identity.user_id && *self.client_id == *client_id
    }

    /// Whose it is. `username` is that of its user.
    fn identity(&self, username: &Username) -> Identity {
        Identity {
            user_id: self.user_id.clone(),
            username: username.clone(),
            role: self.role,
            credential: self.credential.clone(),
        }
    }

    /// As other servers know it. `username` is that of its user.
    fn own_session(&self, username: &Username) -> OwnSession {
        OwnSession {
            user_id: self.user_id.clone(),
            username: username.clone(),
            client_id: self.client_id.clone(),
            number: self.number,
        }
    }
}

#[cfg(test)]
mod tests;
