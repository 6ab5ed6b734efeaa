//! Clients arrive, and what comes of that; and what other servers are told of sessions that are here no more.

use std::sync::Arc;

use herald_acl::Username;

use super::{Entry, Registry, Sessions, arrivals::Arrived};
use crate::{
    host::Identity,
    ids::SessionId,
    owners::{OwnSession, Owned, SessionOwners},
    wire::Reason,
};

impl Registry {
    /// A client has signed in, and waits until its session is this server's.
    pub(crate) fn arrive(&self, identity: &Identity, client_id: &Arc<str>) -> Arrived {
        let mut state = self.state.lock();
        // Under the lock: what a session was up to when it left has a lower number than what arrives later.
        let number = SessionId::next();
        let session = OwnSession {
            user_id: identity.user_id.clone(),
            username: identity.username.clone(),
            client_id: client_id.clone(),
            number: number.number(),
        };
        state.arrivals.begin(&session);
        let entries = state.users.get(&identity.username);
        let entries = entries.map(Vec::as_slice).unwrap_or_default();
        let own = entries.iter().find(|e| e.is_of(identity, client_id));
        let others = || entries.iter().filter(|e| !e.is_of(identity, client_id));
        Arrived {
            session,
            listed: own.map_or(number, |e| e.session),
            here: others().count(),
            idle_here: others().any(|e| e.mailbox.is_idle()),
        }
    }

    /// It is decided what comes of a client that has [arrived](Self::arrive), whose session is this server's if it is `owned`: it
    /// has its session, or was turned away. Returns what is left of the session and has to end, as another server had it
    /// meanwhile.
    pub(crate) fn settle(&self, arrived: &OwnSession, owned: Option<Owned>) -> Option<OwnSession> {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.arrivals.end(arrived);
        let Some(entry) = state.entry(arrived) else {
            self.tell(state, arrived.clone(), SessionOwners::given_up);
            return None;
        };
        let session = entry.own_session(&arrived.username);
        if owned.is_some_and(|owned| entry.number < owned.first_number) {
            return Some(session);
        }
        if entry.mailbox.is_idle() {
            self.tell(state, session, SessionOwners::disconnected);
        }
        None
    }

    /// None of those who have arrived gets a session.
    pub(crate) fn stop_arrivals(&self, reason: Reason) {
        self.state.lock().arrivals.stop_all(reason);
    }

    /// The session has no connection any more.
    pub(crate) fn disconnected(&self, username: &Username, session: SessionId) {
        if self.owners.is_none() {
            return;
        }
        let state = self.state.lock();
        let mut entries = state.users.get(username).into_iter().flatten();
        if let Some(entry) = entries.find(|e| e.session == session) {
            let session = entry.own_session(username);
            self.tell(&state, session, SessionOwners::disconnected);
        }
    }

    /// A session was removed.
    pub(super) fn removed(&self, state: &mut Sessions, username: &Username, entry: &Entry) {
        state
            .waiting
            .retain(|(waits_for, _)| *waits_for != entry.session);
        if self.owners.is_some() {
            let session = entry.own_session(username);
            self.tell(state, session, SessionOwners::given_up);
        }
    }

    /// Tells other servers what has become of a session, with all takeovers of it that there have been; unless its client has
    /// just arrived again: then what comes of that tells them.
    fn tell(
        &self,
        state: &Sessions,
        mut session: OwnSession,
        what: impl FnOnce(&dyn SessionOwners, OwnSession),
    ) {
        let Some(owners) = &self.owners else { return };
        if !state.arrivals.has(&session) {
            session.number = SessionId::next().number();
            what(&**owners, session);
        }
    }
}
