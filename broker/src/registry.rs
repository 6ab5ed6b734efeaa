//! The live sessions: who is connected, under which client id, and who taps.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use herald_acl::{TopicFilter, Username};
use parking_lot::Mutex;

use crate::{
    bus::{Message, SessionId},
    host::{Credential, Identity, Notification, Revoked},
    mailbox::{Delivery, Mailbox},
    topics,
    wire::{PublishProperties, Qos, Reason},
};

struct Entry {
    session: SessionId,
    client_id: Arc<str>,
    credential: Credential,
    mailbox: Arc<Mailbox>,
}

/// A live copy of other users' notifications, for an administrator's eyes.
struct Tap {
    session: SessionId,
    owner: Username,
    filter: TopicFilter,
    text: Arc<str>,
    mailbox: Arc<Mailbox>,
}

#[derive(Default)]
struct State {
    users: HashMap<Username, Vec<Entry>>,
    taps: Vec<Tap>,
}

/// Sessions are keyed by (user, client id): another user's client id is another session.
#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
}

/// The user has as many sessions as allowed.
#[derive(Debug)]
pub(crate) struct TooManySessions;

impl Registry {
    /// Enters a session. One of the same user with the same client id is told to go (MQTT 5 section 3.1.4-3).
    pub(crate) fn enter(
        &self,
        identity: &Identity,
        client_id: &Arc<str>,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
        limit: usize,
    ) -> Result<(), TooManySessions> {
        let mut state = self.state.lock();
        let entries = state.users.entry(identity.username.clone()).or_default();
        if let Some(old) = entries.iter().position(|e| e.client_id == *client_id) {
            entries.swap_remove(old).mailbox.stop(Reason::TakenOver);
        }
        if entries.len() >= limit {
            return Err(TooManySessions);
        }
        entries.push(Entry {
            session,
            client_id: client_id.clone(),
            credential: identity.credential.clone(),
            mailbox: mailbox.clone(),
        });
        Ok(())
    }

    /// Removes a session and its taps, if it is still there.
    pub(crate) fn leave(&self, identity: &Identity, session: SessionId) {
        let mut state = self.state.lock();
        if let Some(entries) = state.users.get_mut(&identity.username) {
            entries.retain(|e| e.session != session);
            if entries.is_empty() {
                state.users.remove(&identity.username);
            }
        }
        state.taps.retain(|t| t.session != session);
    }

    /// Copies what other users are notified of, and `filter` matches, to `mailbox`.
    pub(crate) fn tap(
        &self,
        identity: &Identity,
        filter: &TopicFilter,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
    ) {
        self.untap(session, filter);
        self.state.lock().taps.push(Tap {
            session,
            owner: identity.username.clone(),
            filter: filter.clone(),
            text: filter.as_str().into(),
            mailbox: mailbox.clone(),
        });
    }

    /// Ends what [`Registry::tap`] began.
    pub(crate) fn untap(&self, session: SessionId, filter: &TopicFilter) {
        self.state
            .lock()
            .taps
            .retain(|t| t.session != session || &t.filter != filter);
    }

    /// Wakes the sessions of `username`, and copies to the taps. Answers how many copies had to be dropped.
    pub(crate) fn notify(&self, username: &Username, notification: &Notification) -> u64 {
        let state = self.state.lock();
        for entry in state.users.get(username).into_iter().flatten() {
            entry.mailbox.wake(notification);
        }
        if state.taps.is_empty() {
            return 0;
        }
        let message = Arc::new(copy(username, &notification.payload));
        let mut dropped = 0;
        // A tap on one's own inbox is the inbox itself.
        for tap in state.taps.iter().filter(|t| &t.owner != username) {
            if tap.filter.matches(&message.topic) {
                dropped += tap.mailbox.deliver(Delivery {
                    filter: tap.text.clone(),
                    message: message.clone(),
                    retained: false,
                });
            }
        }
        dropped
    }

