//! Shared messages that wait for a session: decides which are dropped to keep its bounds and its user's.

use std::collections::VecDeque;

use super::waiting::Waiting;
use crate::{
    delivery::Delivery,
    ids::SubscriptionKey,
    limits::Limits,
    user_bytes::{Held, UserBytes},
    wire::Qos,
};

/// How often others wait for one turn of a session.
const WAITS: usize = 5;

/// The queue of one session.
pub(super) struct SharedQueue {
    waiting: Waiting,
    /// Of the user's bytes, what `waiting` takes.
    held: Held,
    /// What the session holds itself of messages that it is owed, in bytes, while it has no connection.
    held_by_session: usize,
    /// Some subscription to shared topics is above QoS 0: only then is the session owed anything.
    pub(super) is_owed: bool,
    /// Messages that have come since the session's last turn.
    since_turn: usize,
    /// Most messages that wait, and their bytes.
    messages: usize,
    bytes: usize,
    /// What all sessions of the user may hold.
    user: UserBytes,
}

/// How many messages had to go, and whether one of them was owed.
pub(super) struct Dropped {
    pub(super) count: u64,
    pub(super) was_owed: bool,
}

impl SharedQueue {
    pub(super) fn new(limits: &Limits, user: UserBytes) -> Self {
        Self {
            waiting: Waiting::default(),
            held: Held::default(),
            held_by_session: 0,
            is_owed: false,
            since_turn: 0,
            messages: limits.queued_messages,
            bytes: limits.queued_bytes,
            user,
        }
    }

    /// Whether the session must not lose `delivery`.
    pub(super) fn owes(&self, delivery: &Delivery) -> bool {
        self.is_owed && delivery.message.qos != Qos::AtMostOnce
    }

    /// Takes `delivery` in, at the cost of what need not be delivered. What is dropped may be itself.
    pub(super) fn push(&mut self, delivery: Delivery) -> Dropped {
        self.since_turn += 1;
        let (size, owed) = (delivery.message.size(), self.owes(&delivery));
        let mut dropped = Dropped {
            count: 0,
            was_owed: false,
        };
        if self.user.room() + self.waiting.bytes() < size {
            // Other sessions of the user hold too much: nothing that this one could drop makes room.
            return dropped.and_this(owed);
        }
        loop {
            if !self.is_full_for(size) || self.waiting.is_empty() {
                if let Some(room) = self.user.try_hold(size) {
                    self.held.add(room);
                    self.waiting.push(delivery);
                    return dropped;
                }
                if self.waiting.is_empty() {
                    return dropped.and_this(owed);
                }
            }
            if !self.is_owed {
                self.waiting.drop_oldest();
            } else if !self.waiting.drop_at_0() {
                if !owed {
                    return dropped.and_this(false);
                }
                self.waiting.drop_oldest();
                dropped.was_owed = true;
            }
            dropped.count += 1;
            self.held.keep(self.waiting.bytes());
        }
    }

    fn is_full_for(&self, size: usize) -> bool {
        let held = self.waiting.bytes() + self.held_by_session;
        self.waiting.len() >= self.messages || held + size > self.bytes
    }

    /// Whether others should wait for the session's turn before they send more: half of what may wait has come since the last
    /// one, and no more than a few times. A client that does not read is no reason, as the session has its turn nonetheless.
    pub(super) fn is_behind(&self) -> bool {
        let half = self.messages.div_ceil(2);
        (half..half + WAITS).contains(&self.since_turn)
    }

    /// The session has its turn.
    pub(super) fn begin_turn(&mut self) {
        self.since_turn = 0;
    }

    /// The session has a connection again.
    pub(super) fn go_online(&mut self) {
        self.held_by_session = 0;
    }

    /// The session has no connection any more: only what it is owed waits on, besides what it holds itself, in bytes.
    pub(super) fn go_offline(&mut self, held_by_session: usize) {
        self.held_by_session = held_by_session;
        for delivery in self.waiting.take() {
            if self.owes(&delivery) {
                self.waiting.push(delivery);
            }
        }
        self.held.keep(self.waiting.bytes());
    }

    /// Takes all messages, with what they take of the user's bytes.
    pub(super) fn take(&mut self) -> (VecDeque<Delivery>, Held) {
        (self.waiting.take(), std::mem::take(&mut self.held))
    }

    /// Takes those that wait for this subscription; all with `None`.
    pub(super) fn take_those_for(&mut self, key: Option<SubscriptionKey>) -> VecDeque<Delivery> {
        let is_wanted = |d: &Delivery| key.is_none_or(|key| d.is_for(key));
        let taken = self.waiting.take_those(is_wanted);
        self.held.keep(self.waiting.bytes());
        taken
    }
}

impl Dropped {
    /// The delivered message, too, which the session was `owed`.
    fn and_this(self, owed: bool) -> Self {
        Self {
            count: self.count + 1,
            was_owed: self.was_owed || owed,
        }
    }
}
