//! Sessions and tokens that were looked up lately, so that a request needs no read to know whose it is.
//!
//! What ends by this process is forgotten as that is committed; what ends by another one, as the changes of rights are read. If
//! these were not read for a while, nothing is answered from memory: so what has ended opens nothing a second later, wherever it
//! was ended.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herald_acl::Username;
use quick_cache::unsync::Cache;

use crate::{Changed, Moment, RightsChange, Session, Timestamp, Token, User};

/// How many tokens are remembered, and how many sessions; less than 1 KiB each.
const ROOM: usize = 10_000;

/// For how long what is remembered counts after the changes of rights were last asked for: in a running server that is several
/// times a second.
const CURRENT: Duration = Duration::from_millis(750);

/// After how long it is read again, for what no change of rights tells, such as a password that was hashed anew.
const LONGEST: Duration = Duration::from_secs(60);

/// What was looked up, and until when it counts.
struct Kept<T> {
    found: T,
    until: Moment,
}

/// Sessions and tokens by the hash of their secret.
pub(crate) struct CredentialCache {
    state: Mutex<State>,
}

struct State {
    tokens: Cache<String, Kept<(Token, User)>>,
    sessions: Cache<String, Kept<Session>>,
    /// The last change of rights that is known here; `None`: it is not known which were missed.
    seen: Option<i64>,
    current_until: Moment,
    /// How often something was forgotten.
    times_forgotten: u64,
}

/// When a look-up began: what was forgotten since may be what it has found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LookUp {
    times_forgotten: u64,
}

impl CredentialCache {
    pub(crate) fn new() -> Self {
        let state = State {
            tokens: Cache::new(ROOM),
            sessions: Cache::new(ROOM),
            seen: None,
            current_until: Moment::default(),
            times_forgotten: 0,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// The token whose secret has this hash, and its owner, as they were when they were read.
    pub(crate) fn token(&self, hash: &str, now: Moment) -> Option<(Token, User)> {
        let state = self.state();
        state.is_current(now).then_some(())?;
        let kept = state.tokens.get(hash).filter(|kept| now < kept.until);
        kept.map(|kept| kept.found.clone())
    }

    /// The session whose secret has this hash, as it was when it was read.
    pub(crate) fn session(&self, hash: &str, now: Moment) -> Option<Session> {
        let state = self.state();
        state.is_current(now).then_some(())?;
        let kept = state.sessions.get(hash).filter(|kept| now < kept.until);
        kept.map(|kept| kept.found.clone())
    }

    /// Something is about to be read from the database.
    pub(crate) fn look_up(&self) -> LookUp {
        LookUp {
            times_forgotten: self.state().times_forgotten,
        }
    }

    /// Remembers a token that was read.
    pub(crate) fn keep_token(
        &self,
        look_up: LookUp,
        hash: &str,
        found: &(Token, User),
        now: Moment,
    ) {
        let mut state = self.state();
        if state.may_keep(look_up, now) {
            let kept = Kept::new(found.clone(), now);
            state.tokens.insert(hash.to_owned(), kept);
        }
    }

    /// Remembers a session that was read.
    pub(crate) fn keep_session(&self, look_up: LookUp, found: &Session, now: Moment) {
        let mut state = self.state();
        if state.may_keep(look_up, now) {
            let kept = Kept::new(found.clone(), now);
            state.sessions.insert(found.secret_hash.clone(), kept);
        }
    }

    /// A token was used at `at`, which is being written.
    pub(crate) fn touch_token(&self, hash: &str, at: Timestamp) {
        if let Some(mut kept) = self.state().tokens.get_mut(hash) {
            kept.found.0.last_used_at = Some(at);
        }
    }

    /// A session was used at `at`, which is being written.
    pub(crate) fn touch_session(&self, hash: &str, at: Timestamp) {
        if let Some(mut kept) = self.state().sessions.get_mut(hash) {
            kept.found.last_used_at = at;
        }
    }

    /// Forgets what these changes may have ended or changed.
    pub(crate) fn forget<'a>(&self, changes: impl IntoIterator<Item = &'a Changed>) {
        let mut state = self.state();
        for changed in changes {
            state.forget(changed);
        }
    }

    /// The changes after the number `after` were asked for at `asked`, and these are all.
    pub(crate) fn follow(&self, after: i64, changes: &[RightsChange], asked: Moment) {
        let mut state = self.state();
        if state.seen.is_none_or(|seen| seen < after) {
            state.forget_all();
        }
        for change in changes {
            state.forget(&change.changed);
        }
        let last = changes.last().map_or(after, |change| change.id);
        state.seen = Some(last.max(state.seen.unwrap_or(last)));
        state.current_until = state.current_until.max(asked.after(CURRENT));
    }

    /// Changes were missed for good.
    pub(crate) fn lost(&self) {
        let mut state = self.state();
        state.forget_all();
        state.seen = None;
        state.current_until = Moment::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialCache").finish_non_exhaustive()
    }
}

impl State {
    fn is_current(&self, now: Moment) -> bool {
        now < self.current_until
    }

    fn may_keep(&self, look_up: LookUp, now: Moment) -> bool {
        self.is_current(now) && look_up.times_forgotten == self.times_forgotten
    }

    fn forget(&mut self, changed: &Changed) {
        match changed {
            Changed::Policy => return,
            Changed::User(username)
            | Changed::Password(username)
            | Changed::Forgotten(username) => {
                self.forget_user(username);
            }
            Changed::Credential { id, .. } => {
                self.tokens.retain(|_, kept| kept.found.0.id.as_str() != id);
                self.sessions.retain(|_, kept| kept.found.id.as_str() != id);
            }
        }
        self.times_forgotten += 1;
    }

    fn forget_user(&mut self, username: &Username) {
        self.tokens
            .retain(|_, kept| kept.found.1.username != *username);
        self.sessions
            .retain(|_, kept| kept.found.user.username != *username);
    }

    fn forget_all(&mut self) {
        self.tokens.clear();
        self.sessions.clear();
        self.times_forgotten += 1;
    }
}

impl<T> Kept<T> {
    fn new(found: T, now: Moment) -> Self {
        Self {
            found,
            until: now.after(LONGEST),
        }
    }
}

/// Changes of rights that a transaction makes: forgotten when it has ended, however it did.
pub(crate) struct Ending {
    cache: Arc<CredentialCache>,
    changes: Vec<Changed>,
}

impl Ending {
    pub(crate) fn new(cache: Arc<CredentialCache>) -> Self {
        Self {
            cache,
            changes: vec![],
        }
    }

    pub(crate) fn add(&mut self, changes: &[Changed]) {
        self.changes.extend_from_slice(changes);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.changes.is_empty() {
            self.cache.forget(&self.changes);
        }
    }
}

#[cfg(test)]
mod tests;
