//! What others hand to a session: wake-ups, shared messages, the order to stop. Bounded, and never waited on.
//! What is dropped where there is no room is decided in `shared`.

mod mail;
mod owner;
mod shared;
mod waiting;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    delivery::{Delivery, Outcome, Subscriber},
    host::Notification,
    limits::Limits,
    live_sessions::Link,
    state::Takeover,
    user_bytes::UserBytes,
    wire::Reason,
};
pub(crate) use mail::{Mail, Orders};
use shared::SharedQueue;

/// A session's mailbox. Anyone may put in; only the session's [owner](owner) takes out.
pub(crate) struct Mailbox {
    contents: Mutex<Contents>,
    ready: Notify,
    /// Packets in flight to the client, as the session last reported.
    in_flight: AtomicU32,
    user: UserBytes,
}

struct Contents {
    /// All but the shared messages.
    mail: Mail,
    shared: SharedQueue,
    presence: Presence,
    subscriptions: u32,
    takeover: Option<Takeover>,
    /// The connection, or the last one; `None` before the first.
    link: Option<Arc<Link>>,
}

/// Whether the session has a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Online,
    /// Not yet again: one is taking it over.
    TakenOver,
    Offline,
}

/// What a session shows of itself.
pub(crate) struct MailboxView {
    /// Its connection, or the last one.
    pub(crate) link: Arc<Link>,
    /// It has a connection.
    pub(crate) online: bool,
    pub(crate) subscriptions: usize,
    pub(crate) in_flight: usize,
}

impl Mailbox {
    /// An empty one, of a session that is connected. `user`: what all sessions of its user may hold.
    pub(crate) fn new(limits: &Limits, user: UserBytes) -> Self {
        Self {
            contents: Mutex::new(Contents {
                mail: Mail::default(),
                shared: SharedQueue::new(limits, user.clone()),
                presence: Presence::Online,
                subscriptions: 0,
                takeover: None,
                link: None,
            }),
            ready: Notify::new(),
            in_flight: AtomicU32::new(0),
            user,
        }
    }

    /// Changes what is in it, and wakes the session.
    fn put(&self, change: impl FnOnce(&mut Contents)) {
        change(&mut self.contents.lock());
        self.ready.notify_one();
    }

    /// A notification was finished for this session's user.
    pub(crate) fn wake(&self, fresh: &Notification) {
        {
            let mut contents = self.contents.lock();
            if contents.presence != Presence::Online {
                contents.mail.missed = true;
                return;
            }
            contents.mail.add_fresh(fresh, &self.user);
        }
        self.ready.notify_one();
    }

    /// The session may do what it could not do before.
    pub(crate) fn wake_up(&self) {
        self.ready.notify_one();
    }

    /// There may be more in the inbox than the session knows of.
    pub(crate) fn nudge(&self) {
        self.put(|contents| contents.mail.missed = true);
    }

    /// The inbox goes up to `newest`, at least, which the session may know.
    pub(crate) fn tell_newest(&self, newest: i64) {
        self.put(|contents| contents.mail.newest = newest.max(contents.mail.newest));
    }

    /// The session is to leave out the notifications up to `up_to`.
    pub(crate) fn skip(&self, up_to: i64) {
        self.put(|contents| contents.mail.skip = up_to.max(contents.mail.skip));
    }

    /// Makes the session ask the ACL again.
    pub(crate) fn recheck(&self) {
        self.put(|contents| contents.mail.recheck = true);
    }

    /// Ends the session with `reason`, unless a weightier one does.
    pub(crate) fn stop(&self, reason: Reason) {
        self.put(|contents| contents.mail.stop(reason));
    }

    /// The same for a session that has a connection, which a `reason` without weight ends alone.
    pub(crate) fn disconnect(&self, reason: Reason) {
        self.put(|contents| {
            if contents.presence == Presence::Online {
                contents.mail.stop(reason);
            }
        });
    }

    /// Asks whoever owns the session to hand it over. An earlier takeover that still waits lapses: its connection is the one
    /// that is taken over.
    pub(crate) fn take_over(&self, takeover: Takeover) {
        self.put(|contents| {
            contents.takeover = Some(takeover);
            if contents.presence == Presence::Offline {
                contents.presence = Presence::TakenOver;
            }
        });
    }

    /// Where the session is to be handed over, if a new connection waits for it.
    pub(crate) fn take_takeover(&self) -> Option<Takeover> {
        self.contents.lock().takeover.take()
    }

    /// What the session shows of itself; `None` before its first connection.
    pub(crate) fn view(&self) -> Option<MailboxView> {
        let contents = self.contents.lock();
        Some(MailboxView {
            link: contents.link.clone()?,
            online: contents.presence == Presence::Online,
            subscriptions: contents.subscriptions as usize,
            in_flight: self.in_flight.load(Ordering::Relaxed) as usize,
        })
    }

    /// Whether nobody would notice if the session ended now: it has no connection, and none is taking it over.
    pub(crate) fn is_idle(&self) -> bool {
        self.contents.lock().presence == Presence::Offline
    }
}

impl Subscriber for Mailbox {
    /// A session that is connected and would lose a message that it is owed is stopped instead of losing it in silence.
    fn deliver(&self, delivery: Delivery) -> Outcome {
        let outcome = {
            let mut contents = self.contents.lock();
            let online = contents.presence == Presence::Online;
            if !online && !contents.shared.owes(&delivery) {
                return Outcome::default();
            }
            let dropped = contents.shared.push(delivery);
            if !online {
                return Outcome::dropped(dropped.count);
            }
            if dropped.was_owed {
                contents.mail.stop(Reason::QuotaExceeded);
            }
            Outcome {
                dropped: dropped.count,
                is_behind: contents.shared.is_behind(),
            }
        };
        self.ready.notify_one();
        outcome
    }

    fn is_online(&self) -> bool {
        self.contents.lock().presence == Presence::Online
    }
}

#[cfg(test)]
impl Default for Mailbox {
    fn default() -> Self {
        let limits = Limits::default();
        Self::new(&limits, UserBytes::new(limits.session_bytes_per_user))
    }
}

#[cfg(test)]
mod tests;
