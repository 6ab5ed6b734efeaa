//! Sessions that other servers have, or are to have.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Ending, Entry, Registry, Sessions};
use crate::{
    ids::SessionId,
    owners::{OwnSession, SessionEnd},
    wire::Reason,
};

impl Registry {
    /// Has this session end, if it is here and was not taken over since, and all arrivals for it come to nothing.
    pub(crate) fn end(&self, session: &OwnSession, end: SessionEnd) -> Option<Ending> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let reason = match end {
            SessionEnd::GoesOn | SessionEnd::BeginsAnew => Reason::TakenOver,
            SessionEnd::MakesRoom => Reason::QuotaExceeded,
            SessionEnd::Kicked => Reason::Kicked,
        };
        state.arrivals.stop(session, reason);
        let entry = state.entry(session)?;
        if entry.number > session.number {
            return None;
        }
        if reason == Reason::TakenOver {
            let (takeover, handed) = oneshot::channel();
            entry.mailbox.take_over(takeover);
            return Some(Ending::Handed {
                identity: entry.identity(&session.username),
                handed,
                mailbox: entry.mailbox.clone(),
            });
        }
        entry.mailbox.stop(reason);
        let (waiting, ends) = oneshot::channel();
        let session = entry.session;
        state.waiting.retain(|(_, waiting)| !waiting.is_closed());
        state.waiting.push((session, waiting));
        Some(Ending::Ends(ends))
    }

    /// The number of the last takeover that has begun.
    pub(crate) fn last_takeover(&self) -> u64 {
        let _no_other_begins = self.state.lock();
        SessionId::next().number()
    }

    /// Whether the user with this key has a session under `client_id`, or its client waits for it. Looks at all sessions, as a
    /// key says no name.
    pub(crate) fn is_or_arrives_here(&self, user_id: &Arc<str>, client_id: &Arc<str>) -> bool {
        let state = self.state.lock();
        let is_it = |e: &Entry| e.user_id == *user_id && e.client_id == *client_id;
        state.arrivals.has_any(user_id, client_id) || state.users.values().flatten().any(is_it)
    }

    /// All sessions, each with its last takeover.
    pub(crate) fn own_sessions(&self) -> Vec<OwnSession> {
        let state = self.state.lock();
        let all = state.users.iter();
        let all = all.flat_map(|(username, entries)| {
            entries.iter().map(|entry| entry.own_session(username))
        });
        all.collect()
    }
}

impl Sessions {
    /// The entry of a session, whatever its number.
    pub(super) fn entry(&self, session: &OwnSession) -> Option<&Entry> {
        let mut entries = self.users.get(&session.username)?.iter();
        entries.find(|e| e.user_id == session.user_id && e.client_id == session.client_id)
    }
}
