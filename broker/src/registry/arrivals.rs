//! Clients that have signed in, while other servers are told that they are here.

use std::{collections::HashMap, sync::Arc};

use crate::{ids::SessionId, owners::OwnSession, wire::Reason};

/// Under which key and client id each waits, with the number of its takeover, and why it has come to nothing if it has.
#[derive(Default)]
pub(super) struct Arrivals(HashMap<Key, Vec<(u64, Option<Reason>)>>);

/// The host's key for a user, and a client id.
type Key = (Arc<str>, Arc<str>);

/// What there is of a user's sessions when a client arrives.
pub(crate) struct Arrived {
    pub(crate) session: OwnSession,
    /// The session that there is, or else is to be.
    pub(crate) listed: SessionId,
    /// How many there are under other client ids.
    pub(crate) here: usize,
    /// Whether one of those waits for its client.
    pub(crate) idle_here: bool,
}

impl Arrivals {
    /// One waits from now on.
    pub(super) fn begin(&mut self, session: &OwnSession) {
        let waiting = self.0.entry(key(session)).or_default();
        waiting.push((session.number, None));
    }

    /// It waits no more.
    pub(super) fn end(&mut self, session: &OwnSession) {
        let key = key(session);
        if let Some(waiting) = self.0.get_mut(&key) {
            waiting.retain(|(number, _)| *number != session.number);
            if waiting.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    /// Why it has come to nothing, if it has.
    pub(super) fn over(&self, session: &OwnSession) -> Option<Reason> {
        let mut waiting = self.0.get(&key(session))?.iter();
        waiting.find(|(number, _)| *number == session.number)?.1
    }

    /// Whether one waits for the same session.
    pub(super) fn has(&self, session: &OwnSession) -> bool {
        self.0.contains_key(&key(session))
    }

    /// Whether one waits for the session that the user with this key has under `client_id`.
    pub(super) fn has_any(&self, user_id: &Arc<str>, client_id: &Arc<str>) -> bool {
        let key = (user_id.clone(), client_id.clone());
        self.0.contains_key(&key)
    }

    /// Those up to this takeover come to nothing.
    pub(super) fn stop(&mut self, up_to: &OwnSession, reason: Reason) {
        for (number, over) in self.0.get_mut(&key(up_to)).into_iter().flatten() {
            if *number <= up_to.number {
                over.get_or_insert(reason);
            }
        }
    }

    /// All come to nothing.
    pub(super) fn stop_all(&mut self, reason: Reason) {
        for (_, over) in self.0.values_mut().flatten() {
            over.get_or_insert(reason);
        }
    }
}

fn key(session: &OwnSession) -> Key {
    (session.user_id.clone(), session.client_id.clone())
}
