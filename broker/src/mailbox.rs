//! What others hand to a session: wake-ups, shared messages, the order to stop. Bounded, and never waited on.

mod waiting;

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    delivery::{Delivery, Subscriber},
    host::Notification,
    ids::SubscriptionKey,
    limits::Limits,
    live::Link,
    state::Takeover,
    user_bytes::{Held, UserBytes},
    wire::{Qos, Reason},
};
use waiting::Waiting;

/// Fresh notifications kept for a session that has not looked yet; past it the session reads the log.
const FRESH: usize = 8;

/// Bytes of them; a larger one is read from the log.
const FRESH_BYTES: usize = 256 * 1024;

/// How often others wait for one turn of a session.
const WAITS: u32 = 5;

/// All that was waiting.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) fresh: VecDeque<Notification>,
    /// Wake-ups were dropped: read the log.
    pub(crate) missed: bool,
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

/// Whether the session has a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Online,
    /// Not yet again: one is taking it over.
    TakenOver,
    Offline,
}

struct State {
    /// All but the shared messages.
    mail: Mail,
    shared: Waiting,
    /// Of the user's bytes, what `shared` takes.
    shared_held: Held,
    /// What the session holds itself of messages that it is owed, in bytes, while it has no connection.
    held: usize,
    presence: Presence,
    /// How often others have waited for the session's next turn, up to [`WAITS`].
    waits: u32,
    /// Shared messages that have come since its last turn.
    since_turn: usize,
    /// Some subscription to shared topics is above QoS 0.
    owed: bool,
    subscriptions: u32,
    takeover: Option<Takeover>,
    /// The connection, or the last one; `None` before the first.
    link: Option<Arc<Link>>,
}

impl State {
    /// Whether the session must not lose `delivery`.
    fn is_owed(&self, delivery: &Delivery) -> bool {
        self.owed && delivery.message.qos != Qos::AtMostOnce
    }

    /// Makes room for `delivery`, at the cost of what need not be delivered. Answers how many messages had to go, itself
    /// among them, and whether one of them was owed.
    fn take_in(
        &mut self,
        delivery: Delivery,
        messages: usize,
        bytes: usize,
        user: &UserBytes,
    ) -> (u64, bool) {
        let size = delivery.message.size();
        let full = |state: &Self| {
            let held = state.shared.bytes() + state.held;
            state.shared.len() >= messages || held + size > bytes
        };
        if user.room() + self.shared.bytes() < size {
            // Other sessions of the user hold too much: nothing that this one could drop makes room.
            return (1, self.is_owed(&delivery));
        }
        let (mut dropped, mut lost) = (0, false);
        loop {
            if !full(self) || self.shared.is_empty() {
                if let Some(room) = user.try_hold(size) {
                    self.shared_held.add(room);
                    break;
                }
                if self.shared.is_empty() {
                    return (dropped + 1, lost || self.is_owed(&delivery));
                }
            }
            if !self.owed {
                self.shared.drop_oldest();
            } else if !self.shared.drop_at_0() {
                if !self.is_owed(&delivery) {
                    return (dropped + 1, lost);
                }
                self.shared.drop_oldest();
                lost = true;
            }
            self.shared_held.keep(self.shared.bytes());
            dropped += 1;
        }
        self.shared.push(delivery);
        (dropped, lost)
    }

    /// Takes all shared messages, with what they take of the user's bytes.
    fn take_shared(&mut self) -> (VecDeque<Delivery>, Held) {
        (self.shared.take(), std::mem::take(&mut self.shared_held))
    }
}

/// A session's letter box. Anyone may put in; only the session takes out.
pub(crate) struct Mailbox {
    state: Mutex<State>,
    ready: Notify,
    /// Packets in flight to the client, as the session last said.
    in_flight: AtomicU32,
    /// Most shared messages that wait, and their bytes.
    messages: usize,
    bytes: usize,
    /// What all sessions of the user may hold.
    user: UserBytes,
}

impl Mailbox {
    /// An empty one, of a session that is connected.
    pub(crate) fn new(limits: &Limits, user: UserBytes) -> Self {
        Self {
            state: Mutex::new(State {
                mail: Mail::default(),
                shared: Waiting::default(),
                shared_held: Held::default(),
                held: 0,
                presence: Presence::Online,
                waits: 0,
                since_turn: 0,
                owed: false,
                subscriptions: 0,
                takeover: None,
                link: None,
            }),
            ready: Notify::new(),
            in_flight: AtomicU32::new(0),
            messages: limits.queued_messages,
            bytes: limits.queued_bytes,
            user,
        }
    }

