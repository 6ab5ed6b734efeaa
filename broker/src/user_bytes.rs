//! Bytes of messages that all sessions of a user hold together: what waits, what is under way in either direction, what was read
//! from the inbox, and what the socket has not taken. However many sessions a user has, no more is held.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of the bytes of a user, shared messages leave so much to the inbox: one part in so many. So what a device does not
/// acknowledge, and what waits for one that is away, never holds up the notifications of others.
const RESERVE: usize = 4;

/// With at least so many users, those without sessions are forgotten.
const FORGET_FROM: usize = 64;

/// The bytes of all users who have sessions.
pub(crate) struct UsersBytes {
    each: usize,
    users: Mutex<Users>,
}

#[derive(Default)]
struct Users {
    free: HashMap<Arc<str>, Weak<Semaphore>>,
    /// With so many users, those without sessions are forgotten.
    forget_at: usize,
}

/// The bytes of one user. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct UserBytes {
    free: Arc<Semaphore>,
    all: usize,
}

/// Bytes that are held, until dropped.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<OwnedSemaphorePermit>);

impl UsersBytes {
    /// Each user may hold so many.
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each: each.min(u32::MAX as usize),
            users: Mutex::default(),
        }
    }

    /// Those of the user with this key.
    pub(crate) fn of(&self, user_id: &Arc<str>) -> UserBytes {
        let users = &mut *self.users.lock();
        let all = self.each;
        if let Some(free) = users.free.get(user_id).and_then(Weak::upgrade) {
            return UserBytes { free, all };
        }
        if users.free.len() >= users.forget_at {
            users.free.retain(|_, free| free.strong_count() > 0);
            users.forget_at = FORGET_FROM + 2 * users.free.len();
        }
        let bytes = UserBytes::new(all);
        let free = Arc::downgrade(&bytes.free);
        users.free.insert(user_id.clone(), free);
        bytes
    }

    /// How many the sessions of the user with this key hold.
    pub(crate) fn held(&self, user_id: &str) -> usize {
        let free = self.users.lock().free.get(user_id).and_then(Weak::upgrade);
        free.map_or(0, |free| self.each - free.available_permits())
    }
}

impl UserBytes {
    pub(crate) fn new(all: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    /// How many a shared message may have now.
    pub(crate) fn room(&self) -> usize {
        let free = self.free.available_permits();
        free.saturating_sub(self.all / RESERVE)
    }

    /// Holds `bytes` for a shared message, if there is [room](Self::room).
    pub(crate) fn try_hold(&self, bytes: usize) -> Option<Held> {
        if bytes > self.room() {
            return None;
        }
        let permits = u32::try_from(bytes).ok()?;
        let permit = self.free.clone().try_acquire_many_owned(permits).ok()?;
        Some(Held(Some(permit)))
    }

    /// Holds `bytes` for a send that is not answered, if it leaves as much room to shared messages as to the inbox: what a user
    /// sends is not to cost their other sessions what these are owed.
    pub(crate) fn try_hold_send(&self, bytes: usize) -> Option<Held> {
        let room = self.room().saturating_sub(self.all / RESERVE);
        (bytes <= room).then(|| self.try_hold(bytes)).flatten()
    }

    /// Holds `bytes` for what is read from the inbox, or what is left to it in any case if that is less, once they are free.
    /// First come, first served. Cancel-safe.
    pub(crate) async fn hold(&self, bytes: usize) -> Held {
        let bytes = bytes.min(self.all / RESERVE);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        // It is never closed.
        Held(self.free.clone().acquire_many_owned(permits).await.ok())
    }
}

impl Held {
    /// Holds what `other` does, too, which are the same user's.
    pub(crate) fn add(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (Some(own), Some(other)) => own.merge(other),
            (none @ None, other) => *none = other,
            (Some(_), None) => {}
        }
    }

    /// Gives back all but `bytes`.
    pub(crate) fn keep(&mut self, bytes: usize) {
        let Some(own) = &mut self.0 else { return };
        drop(own.split(own.num_permits().saturating_sub(bytes)));
        if bytes == 0 {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn sessions_of_a_user_share_and_other_users_have_their_own() {
        let all = UsersBytes::new(100);
        let (alice, bob): (Arc<str>, Arc<str>) = ("alice".into(), "bob".into());
        let first = all.of(&alice);
        let held = first.try_hold(75).unwrap();
        assert!(all.of(&alice).try_hold(1).is_none());
        assert!(all.of(&bob).try_hold(75).is_some());
        assert_eq!((all.held("alice"), all.held("bob")), (75, 0));
        drop(held);
        assert_eq!(all.held("alice"), 0);
    }

    #[test]
    fn a_part_is_left_to_the_inbox() {
        let bytes = UserBytes::new(100);
        let mut held = bytes.try_hold(75).unwrap();
        assert_eq!(bytes.room(), 0);
        let read = bytes.hold(1000).now_or_never().unwrap();
        assert!(bytes.hold(1).now_or_never().is_none());
        held.keep(74);
        assert!(bytes.hold(1).now_or_never().is_some());
        drop(read);
        held.add(bytes.try_hold(1).unwrap());
        assert_eq!(bytes.room(), 0);
        held.add(Held::default());
        assert_eq!(bytes.room(), 0, "nothing is given back by nothing");
        held.keep(0);
        assert_eq!(bytes.room(), 75);
    }

    #[test]
    fn users_without_sessions_are_forgotten() {
        let all = UsersBytes::new(100);
        let kept = all.of(&"kept".into());
        for n in 0..10 * FORGET_FROM {
            all.of(&format!("{n}").into());
        }
        assert!(all.users.lock().free.len() <= 2 * FORGET_FROM);
        let _held = kept.try_hold(5);
        assert_eq!(all.held("kept"), 5);
    }
}
