//! Where a session stands in its user's inbox: a cursor, a window, and what to do next.
//!
//! No I/O: the session tells the feed what happened and does what [`Feed::next`] says. Memory is bounded by the window,
//! so a slow client costs nothing: what it has not got yet stays in the database.

use std::collections::VecDeque;

use crate::host::{Batch, Notification};

/// Fresh notifications kept ready without a read. Those of a read are bounded by its bytes.
const FRESH: usize = 4;

/// What the session should do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Publish this one, then call [`Feed::sent`].
    Send(Notification),
    /// Read up to `limit` notifications after `after`, then call [`Feed::read_done`].
    Read { after: i64, limit: usize },
    /// Nothing until the next wake-up or acknowledgement.
    Wait,
}

#[derive(Debug)]
struct InFlight {
    packet_id: u16,
    seq: i64,
    acknowledged: bool,
}

/// The delivery state of one session.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Everything up to this number is acknowledged.
    acknowledged: i64,
    /// Number of the last notification handed out.
    sent: i64,
    /// Read but not handed out yet; starts right behind `sent`.
    ready: VecDeque<Notification>,
    /// Handed out at QoS 1 and not yet acknowledged, in order.
    in_flight: VecDeque<InFlight>,
    /// Most in flight at once.
    window: usize,
    /// The log may hold more than `ready` knows of.
    behind: bool,
    /// A read is under way.
    reading: bool,
    /// The first number that could not be sent: the cursor stops before it.
    withheld: Option<i64>,
}

impl Feed {
    /// Starts behind `after`. With `behind`, the log holds more than that, and the first thing it asks for is a read.
    pub(crate) fn new(after: i64, window: usize, behind: bool) -> Self {
        Self {
            acknowledged: after,
            sent: after,
            ready: VecDeque::new(),
            in_flight: VecDeque::new(),
            window: window.max(1),
            behind,
            reading: false,
            withheld: None,
        }
    }

    /// The connection is gone. What was read and not handed out is forgotten; what is in flight is not.
    pub(crate) fn park(&mut self) {
        self.ready = VecDeque::new();
        self.reading = false;
        self.behind = true;
    }

    /// There is a connection again, with this window.
    pub(crate) fn resume(&mut self, window: usize) {
        self.window = window.max(1);
    }

    /// The last number known here.
    fn tail(&self) -> i64 {
        self.ready.back().map_or(self.sent, |n| n.seq)
    }

    /// A fresh notification came with a wake-up. A caught-up feed takes it as it is; any other reads the log.
    pub(crate) fn offer(&mut self, fresh: Notification) {
        let tail = self.tail();
        if fresh.seq - 1 == tail && self.ready.len() < FRESH && !self.behind {
            self.ready.push_back(fresh);
        } else if fresh.seq > tail {
            self.behind = true;
        }
    }

    /// Wake-ups were lost: the log may hold more.
    pub(crate) fn missed(&mut self) {
        self.behind = true;
    }

    /// What to do next.
    pub(crate) fn next(&mut self) -> Next {
        if self.in_flight.len() >= self.window {
            return Next::Wait;
        }
        if let Some(n) = self.ready.pop_front() {
            self.sent = n.seq;
            return Next::Send(n);
        }
        if self.behind && !self.reading {
            self.reading = true;
            self.behind = false;
            return Next::Read {
                after: self.tail(),
                limit: self.window,
            };
        }
        Next::Wait
    }

    /// The notification just handed out went as QoS 1 under `packet_id`.
    pub(crate) fn sent(&mut self, packet_id: u16, seq: i64) {
        self.in_flight.push_back(InFlight {
            packet_id,
            seq,
            acknowledged: false,
        });
    }

    /// The notification just handed out is larger than the client takes. It stays unacknowledged for good: a client of the
    /// same user that takes larger ones still gets it.
    pub(crate) fn withhold(&mut self, seq: i64) {
        self.withheld.get_or_insert(seq);
    }

    /// What went under `packet_id` cannot be sent again, as it is larger than the client takes now. As for
    /// [`Feed::withhold`].
    pub(crate) fn withhold_in_flight(&mut self, packet_id: u16) {
        let found = self.in_flight.iter().find(|f| f.packet_id == packet_id);
        if let Some(seq) = found.map(|f| f.seq) {
            self.withheld = Some(self.withheld.map_or(seq, |w| w.min(seq)));
            self.acknowledge(packet_id);
        }
    }

    /// The read that [`Next::Read`] asked for is done.
    pub(crate) fn read_done(&mut self, batch: Batch) {
        self.reading = false;
        self.behind |= batch.more;
        for n in batch.notifications {
            if n.seq > self.tail() {
                self.ready.push_back(n);
            }
        }
    }

    /// The number up to which everything is acknowledged: where the cursor is.
    pub(crate) fn acknowledged(&self) -> i64 {
        self.acknowledged
    }