    /// A notification was finished for this session's user.
    pub(crate) fn wake(&self, fresh: &Notification) {
        {
            let mut state = self.state.lock();
            if state.presence != Presence::Online {
                state.mail.missed = true;
                return;
            }
            let waiting: usize = state.mail.fresh.iter().map(|n| n.payload.len()).sum();
            let fits = waiting + fresh.payload.len() <= FRESH_BYTES;
            let fits = fits && state.mail.fresh.len() < FRESH && !state.mail.missed;
            let room = fits.then(|| self.user.try_hold(fresh.payload.len()));
            if let Some(room) = room.flatten() {
                state.mail.held.add(room);
                state.mail.fresh.push_back(fresh.clone());
            } else {
                state.mail.missed = true;
            }
        }
        self.ready.notify_one();
    }

    /// There may be more in the inbox than the session was told of.
    pub(crate) fn nudge(&self) {
        self.state.lock().mail.missed = true;
        self.ready.notify_one();
    }

    /// The session is to leave out the notifications up to `up_to`.
    pub(crate) fn skip(&self, up_to: i64) {
        {
            let skip = &mut self.state.lock().mail.skip;
            *skip = up_to.max(*skip);
        }
        self.ready.notify_one();
    }

    /// Another session begins under this name: what the last one was to leave out is none of its business.
    pub(crate) fn forget_skip(&self) {
        self.state.lock().mail.skip = 0;
    }

    /// How many subscriptions the session has, and whether some one to shared topics is above QoS 0: only then is it owed
    /// anything.
    pub(crate) fn set_subscriptions(&self, count: usize, owed: bool) {
        let mut state = self.state.lock();
        state.subscriptions = u32::try_from(count).unwrap_or(u32::MAX);
        state.owed = owed;
    }

    /// How many packets are in flight to the client, for whoever [looks](Self::look).
    pub(crate) fn set_in_flight(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.in_flight.store(count, Ordering::Relaxed);
    }

    /// What the session shows of itself; `None` before its first connection.
    pub(crate) fn look(&self) -> Option<Look> {
        let state = self.state.lock();
        Some(Look {
            link: state.link.clone()?,
            online: state.presence == Presence::Online,
            subscriptions: state.subscriptions as usize,
            in_flight: self.in_flight.load(Ordering::Relaxed) as usize,
        })
    }

    /// Makes the session ask the ACL again.
    pub(crate) fn recheck(&self) {
        self.state.lock().mail.recheck = true;
        self.ready.notify_one();
    }

    /// Ends the session with `reason`. Of several, the [weightiest](Reason::weight) stands, and of those the first: who was
    /// too slow has lost the right to be here nonetheless.
    pub(crate) fn stop(&self, reason: Reason) {
        {
            let stop = &mut self.state.lock().mail.stop;
            if stop.is_none_or(|old| old.weight() < reason.weight()) {
                *stop = Some(reason);
            }
        }
        self.ready.notify_one();
    }

    /// Asks whoever owns the session to hand it over. An earlier takeover that still waits lapses: its connection is the one
    /// that is taken over.
    pub(crate) fn take_over(&self, takeover: Takeover) {
        {
            let mut state = self.state.lock();
            state.takeover = Some(takeover);
            if state.presence == Presence::Offline {
                state.presence = Presence::TakenOver;
            }
        }
        self.ready.notify_one();
    }

    /// Where the session is to be handed over, if a new connection waits for it.
    pub(crate) fn take_takeover(&self) -> Option<Takeover> {
        self.state.lock().takeover.take()
    }

