//! Sessions and tokens that were looked up lately, so that a request needs no read to know whose it is.
//!
//! What ends by this process is forgotten as that is committed; what ends by another one, as the changes of rights are read. If
//! these were not read for a while, nothing is answered from memory: so what has ended opens nothing a second later, wherever it
//! was ended.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herald_acl::Username;
use quick_cache::unsync::Cache;

use crate::{Changed, Moment, RightsChange, Session, Timestamp, Token, User};

/// How many tokens are remembered, and how many sessions; less than 1 KiB each. And of how many names and ids it is known when they
/// were forgotten: beyond that, all is.
const ROOM: usize = 10_000;

/// For how long what is remembered counts after the changes of rights were last asked for: in a running server that is several
/// times a second.
pub(crate) const CURRENT: Duration = Duration::from_millis(750);

/// After how long it is read again, for what no change of rights tells, such as a password that was hashed anew.
const LONGEST: Duration = Duration::from_secs(60);

/// Sessions and tokens by the hash of their secret.
pub(crate) struct CredentialCache {
    state: Mutex<State>,
}

struct State {
    tokens: Cache<String, Kept<(Token, User)>>,
    sessions: Cache<String, Kept<Session>>,
    /// When the user of this name, or what has this id, was last forgotten. What was looked up before does not count: to forget
    /// costs the same, however much is remembered.
    forgotten: HashMap<String, Turn>,
    /// When all was.
    all_forgotten: Turn,
    /// The last time that something was.
    last: Turn,
    /// The last change of rights that is known here; `None`: it is not known which were missed.
    seen: Option<i64>,
    current_until: Moment,
}

/// Counts what is forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Turn(u64);

/// When a look-up began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LookUp(Turn);

/// What was looked up, when, and until when it counts.
struct Kept<T> {
    found: T,
    looked_up: Turn,
    until: Moment,
}

/// What has an owner and an id, by which it is forgotten.
trait Credential: Clone {
    fn owner(&self) -> &Username;
    fn id(&self) -> &str;
}

impl Credential for (Token, User) {
    fn owner(&self) -> &Username {
        &self.1.username
    }

    fn id(&self) -> &str {
        self.0.id.as_str()
    }
}

impl Credential for Session {
    fn owner(&self) -> &Username {
        &self.user.username
    }

    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl CredentialCache {
    pub(crate) fn new() -> Self {
        let state = State {
            tokens: Cache::new(ROOM),
            sessions: Cache::new(ROOM),
            forgotten: HashMap::new(),
            all_forgotten: Turn::default(),
            last: Turn::default(),
            seen: None,
            current_until: Moment::default(),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// The token whose secret has this hash, and its owner, as they were when they were read.
    pub(crate) fn token(&self, hash: &str, now: Moment) -> Option<(Token, User)> {
        let state = self.state();
        state.valid(state.tokens.get(hash)?, now)
    }

    /// The session whose secret has this hash, as it was when it was read.
    pub(crate) fn session(&self, hash: &str, now: Moment) -> Option<Session> {
        let state = self.state();
        state.valid(state.sessions.get(hash)?, now)
    }

    /// Something is about to be read from the database.
    pub(crate) fn look_up(&self) -> LookUp {
        LookUp(self.state().last)
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
        if state.is_current(now) {
            let kept = Kept::new(found, look_up, now);
            state.tokens.insert(hash.to_owned(), kept);
        }
    }

    /// Remembers a session that was read.
    pub(crate) fn keep_session(&self, look_up: LookUp, found: &Session, now: Moment) {
        let mut state = self.state();
        if state.is_current(now) {
            let kept = Kept::new(found, look_up, now);
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

    /// Forgets all: it is not known what may have ended.
    pub(crate) fn forget_all(&self) {
        self.state().forget_all();
    }

    /// The changes after the number `after` were asked for at `asked`, and these are all.
    pub(crate) fn follow(&self, after: i64, changes: &[RightsChange], asked: Moment) {
        let mut state = self.state();
        // After a pause, the database may be another one than before.
        if state.seen.is_none_or(|seen| seen < after) || !state.is_current(asked) {
            state.forget_all();
        }
        for change in changes {
            state.forget(&change.changed);
        }
        let last = changes.last().map_or(after, |change| change.id);
        state.seen = Some(last.max(state.seen.unwrap_or(last)));
        state.current_until = state.current_until.max(asked.after(CURRENT));
    }

    /// Changes are not followed any more: forgets all, and remembers nothing until they are.
    pub(crate) fn stop(&self) {
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

    /// What was found, if it counts.
    fn valid<T: Credential>(&self, kept: &Kept<T>, now: Moment) -> Option<T> {
        let found = &kept.found;
        let forgotten = |what: &str| self.forgotten.get(what).copied().unwrap_or_default();
        let last = forgotten(found.owner().as_str())
            .max(forgotten(found.id()))
            .max(self.all_forgotten);
        let counts = self.is_current(now) && now < kept.until && last <= kept.looked_up;
        counts.then(|| found.clone())
    }

    fn forget(&mut self, changed: &Changed) {
        let what = match changed {
            Changed::Policy => return,
            Changed::User(username)
            | Changed::Password(username)
            | Changed::Forgotten(username) => username.as_str(),
            Changed::Credential { id, .. } => id.as_str(),
        };
        if self.forgotten.len() >= ROOM {
            self.forget_all();
        }
        self.last.0 += 1;
        self.forgotten.insert(what.to_owned(), self.last);
    }

    fn forget_all(&mut self) {
        self.tokens.clear();
        self.sessions.clear();
        self.forgotten.clear();
        self.last.0 += 1;
        self.all_forgotten = self.last;
    }
}

impl<T: Credential> Kept<T> {
    fn new(found: &T, LookUp(looked_up): LookUp, now: Moment) -> Self {
        Self {
            found: found.clone(),
            looked_up,
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