    /// Makes the sessions of `username` look into their inbox.
    pub(crate) fn nudge(&self, username: &Username) {
        let state = self.state.lock();
        for entry in state.users.get(username).into_iter().flatten() {
            entry.mailbox.nudge();
        }
    }

    /// Makes every session ask the ACL again whether it may have what it has subscribed to.
    pub(crate) fn recheck_all(&self) {
        for entry in self.state.lock().users.values().flatten() {
            entry.mailbox.recheck();
        }
    }

    /// Ends the sessions that `revoked` names.
    pub(crate) fn revoke(&self, username: &Username, revoked: &Revoked) {
        let state = self.state.lock();
        for entry in state.users.get(username).into_iter().flatten() {
            if revoked.ends(&entry.credential) {
                entry.mailbox.stop(Reason::NotAuthorized);
            }
        }
    }

    /// Ends all sessions.
    pub(crate) fn stop_all(&self, reason: Reason) {
        for entry in self.state.lock().users.values().flatten() {
            entry.mailbox.stop(reason);
        }
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().users.values().map(Vec::len).sum()
    }
}

fn copy(username: &Username, payload: &Bytes) -> Message {
    Message {
        topic: topics::inbox(username),
        payload: payload.clone(),
        qos: Qos::AtMostOnce,
        retain: false,
        properties: PublishProperties::default(),
        origin: SessionId::next(),
        expires: None,
    }
}

#[cfg(test)]
mod tests {
    use herald_acl::Role;

    use super::*;

    fn identity(name: &str) -> Identity {
        Identity {
            user_id: name.into(),
            username: Username::parse(name).unwrap(),
            role: Role::User,
            credential: Credential::Password,
        }
    }

    fn enter(registry: &Registry, name: &str, client_id: &str) -> (SessionId, Arc<Mailbox>) {
        let (session, mailbox) = (SessionId::next(), Arc::new(Mailbox::default()));
        registry
            .enter(&identity(name), &client_id.into(), session, &mailbox, 2)
            .unwrap();
        (session, mailbox)
    }

    fn notification() -> Notification {
        Notification {
            seq: 1,
            payload: "x".into(),
        }
    }

    #[test]
    fn the_same_client_id_takes_over_only_within_one_user() {
        let registry = Registry::default();
        let (_, alice) = enter(&registry, "alice", "phone");
        let (_, bob) = enter(&registry, "bob", "phone");
        assert!(alice.take(false).stop.is_none());
        let (_, second) = enter(&registry, "alice", "phone");
        assert_eq!(alice.take(false).stop, Some(Reason::TakenOver));
        assert!(second.take(false).stop.is_none() && bob.take(false).stop.is_none());
        assert_eq!(registry.len(), 2);
    }

    #[test]
    fn a_session_that_was_taken_over_does_not_remove_its_successor() {
        let registry = Registry::default();
        let (old, _) = enter(&registry, "alice", "phone");
        let (_, new) = enter(&registry, "alice", "phone");
        registry.leave(&identity("alice"), old);
        registry.notify(&Username::parse("alice").unwrap(), &notification());
        assert_eq!(new.take(false).fresh.len(), 1);
    }

    #[test]
    fn one_user_cannot_hold_more_sessions_than_allowed() {
        let registry = Registry::default();
        enter(&registry, "alice", "1");
        enter(&registry, "alice", "2");
        let third = registry.enter(
            &identity("alice"),
            &"3".into(),
            SessionId::next(),
            &Arc::default(),
            2,
        );
        assert!(third.is_err());
        enter(&registry, "bob", "3");
    }

    #[test]
    fn a_wake_up_reaches_the_sessions_of_its_user_alone() {
        let registry = Registry::default();
        let (_, alice) = enter(&registry, "alice", "1");
        let (_, bob) = enter(&registry, "bob", "1");
        registry.notify(&Username::parse("alice").unwrap(), &notification());
        assert_eq!(alice.take(false).fresh.len(), 1);
        let mail = bob.take(false);
        assert!(mail.fresh.is_empty() && mail.shared.is_empty());
    }
}
