//! What waits in a mailbox, as the session takes it out.

use std::collections::VecDeque;

use crate::{
    delivery::Delivery,
    host::Notification,
    state::Takeover,
    user_bytes::{Held, UserBytes},
    wire::Reason,
};

/// Fresh notifications kept for a session that has not looked yet; past it the session reads the log.
pub(super) const FRESH: usize = 8;

/// Bytes of them; a larger one is read from the log.
pub(super) const FRESH_BYTES: usize = 256 * 1024;

/// All that was waiting.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) fresh: VecDeque<Notification>,
    /// Wake-ups were dropped: read the log.
    pub(crate) missed: bool,
    /// The log goes up to this number, at least.
    pub(crate) newest: i64,
    /// The client is not to have the notifications up to this number.
    pub(crate) skip: i64,
    pub(crate) shared: VecDeque<Delivery>,
    /// Of the user's bytes, what these messages take.
    pub(crate) held: Held,
    /// The ACL has changed.
    pub(crate) recheck: bool,
    pub(crate) stop: Option<Reason>,
    /// A new connection waits for the session.
    pub(crate) is_taken_over: bool,
}

/// What a session without a connection has to know.
pub(crate) struct Orders {
    /// Why it must end.
    pub(crate) stop: Option<Reason>,
    /// The ACL has changed.
    pub(crate) recheck: bool,
    /// A new connection waits for it.
    pub(crate) takeover: Option<Takeover>,
}

impl Mail {
    /// Takes a fresh notification in, or notes that one was missed.
    pub(super) fn add_fresh(&mut self, fresh: &Notification, user: &UserBytes) {
        let size = fresh.payload.len();
        let waiting: usize = self.fresh.iter().map(|n| n.payload.len()).sum();
        let fits = waiting + size <= FRESH_BYTES && self.fresh.len() < FRESH && !self.missed;
        match fits.then(|| user.try_hold(size)).flatten() {
            Some(room) => {
                self.held.add(room);
                self.fresh.push_back(fresh.clone());
            }
            None => self.missed = true,
        }
    }

    /// Leaves fresh notifications to be read from the log.
    pub(super) fn drop_fresh(&mut self) {
        if !self.fresh.is_empty() {
            self.fresh = VecDeque::new();
            self.held = Held::default();
            self.missed = true;
        }
    }

    /// The session is to end with `reason`. Of several, the [weightiest](Reason::weight) stands, and of those the first: who
    /// was too slow has lost the right to be here nonetheless.
    pub(super) fn stop(&mut self, reason: Reason) {
        if self.stop.is_none_or(|old| old.weight() < reason.weight()) {
            self.stop = Some(reason);
        }
    }
}
