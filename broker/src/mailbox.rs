//! What others hand to a session: wake-ups, shared messages, the order to stop. Bounded, and never waited on.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::{
    bus::Message,
    host::Notification,
    limits::Limits,
    session::Kept,
    wire::{Qos, Reason},
};

/// Fresh notifications kept for a session that has not looked yet; past it the session reads the log.
const FRESH: usize = 8;

/// Before the name of a group.
const SHARE: &str = "$share/";

/// One shared message, and which subscription it came for.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The subscription's filter, as the session gave it.
    pub(crate) filter: Arc<str>,
    pub(crate) message: Arc<Message>,
    /// It was there before the subscription was (MQTT 5 section 3.3.1.3).
    pub(crate) retained: bool,
}

impl Delivery {
    /// Whether it came for a shared subscription, and so to one member of a group (MQTT 5 section 4.8.2).
    pub(crate) fn is_shared(&self) -> bool {
        self.filter.starts_with(SHARE)
    }
}

/// All that was waiting.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) fresh: VecDeque<Notification>,
    /// Wake-ups were dropped: read the log.
    pub(crate) missed: bool,
    pub(crate) shared: VecDeque<Delivery>,
    /// The ACL has changed.
    pub(crate) recheck: bool,
    pub(crate) stop: Option<Reason>,
    /// A new connection waits for the session.
    pub(crate) claimed: bool,
}

/// Where a new connection of the same client waits for the session.
pub(crate) type Claim = oneshot::Sender<Box<Kept>>;

struct State {
    mail: Mail,
    shared_bytes: usize,
    /// The session has a connection.
    online: bool,
    claim: Option<Claim>,
}

/// A session's letter box. Anyone may put in; only the session takes out.
pub(crate) struct Mailbox {
    state: Mutex<State>,
    ready: Notify,
    /// Most shared messages that wait, and their bytes.
    messages: usize,
    bytes: usize,
}

