//! Live sessions one by one: listed, and ended by an administrator.

use std::{
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use herald_acl::Username;

use super::{Entry, Registry, Sessions};
use crate::{
    delivery::Subscriber as _,
    host::Credential,
    ids::SessionId,
    live_sessions::{self, LiveQuery, LiveSession, NoSessionId},
    mailbox::Mailbox,
    wire::Reason,
};

/// Sessions looked up under one lock.
const PART: usize = 64;

/// What the registry knows of one session.
struct Found {
    session: SessionId,
    username: Username,
    client_id: Arc<str>,
    credential: Credential,
    mailbox: Arc<Mailbox>,
}

impl Registry {
    /// The sessions that `query` asks for, in an order of their own that never changes. Those that have not had a connection
    /// yet are left out.
    pub(crate) fn list(&self, query: LiveQuery<'_>) -> Result<Vec<LiveSession>, NoSessionId> {
        // Of another run: all that live now are behind it.
        let mut after = query
            .after
            .map(live_sessions::session_of)
            .transpose()?
            .flatten();
        let mut listed = vec![];
        while listed.len() < query.limit {
            let count = PART.min(query.limit - listed.len());
            let found = match query.username {
                Some(username) => self.state.lock().of_user(username, after, count),
                None => self.state.lock().of_all(after, count),
            };
            let Some(last) = found.last() else { break };
            after = Some(last.session);
            listed.extend(found.iter().filter_map(Found::view));
        }
        Ok(listed)
    }

    /// The session with this [id](LiveSession::id).
    pub(crate) fn session(&self, id: &str) -> Option<LiveSession> {
        let session = live_sessions::session_of(id).ok().flatten()?;
        self.state.lock().find(session)?.view()
    }

    /// Ends the session with this [id](LiveSession::id). Returns what it was.
    pub(crate) fn kick(&self, id: &str) -> Option<LiveSession> {
        let session = live_sessions::session_of(id).ok().flatten()?;
        let found = self.state.lock().find(session)?;
        let was = found.view()?;
        // No harm if it has ended meanwhile.
        found.mailbox.stop(Reason::Kicked);
        Some(was)
    }

    /// The mailboxes of all sessions that have a connection, the oldest sessions first.
    pub(crate) fn connected(&self) -> Vec<Arc<Mailbox>> {
        let state = self.state.lock();
        let all = state
            .owners
            .keys()
            .filter_map(|session| state.find(*session));
        let mailboxes = all.map(|found| found.mailbox);
        mailboxes.filter(|mailbox| mailbox.is_online()).collect()
    }
}

impl Sessions {
    fn of_all(&self, after: Option<SessionId>, count: usize) -> Vec<Found> {
        let from = after.map_or(Unbounded, Excluded);
        let sessions = self.owners.range((from, Unbounded));
        sessions
            .filter_map(|(session, _)| self.find(*session))
            .take(count)
            .collect()
    }

    fn of_user(&self, username: &Username, after: Option<SessionId>, count: usize) -> Vec<Found> {
        let entries = self.users.get(username).into_iter().flatten();
        let mut behind: Vec<&Entry> = entries.filter(|e| Some(e.session) > after).collect();
        behind.sort_unstable_by_key(|e| e.session);
        behind.truncate(count);
        behind.iter().map(|e| Found::new(username, e)).collect()
    }

    fn find(&self, session: SessionId) -> Option<Found> {
        let username = self.owners.get(&session)?;
        let mut entries = self.users.get(username)?.iter();
        let entry = entries.find(|e| e.session == session)?;
        Some(Found::new(username, entry))
    }
}

impl Found {
    fn new(username: &Username, entry: &Entry) -> Self {
        Self {
            session: entry.session,
            username: username.clone(),
            client_id: entry.client_id.clone(),
            credential: entry.credential.clone(),
            mailbox: entry.mailbox.clone(),
        }
    }

    /// The session as it is now; `None` before its first connection.
    fn view(&self) -> Option<LiveSession> {
        let view = self.mailbox.view()?;
        Some(LiveSession {
            id: live_sessions::id_of(self.session),
            username: self.username.clone(),
            client_id: self.client_id.clone(),
            credential: self.credential.clone(),
            peer: view.online.then(|| view.link.peer()),
            transport: view.link.transport,
            protocol: view.link.protocol,
            began_at: view.link.began_at,
            keep_alive_s: view.link.keep_alive_s,
            subscriptions: view.subscriptions,
            in_flight: view.in_flight,
        })
    }
}
