//! What others hand to a session: wake-ups, shared messages, the order to stop. Bounded, and never waited on.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    bus::Message,
    host::Notification,
    limits::{MAILBOX_BYTES, MAILBOX_MESSAGES},
    wire::Reason,
};

/// Fresh notifications kept for a session that has not looked yet; past it the session reads the log.
const FRESH: usize = 8;

/// One shared message, and which subscription it came for.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The subscription's filter, as the session gave it.
    pub(crate) filter: Arc<str>,
    pub(crate) message: Arc<Message>,
    /// It was there before the subscription was (MQTT 5 section 3.3.1.3).
    pub(crate) retained: bool,
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
}

#[derive(Default)]
struct State {
    mail: Mail,
    shared_bytes: usize,
}

/// A session's letter box. Anyone may put in; only the session takes out.
#[derive(Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    ready: Notify,
}

impl Mailbox {
    /// A notification was finished for this session's user.
    pub(crate) fn wake(&self, fresh: &Notification) {
        {
            let mut state = self.state.lock();
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

    /// A shared message for one of the session's subscriptions. Answers how many older ones had to go.
    pub(crate) fn deliver(&self, delivery: Delivery) -> u64 {
        let mut dropped = 0;
        {
            let mut state = self.state.lock();
            state.shared_bytes += delivery.message.size();
            state.mail.shared.push_back(delivery);
            while state.mail.shared.len() > MAILBOX_MESSAGES || state.shared_bytes > MAILBOX_BYTES {
                let Some(old) = state.mail.shared.pop_front() else {
                    break;
                };
                state.shared_bytes -= old.message.size();
                dropped += 1;
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

    /// Whether the session has a connection.
    pub(crate) fn is_online(&self) -> bool {
        true
    }

    /// Resolves when there may be something to take. Cancel-safe.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Takes all that is waiting; with `leave_shared`, shared messages stay, for a session whose socket is full.
    pub(crate) fn take(&self, leave_shared: bool) -> Mail {
        let mut state = self.state.lock();
        let mut mail = std::mem::take(&mut state.mail);
        if leave_shared {
            state.mail.shared = std::mem::take(&mut mail.shared);
        } else {
            state.shared_bytes = 0;
        }
        mail
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
        for _ in 0..MAILBOX_MESSAGES + 10 {
            dropped += mailbox.deliver(delivery(1));
        }
        assert_eq!(dropped, 10);
        assert_eq!(mailbox.take(false).shared.len(), MAILBOX_MESSAGES);
    }

    #[test]
    fn a_session_that_never_looks_holds_a_bounded_number_of_bytes() {
        let mailbox = Mailbox::default();
        for _ in 0..20 {
            mailbox.deliver(delivery(MAILBOX_BYTES / 4));
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
}