    /// Whether a new connection waits for the session.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.state.lock().takeover.is_some()
    }

    /// Whether nobody would notice if the session ended now: it has no connection, and none is taking it up.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().presence == Presence::Offline
    }

    /// Whether the session was told to end as its user lost the right to it.
    pub(crate) fn is_revoked(&self) -> bool {
        self.state.lock().mail.stop == Some(Reason::NotAuthorized)
    }

    /// The session has a connection. That an earlier one was too slow is over.
    pub(crate) fn go_online(&self, link: Arc<Link>) {
        let mut state = self.state.lock();
        state.presence = Presence::Online;
        state.link = Some(link);
        state.held = 0;
        state.mail.stop.take_if(|r| *r == Reason::QuotaExceeded);
    }

    /// The session has none any more: only what it is owed is still kept for it, besides what it holds itself, in bytes.
    pub(crate) fn go_offline(&self, held: usize) {
        let mut state = self.state.lock();
        state.held = held;
        state.presence = if state.takeover.is_some() {
            Presence::TakenOver
        } else {
            Presence::Offline
        };
        if !state.mail.fresh.is_empty() {
            state.mail.fresh = VecDeque::new();
            state.mail.held = Held::default();
            state.mail.missed = true;
        }
        let owed = state.owed;
        let all = state.shared.take().into_iter();
        for delivery in all.filter(|d| owed && d.message.qos != Qos::AtMostOnce) {
            state.shared.push(delivery);
        }
        let left = state.shared.bytes();
        state.shared_held.keep(left);
    }

    /// Takes what waits for this subscription; all that is shared with `None`. Orders stay.
    pub(crate) fn take_shared(&self, subscription: Option<SubscriptionKey>) -> VecDeque<Delivery> {
        let wanted = |d: &Delivery| subscription.is_none_or(|key| d.is_for(key));
        let mut state = self.state.lock();
        let taken = state.shared.take_those(wanted);
        let left = state.shared.bytes();
        state.shared_held.keep(left);
        taken
    }

    /// What all sessions of the user may hold.
    pub(crate) fn user_bytes(&self) -> &UserBytes {
        &self.user
    }

    /// Resolves when there may be something to take. Cancel-safe.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Why the session has to end, if it has to.
    fn over(&self) -> Option<Reason> {
        let state = self.state.lock();
        let taken_over = state.takeover.is_some().then_some(Reason::TakenOver);
        state.mail.stop.or(taken_over)
    }

    /// What `work` comes to; if the session has to end before, why, and `work` is dropped.
    pub(crate) async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Result<T, Reason> {
        let mut work = pin!(work);
        let mut woken = false;
        let done = loop {
            tokio::select! {
                biased;
                done = work.as_mut() => break Ok(done),
                () = self.ready() => {
                    woken = true;
                    if let Some(reason) = self.over() {
                        break Err(reason);
                    }
                }
            }
        };
        if woken {
            // What has come is not taken yet.
            self.ready.notify_one();
        }
        done
    }

    /// Takes all that is waiting; with `leave_shared`, shared messages stay, for a session whose socket is full.
    pub(crate) fn take(&self, leave_shared: bool) -> Mail {
        let mut state = self.state.lock();
        let mut mail = std::mem::take(&mut state.mail);
        (state.waits, state.since_turn) = (0, 0);
        mail.is_taken_over = state.takeover.is_some();
        if !leave_shared {
            let (shared, held) = state.take_shared();
            mail.shared = shared;
            mail.held.add(held);
        }
        mail
    }

    /// Takes what a session without a connection has to know. Why it must end stays, and then the takeover, too: it is for whoever
    /// ends the session.
    pub(crate) fn take_orders(&self) -> Orders {
        let mut state = self.state.lock();
        let stop = state.mail.stop;
        Orders {
            stop,
            recheck: std::mem::take(&mut state.mail.recheck),
            takeover: state.takeover.take_if(|_| stop.is_none()),
        }
    }
}

impl Subscriber for Mailbox {
    /// A session that is connected and would lose a message that it is owed is stopped instead of losing it in silence.
    fn deliver(&self, delivery: Delivery) -> u64 {
        let dropped = {
            let mut state = self.state.lock();
            let online = state.presence == Presence::Online;
            if !online && !state.is_owed(&delivery) {
                return 0;
            }
            let (dropped, lost) = state.take_in(delivery, self.messages, self.bytes, &self.user);
            state.since_turn += 1;
            if !online {
                return dropped;
            }
            if lost {
                state.mail.stop.get_or_insert(Reason::QuotaExceeded);
            }
            dropped
        };
        self.ready.notify_one();
        dropped
    }

    fn is_online(&self) -> bool {
        self.state.lock().presence == Presence::Online
    }

    /// Half of what may wait has come since its last turn: a client that does not read is no reason, as the session has its
    /// turn nonetheless.
    fn is_behind(&self) -> bool {
        let mut state = self.state.lock();
        let is_behind = state.presence == Presence::Online
            && state.waits < WAITS
            && state.since_turn >= self.messages.div_ceil(2);
        state.waits += u32::from(is_behind);
        is_behind
    }
}

/// What a session shows of itself.
pub(crate) struct Look {
    /// Its connection, or the last one.
    pub(crate) link: Arc<Link>,
    /// It has a connection.
    pub(crate) online: bool,
    pub(crate) subscriptions: usize,
    pub(crate) in_flight: usize,
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

#[cfg(test)]
impl Default for Mailbox {
    fn default() -> Self {
        let limits = Limits::default();
        Self::new(&limits, UserBytes::new(limits.session_bytes_per_user))
    }
}

#[cfg(test)]
mod tests;