impl Mailbox {
    /// An empty one, of a session that is connected.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            state: Mutex::new(State {
                mail: Mail::default(),
                shared_bytes: 0,
                online: true,
                claim: None,
            }),
            ready: Notify::new(),
            messages: limits.queued_messages,
            bytes: limits.queued_bytes,
        }
    }

    /// A notification was finished for this session's user.
    pub(crate) fn wake(&self, fresh: &Notification) {
        {
            let mut state = self.state.lock();
            if !state.online {
                state.mail.missed = true;
                return;
            }
            if state.mail.fresh.len() < FRESH {
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

    /// A shared message for one of the session's subscriptions. Answers how many messages had to go for it. A session that
    /// is connected and would lose one that it is owed (QoS 1 or 2) is stopped instead of losing it in silence.
    pub(crate) fn deliver(&self, delivery: Delivery) -> u64 {
        let mut dropped = 0;
        {
            let mut state = self.state.lock();
            if !state.online && delivery.message.qos == Qos::AtMostOnce {
                return 0;
            }
            state.shared_bytes += delivery.message.size();
            state.mail.shared.push_back(delivery);
            while state.mail.shared.len() > self.messages || state.shared_bytes > self.bytes {
                let Some(old) = state.mail.shared.pop_front() else {
                    break;
                };
                state.shared_bytes -= old.message.size();
                dropped += 1;
                if state.online && old.message.qos != Qos::AtMostOnce {
                    state.mail.stop.get_or_insert(Reason::QuotaExceeded);
                }
            }
            if !state.online {
                return dropped;
            }
        }
        self.ready.notify_one();
        dropped
    }

    /// Makes the session ask the ACL again.
    pub(crate) fn recheck(&self) {
        self.state.lock().mail.recheck = true;
        self.ready.notify_one();
    }

    /// Ends the session with `reason`. The first reason stands.
    pub(crate) fn stop(&self, reason: Reason) {
        self.state.lock().mail.stop.get_or_insert(reason);
        self.ready.notify_one();
    }

    /// Asks whoever has the session to hand it over. An earlier claim that was not answered lapses: its connection is the
    /// one that is taken over.
    pub(crate) fn claim(&self, claim: Claim) {
        self.state.lock().claim = Some(claim);
        self.ready.notify_one();
    }

    /// The claim, to be answered.
    pub(crate) fn take_claim(&self) -> Option<Claim> {
        self.state.lock().claim.take()
    }

    /// Whether the session has a connection.
    pub(crate) fn is_online(&self) -> bool {
        self.state.lock().online
    }

    /// The session has a connection again.
    pub(crate) fn go_online(&self) {
        self.state.lock().online = true;
    }

    /// The session has none any more: only what it is owed is still kept for it.
    pub(crate) fn go_offline(&self) {
        let mut state = self.state.lock();
        state.online = false;
        if !state.mail.fresh.is_empty() {
            state.mail.fresh = VecDeque::new();
            state.mail.missed = true;
        }
        let shared = &mut state.mail.shared;
        shared.retain(|d| d.message.qos != Qos::AtMostOnce);
        state.shared_bytes = shared.iter().map(|d| d.message.size()).sum();
    }

    /// Resolves when there may be something to take. Cancel-safe.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Takes all that is waiting; with `leave_shared`, shared messages stay, for a session whose socket is full.
    pub(crate) fn take(&self, leave_shared: bool) -> Mail {
        let mut state = self.state.lock();
        let mut mail = std::mem::take(&mut state.mail);
        mail.claimed = state.claim.is_some();
        if leave_shared {
            state.mail.shared = std::mem::take(&mut mail.shared);
        } else {
            state.shared_bytes = 0;
        }
        mail
    }

    /// Takes what a session without a connection has to know: why it must end, and whether it is claimed.
    pub(crate) fn take_orders(&self) -> (Option<Reason>, bool) {
        let mut state = self.state.lock();
        (state.mail.stop.take(), state.claim.is_some())
    }
}

#[cfg(test)]
impl Default for Mailbox {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(payload: usize) -> Delivery {
        Delivery {
            filter: "broadcast/#".into(),
            message: Arc::new(Message {
                payload: vec![0; payload].into(),
                ..Message::sample()
            }),
            retained: false,
        }
    }

    #[test]
    fn a_session_that_never_looks_holds_a_bounded_number_of_messages() {
        let mailbox = Mailbox::default();
        let mut dropped = 0;
        for _ in 0..Limits::default().queued_messages + 10 {
            dropped += mailbox.deliver(delivery(1));
        }
        assert_eq!(dropped, 10);
        assert_eq!(
            mailbox.take(false).shared.len(),
            Limits::default().queued_messages
        );
    }

    #[test]
    fn a_session_that_never_looks_holds_a_bounded_number_of_bytes() {
        let mailbox = Mailbox::default();
        for _ in 0..20 {
            mailbox.deliver(delivery(Limits::default().queued_bytes / 4));
        }
        assert!(mailbox.take(false).shared.len() <= 4);
    }

    #[test]
    fn wake_ups_past_the_bound_turn_into_a_read() {
        let mailbox = Mailbox::default();
        for seq in 1..=FRESH as i64 + 1 {
            mailbox.wake(&Notification {
                seq,
                payload: "x".into(),
            });
        }
        let mail = mailbox.take(false);
        assert_eq!(mail.fresh.len(), FRESH);
        assert!(mail.missed);
        assert!(!mailbox.take(false).missed);
    }

    fn owed() -> Delivery {
        Delivery {
            filter: "broadcast/#".into(),
            message: Arc::new(Message {
                qos: Qos::AtLeastOnce,
                ..Message::sample()
            }),
            retained: false,
        }
    }

    #[test]
    fn a_connected_session_that_would_lose_what_it_is_owed_is_stopped() {
        let mailbox = Mailbox::default();
        let all = Limits::default().queued_messages;
        (0..all).for_each(|_| assert_eq!(mailbox.deliver(owed()), 0));
        assert!(mailbox.take_orders().0.is_none());
        assert_eq!(mailbox.deliver(owed()), 1);
        assert_eq!(mailbox.take(false).stop, Some(Reason::QuotaExceeded));
    }

    #[test]
    fn a_session_without_a_connection_keeps_the_newest_of_what_it_is_owed() {
        let mailbox = Mailbox::default();
        mailbox.deliver(delivery(1));
        mailbox.deliver(owed());
        mailbox.go_offline();
        mailbox.deliver(delivery(1));
        assert_eq!(mailbox.take(true).stop, None);
        for _ in 0..Limits::default().queued_messages {
            mailbox.deliver(owed());
        }
        let mail = mailbox.take(false);
        assert_eq!(mail.shared.len(), Limits::default().queued_messages);
        assert!(mail.stop.is_none());
        assert!(
            mail.shared
                .iter()
                .all(|d| d.message.qos == Qos::AtLeastOnce)
        );
    }
}
