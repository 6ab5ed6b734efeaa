//! What the owner of a session does with its mailbox.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

use tokio::sync::Notify;

use super::{Mail, Mailbox, Orders, Presence};
use crate::{
    delivery::Delivery, ids::SubscriptionKey, live_sessions::Link, user_bytes::UserBytes,
    wire::Reason,
};

impl Mailbox {
    /// Another session begins with this mailbox: what the last one was to skip does not concern it.
    pub(crate) fn forget_skip(&self) {
        self.contents.lock().mail.skip = 0;
    }

    /// How many subscriptions the session has, and whether some one to shared topics is above QoS 0: only then is it owed
    /// anything.
    pub(crate) fn set_subscriptions(&self, count: usize, is_owed: bool) {
        let mut contents = self.contents.lock();
        contents.subscriptions = u32::try_from(count).unwrap_or(u32::MAX);
        contents.shared.is_owed = is_owed;
    }

    /// How many packets are in flight to the client, for those who [list](super::MailboxView) sessions.
    pub(crate) fn set_in_flight(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.in_flight.store(count, Ordering::Relaxed);
    }

    /// Whether a new connection waits for the session.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.contents.lock().takeover.is_some()
    }

    /// Another session begins with this mailbox: that the last one was to end does not concern it.
    pub(crate) fn forget_stop(&self) {
        let stop = &mut self.contents.lock().mail.stop;
        stop.take_if(|r| matches!(r, Reason::NotAuthorized | Reason::Kicked));
    }

    /// Whether the session is to end as its user lost the right to it.
    pub(crate) fn is_revoked(&self) -> bool {
        self.contents.lock().mail.stop == Some(Reason::NotAuthorized)
    }

    /// The session has a connection. That an earlier one was too slow, or had to end, is over.
    pub(crate) fn go_online(&self, link: Arc<Link>) {
        let mut contents = self.contents.lock();
        contents.presence = Presence::Online;
        contents.link = Some(link);
        contents.shared.go_online();
        let stop = &mut contents.mail.stop;
        stop.take_if(|r| matches!(r, Reason::QuotaExceeded | Reason::CutOff | Reason::Moved));
    }

    /// The session has none any more: only what it is owed is still kept for it, besides what it holds itself, in bytes.
    pub(crate) fn go_offline(&self, held_by_session: usize) {
        let mut contents = self.contents.lock();
        contents.presence = match contents.takeover {
            Some(_) => Presence::TakenOver,
            None => Presence::Offline,
        };
        contents.mail.drop_fresh();
        // Of the connection, and not of the session.
        let stop = &mut contents.mail.stop;
        stop.take_if(|r| matches!(r, Reason::CutOff | Reason::Moved));
        contents.shared.go_offline(held_by_session);
    }

    /// What all sessions of the user may hold.
    pub(crate) fn user_bytes(&self) -> &UserBytes {
        &self.user
    }

    /// Takes what waits for this subscription; all that is shared with `None`. Orders stay.
    pub(crate) fn take_shared(&self, subscription: Option<SubscriptionKey>) -> VecDeque<Delivery> {
        self.contents.lock().shared.take_those_for(subscription)
    }

    /// Takes all that is waiting; with `leave_shared`, shared messages stay, for a session whose socket is full.
    pub(crate) fn take(&self, leave_shared: bool) -> Mail {
        let mut contents = self.contents.lock();
        let mut mail = std::mem::take(&mut contents.mail);
        contents.shared.begin_turn();
        mail.is_taken_over = contents.takeover.is_some();
        if !leave_shared {
            let (shared, held) = contents.shared.take();
            mail.shared = shared;
            mail.held.add(held);
        }
        mail
    }

    /// Takes what a session without a connection has to know. Why it must end stays, and then the takeover, too: it is for
    /// whoever ends the session.
    pub(crate) fn take_orders(&self) -> Orders {
        let mut contents = self.contents.lock();
        let stop = contents.mail.stop;
        Orders {
            stop,
            recheck: std::mem::take(&mut contents.mail.recheck),
            takeover: contents.takeover.take_if(|_| stop.is_none()),
        }
    }

    /// Resolves when there may be something to take. Cancel-safe.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Why the session has to end, if it has to.
    fn over(&self) -> Option<Reason> {
        let contents = self.contents.lock();
        let taken_over = contents.takeover.is_some().then_some(Reason::TakenOver);
        contents.mail.stop.or(taken_over)
    }

    /// What `work` comes to; if the session has to end before, why. Cancel-safe if `work` is.
    pub(crate) async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Result<T, Reason> {
        let mut work = pin!(work);
        let mut woken = Woken { by: None };
        loop {
            tokio::select! {
                biased;
                done = work.as_mut() => return Ok(done),
                () = self.ready() => {
                    woken.by = Some(&self.ready);
                    if let Some(reason) = self.over() {
                        return Err(reason);
                    }
                }
            }
        }
    }
}

/// What has come is not taken yet: wakes the session again when dropped.
struct Woken<'a> {
    by: Option<&'a Notify>,
}

impl Drop for Woken<'_> {
    fn drop(&mut self) {
        if let Some(ready) = self.by {
            ready.notify_one();
        }
    }
}
