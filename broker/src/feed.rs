//! Where a session stands in its user's inbox: what is acknowledged, what was handed out, and what to do next.
//!
//! No I/O: the session reports to the feed what happened and does what [`Feed::next`] returns. What was handed out and not acknowledged
//! is a *gap*, whatever the reason: the client has not acknowledged it yet, it went at QoS 0, or it was larger than the client
//! takes. The cursor stays before the first gap, delivery goes on behind it, and a new connection begins there again. So only
//! numbers are kept: payloads stay in the database.

mod numbers;

use std::collections::VecDeque;

use crate::host::{Batch, Notification};
use numbers::Numbers;

/// Fresh notifications kept ready without a read. Those of a read are bounded by its bytes.
const FRESH: usize = 4;

/// Notifications read at once.
const READ: usize = 32;

/// What the session should do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Publish this one.
    Send(Notification),
    /// Read up to `limit` notifications after `after`, then call [`Feed::read_done`].
    Read { after: i64, limit: usize },
    /// Nothing until the next wake-up or acknowledgement.
    Wait,
}

/// What to do about one that is to be sent again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redelivery {
    /// Publish this one.
    Send(Notification),
    /// Read up to `limit` notifications after `after`, then call [`Feed::read_done`] and ask again.
    Read { after: i64, limit: usize },
    /// Ask again when the read that is under way is done.
    Wait,
    /// It is not in the log any more.
    Gone,
}

/// A read that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Of what comes behind this number, at the end of what is known.
    Behind(i64),
    /// Of what is to be sent again, from this number on.
    Redelivery(i64),
}

/// The delivery state of one session.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Everything up to this number is acknowledged, or not in the log any more: where the cursor is.
    acknowledged: i64,
    /// What is beyond that.
    done: Numbers,
    /// Number of the last notification handed out on this connection, or passed over.
    sent: i64,
    /// Under way since an earlier connection, by number: not to be handed out again by [`Feed::next`].
    again: Vec<i64>,
    /// Read but not handed out yet; starts right behind `sent`.
    ready: VecDeque<Notification>,
    /// What `ready` holds was read to be sent again instead.
    ready_again: bool,
    /// The log may hold more than `ready` knows of.
    behind: bool,
    reading: Option<Reading>,
    /// The first and the last number that the last read of what is to be sent again would have found.
    looked_for: Option<(i64, i64)>,
}

impl Feed {
    /// Starts behind `after`. With `behind`, the log holds more than that, and the first thing it asks for is a read.
    pub(crate) fn new(after: i64, behind: bool) -> Self {
        Self {
            acknowledged: after,
            done: Numbers::default(),
            sent: after,
            again: vec![],
            ready: VecDeque::new(),
            ready_again: false,
            behind,
            reading: None,
            looked_for: None,
        }
    }

    /// The connection is gone. `under_way` are the numbers that wait for their acknowledgement, and will be sent again under
    /// their packet identifiers; every other gap is handed out again from the first on.
    pub(crate) fn park(&mut self, under_way: impl Iterator<Item = i64>) {
        self.ready = VecDeque::new();
        self.ready_again = false;
        self.reading = None;
        self.again = under_way.collect();
        self.again.sort_unstable();
        self.sent = self.acknowledged;
        self.looked_for = None;
        self.behind = true;
    }

    /// The last number known here.
    fn tail(&self) -> i64 {
        let ready = self.ready.back().map_or(self.sent, |n| n.seq);
        ready.max(self.sent)
    }

    /// A fresh notification came with a wake-up. A caught-up feed takes it as it is; any other reads the log.
    pub(crate) fn offer(&mut self, fresh: Notification) {
        let tail = self.tail();
        let is_next = fresh.seq - 1 == tail;
        if is_next && self.ready.len() < FRESH && !self.behind && self.reading.is_none() {
            self.ready.push_back(fresh);
        } else if fresh.seq > tail {
            self.behind = true;
        }
    }

    /// Wake-ups were lost: the log may hold more.
    pub(crate) fn missed(&mut self) {
        self.behind = true;
    }

    /// The log goes up to `newest`, at least.
    pub(crate) fn reaches(&mut self, newest: i64) {
        // What is being read ends where the log ended before this was known.
        self.behind |= newest > self.tail();
    }

    /// What to do next, once all that is to be sent again was. What it hands out counts as sent. No more than `window`, as many
    /// as may be under way, are read at once: so shared messages have their turn meanwhile.
    pub(crate) fn next(&mut self, window: usize) -> Next {
        if std::mem::take(&mut self.ready_again) {
            // What is left of it is read again in its turn.
            self.ready = VecDeque::new();
        }
        while let Some(n) = self.ready.pop_front() {
            if n.seq <= self.sent {
                continue;
            }
            self.sent = n.seq;
            if !self.is_settled(n.seq) {
                return Next::Send(n);
            }
        }
        if !self.behind || self.reading.is_some() {
            return Next::Wait;
        }
        // What is acknowledged is not read again.
        self.sent = self.done.end_of_run(self.sent);
        let to_next = self.done.first_from(self.sent);
        let limit = to_next.map_or(READ, |n| usize::try_from(n - self.sent).unwrap_or(READ));
        self.behind = false;
        self.reading = Some(Reading::Behind(self.sent));
        Next::Read {
            after: self.sent,
            limit: limit.min(READ).min(window.max(1)),
        }
    }