    /// PUBACK for `packet_id`. Answers the number up to which everything is now acknowledged, if that moved; `None` also
    /// when the packet was not one of the feed's.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) -> Option<i64> {
        self.in_flight
            .iter_mut()
            .find(|f| f.packet_id == packet_id)?
            .acknowledged = true;
        let mut up_to = None;
        while self.in_flight.front().is_some_and(|f| f.acknowledged) {
            up_to = self.in_flight.pop_front().map(|f| f.seq);
        }
        let up_to = up_to?;
        let up_to = self.withheld.map_or(up_to, |w| up_to.min(w - 1));
        self.acknowledged = up_to.max(self.acknowledged);
        Some(up_to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn n(seq: i64) -> Notification {
        Notification {
            seq,
            payload: seq.to_string().into(),
        }
    }

    fn batch(log: std::ops::Range<i64>, limit: usize) -> Batch {
        Batch {
            more: log.end - log.start > limit as i64,
            notifications: log.take(limit).map(n).collect(),
        }
    }

    #[test]
    fn the_cursor_never_moves_over_what_was_withheld() {
        let mut feed = Feed::new(0, 4, true);
        feed.next();
        feed.read_done(batch(1..4, 4));
        assert_eq!(feed.next(), Next::Send(n(1)));
        feed.sent(1, 1);
        assert_eq!(feed.next(), Next::Send(n(2)));
        feed.withhold(2);
        assert_eq!(feed.next(), Next::Send(n(3)));
        feed.sent(2, 3);
        assert_eq!(feed.acknowledge(2), None);
        assert_eq!(feed.acknowledge(1), Some(1));
    }

    #[test]
    fn a_start_behind_the_highest_number_there_can_be_is_no_fault() {
        let mut feed = Feed::new(i64::MAX, 4, true);
        feed.next();
        feed.read_done(Batch::default());
        feed.offer(n(1));
        assert_eq!(feed.next(), Next::Wait);
    }

    #[test]
    fn a_new_feed_that_is_behind_reads_before_it_waits() {
        let mut feed = Feed::new(7, 4, true);
        assert_eq!(feed.next(), Next::Read { after: 7, limit: 4 });
        feed.read_done(batch(1..1, 4));
        assert_eq!(feed.next(), Next::Wait);
    }

    #[test]
    fn a_caught_up_feed_needs_no_read() {
        let mut feed = Feed::new(0, 4, false);
        assert_eq!(feed.next(), Next::Wait);
        feed.offer(n(1));
        assert_eq!(feed.next(), Next::Send(n(1)));
    }

    #[test]
    fn acknowledgements_out_of_order_move_the_cursor_only_over_a_full_run() {
        let mut feed = Feed::new(0, 4, true);
        feed.next();
        feed.read_done(batch(1..4, 4));
        for id in 1..=3 {
            assert_eq!(feed.next(), Next::Send(n(i64::from(id))));
            feed.sent(id, i64::from(id));
        }
        assert_eq!(feed.acknowledge(2), None);
        assert_eq!(feed.acknowledge(9), None);
        assert_eq!(feed.acknowledge(1), Some(2));
        assert_eq!(feed.acknowledge(3), Some(3));
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// The log grows by one; the wake-up arrives.
        Finish,
        /// The log grows by one; the wake-up is lost, which sets the missed flag.
        FinishMissed,
        /// The log grows by two and the wake-ups arrive swapped.
        FinishSwapped,
        /// The read under way answers with the log as it was when the read began plus `fresh` more.
        ReadDone,
        /// The client acknowledges the `k`-th packet in flight.
        Ack(usize),
    }

    proptest! {
        /// Whatever the order of wake-ups, reads and acknowledgements: every number goes out once, in order, never more
        /// than the window at once, and nothing is left behind when all has settled.
        #[test]
        fn every_notification_goes_out_once_and_in_order(
            start in 0_i64..5,
            window in 1_usize..5,
            steps in prop::collection::vec(prop_oneof![
                4 => Just(Step::Finish), 1 => Just(Step::FinishMissed), 1 => Just(Step::FinishSwapped),
                3 => Just(Step::ReadDone), 4 => (0_usize..5).prop_map(Step::Ack),
            ], 0..80),
        ) {
            let mut feed = Feed::new(start, window, true);
            let mut log = start;
            let mut read: Option<(i64, usize)> = None;
            let mut in_flight: Vec<u16> = vec![];
            let mut out = start;
            let mut id = 0_u16;
            let mut pump = |feed: &mut Feed, read: &mut Option<(i64, usize)>, in_flight: &mut Vec<u16>| {
                loop {
                    match feed.next() {
                        Next::Send(n) => {
                            assert_eq!(n.seq, out + 1);
                            out = n.seq;
                            id += 1;
                            feed.sent(id, n.seq);
                            in_flight.push(id);
                            assert!(in_flight.len() <= window);
                        }
                        Next::Read { after, limit } => {
                            assert!(read.is_none());
                            *read = Some((after, limit));
                        }
                        Next::Wait => break,
                    }
                }
                out
            };
            let answer = |feed: &mut Feed, read: &mut Option<(i64, usize)>, log: i64| {
                if let Some((after, limit)) = read.take() {
                    feed.read_done(batch(after + 1..log + 1, limit));
                }
            };
            pump(&mut feed, &mut read, &mut in_flight);
            for step in steps {
                match step {
                    Step::Finish => { log += 1; feed.offer(n(log)); }
                    Step::FinishMissed => { log += 1; feed.missed(); }
                    Step::FinishSwapped => { log += 2; feed.offer(n(log)); feed.offer(n(log - 1)); }
                    Step::ReadDone => answer(&mut feed, &mut read, log),
                    Step::Ack(k) => if !in_flight.is_empty() {
                        let id = in_flight.remove(k % in_flight.len());
                        feed.acknowledge(id);
                    },
                }
                pump(&mut feed, &mut read, &mut in_flight);
            }
            for _ in 0..500 {
                answer(&mut feed, &mut read, log);
                for id in in_flight.drain(..) { feed.acknowledge(id); }
                pump(&mut feed, &mut read, &mut in_flight);
            }
            prop_assert_eq!(pump(&mut feed, &mut read, &mut in_flight), log);
        }
    }
}