    /// Whether `seq` is not to be handed out: it is acknowledged, or sent again by itself.
    fn is_settled(&self, seq: i64) -> bool {
        seq <= self.acknowledged
            || self.done.contains(seq)
            || self.again.binary_search(&seq).is_ok()
    }

    /// What to do about `seq`, which is to be sent again under its packet identifier.
    pub(crate) fn redeliver(&mut self, seq: i64) -> Redelivery {
        if self.reading.is_some() {
            return Redelivery::Wait;
        }
        // They may have been sent in another order than they are read, as gaps are handed out late.
        let found = self.ready.iter().position(|n| n.seq == seq);
        if let Some(n) = found.and_then(|at| self.ready.remove(at)) {
            return Redelivery::Send(n);
        }
        let looked_for = |(first, last): (i64, i64)| (first..=last).contains(&seq);
        if self.looked_for.is_some_and(looked_for) {
            return Redelivery::Gone;
        }
        // A read is worth it for those that follow right behind it.
        let at = self.again.partition_point(|n| *n < seq);
        let run = self.again[at..].iter().zip(seq..);
        let limit = run.take_while(|(n, at)| **n == *at).count().max(1);
        self.ready = VecDeque::new();
        self.reading = Some(Reading::Redelivery(seq));
        Redelivery::Read {
            after: seq - 1,
            limit: limit.min(READ),
        }
    }

    /// The read that was asked for is done.
    pub(crate) fn read_done(&mut self, batch: Batch) {
        match self.reading.take() {
            Some(Reading::Redelivery(seq)) => {
                let last = batch.notifications.last().map_or(seq, |n| n.seq);
                self.looked_for = Some((seq, last.max(seq)));
                self.ready = batch.notifications.into();
                self.ready_again = true;
                // What it does not take, `next` reads again.
                self.behind = true;
            }
            Some(Reading::Behind(after)) => {
                self.behind |= batch.more;
                let mut last = after;
                for n in batch.notifications {
                    // Numbers are without gaps, so what is missing was deleted.
                    self.settle(last + 1, n.seq - 1);
                    last = n.seq;
                    if n.seq > self.tail() {
                        self.ready.push_back(n);
                    }
                }
                self.advance();
            }
            // Of a connection that is gone.
            None => self.behind = true,
        }
    }

    /// What it has read and not handed out, in bytes.
    pub(crate) fn ready_bytes(&self) -> usize {
        self.ready.iter().map(|n| n.payload.len()).sum()
    }

    /// Forgets what it has read and not handed out, to read it again when it is wanted.
    pub(crate) fn give_back(&mut self) {
        self.ready = VecDeque::new();
        self.ready_again = false;
        self.looked_for = None;
        self.behind = true;
    }

    /// The number up to which everything is acknowledged: where the cursor is.
    pub(crate) fn acknowledged(&self) -> i64 {
        self.acknowledged
    }

    /// `seq` is acknowledged. Returns the number up to which everything is now, if that moved.
    pub(crate) fn acknowledge(&mut self, seq: i64) -> Option<i64> {
        if let Ok(at) = self.again.binary_search(&seq) {
            self.again.remove(at);
        }
        self.settle(seq, seq);
        self.advance().then_some(self.acknowledged)
    }

    /// The client is not to have what comes up to `up_to`: as if it had acknowledged that. Returns the number up to which
    /// everything is now, if that moved.
    pub(crate) fn skip_to(&mut self, up_to: i64) -> Option<i64> {
        if up_to <= self.acknowledged {
            return None;
        }
        self.settle(self.acknowledged.saturating_add(1), up_to);
        self.advance();
        let acknowledged = self.acknowledged;
        self.again.retain(|seq| *seq > acknowledged);
        Some(acknowledged)
    }

    /// Notes the numbers from `first` to `last`, if there are any.
    fn settle(&mut self, first: i64, last: i64) {
        let first = first.max(self.acknowledged.saturating_add(1));
        if first <= last {
            self.done.insert(first, last);
        }
    }

    /// Moves the cursor over what is settled. Returns whether it moved.
    fn advance(&mut self) -> bool {
        let before = self.acknowledged;
        self.acknowledged = self.done.end_of_run(before);
        self.done.drop_to(self.acknowledged);
        self.sent = self.sent.max(self.acknowledged);
        self.acknowledged > before
    }
}

#[cfg(test)]
mod tests;
