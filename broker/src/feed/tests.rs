use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn n(seq: i64) -> Notification {
    Notification {
        seq,
        payload: seq.to_string().into(),
    }
}

fn batch(log: std::ops::Range<i64>) -> Batch {
    Batch {
        more: false,
        notifications: log.map(n).collect(),
    }
}

/// A feed that has read the numbers of `log` and handed them all out.
fn sent(log: std::ops::Range<i64>) -> Feed {
    let mut feed = Feed::new(log.start - 1, true);
    feed.next(READ);
    feed.read_done(batch(log.clone()));
    for seq in log {
        assert_eq!(feed.next(READ), Next::Send(n(seq)));
    }
    feed
}

#[test]
fn the_cursor_stays_before_a_gap_and_delivery_goes_on_behind_it() {
    let mut feed = sent(1..4);
    assert_eq!(feed.acknowledge(2), None);
    assert_eq!(feed.acknowledge(3), None);
    for seq in 4..1000 {
        feed.offer(n(seq));
        assert_eq!(feed.next(READ), Next::Send(n(seq)));
        assert_eq!(feed.acknowledge(seq), None);
    }
    assert_eq!(feed.acknowledge(1), Some(999));
}

/// What went at QoS 0, and what was too large, is never acknowledged.
#[test]
fn a_new_connection_begins_at_the_first_gap_and_leaves_out_what_is_acknowledged() {
    let mut feed = sent(1..6);
    assert_eq!(feed.acknowledge(3), None);
    assert_eq!(feed.acknowledge(5), None);
    feed.park(std::iter::empty());
    assert_eq!(feed.next(READ), Next::Read { after: 0, limit: 2 });
    feed.read_done(Batch {
        more: true,
        ..batch(1..3)
    });
    assert_eq!(feed.next(READ), Next::Send(n(1)));
    assert_eq!(feed.next(READ), Next::Send(n(2)));
    assert_eq!(feed.next(READ), Next::Read { after: 3, limit: 1 });
    feed.read_done(Batch {
        more: true,
        ..batch(4..5)
    });
    assert_eq!(feed.next(READ), Next::Send(n(4)));
    assert_eq!(
        feed.next(READ),
        Next::Read {
            after: 5,
            limit: READ
        }
    );
    feed.read_done(batch(6..6));
    assert_eq!(feed.next(READ), Next::Wait);
}

#[test]
fn what_is_under_way_is_read_again_and_nothing_else_is() {
    let mut feed = sent(1..9);
    feed.park([2, 3, 7].into_iter());
    assert_eq!(feed.redeliver(2), Redelivery::Read { after: 1, limit: 2 });
    assert_eq!(feed.redeliver(2), Redelivery::Wait);
    feed.read_done(batch(2..4));
    assert_eq!(feed.redeliver(2), Redelivery::Send(n(2)));
    assert_eq!(feed.redeliver(3), Redelivery::Send(n(3)));
    assert_eq!(feed.redeliver(7), Redelivery::Read { after: 6, limit: 1 });
    feed.read_done(batch(8..9));
    assert_eq!(feed.redeliver(7), Redelivery::Gone);
    // The others are gaps.
    assert_eq!(
        feed.next(READ),
        Next::Read {
            after: 0,
            limit: READ
        }
    );
}

#[test]
fn what_is_under_way_may_be_out_of_order() {
    let mut feed = sent(1..4);
    feed.park([1, 3, 2].into_iter());
    assert_eq!(feed.redeliver(1), Redelivery::Read { after: 0, limit: 3 });
    feed.read_done(batch(1..4));
    for seq in [1, 3, 2] {
        assert_eq!(feed.redeliver(seq), Redelivery::Send(n(seq)));
    }
}

#[test]
fn what_is_skipped_is_as_good_as_acknowledged() {
    let mut feed = sent(1..6);
    assert_eq!(feed.acknowledge(4), None);
    assert_eq!(feed.skip_to(2), Some(2));
    assert_eq!(feed.skip_to(1), None);
    feed.park([1, 3, 5].into_iter());
    assert_eq!(feed.skip_to(3), Some(4));
    assert_eq!(feed.redeliver(5), Redelivery::Read { after: 4, limit: 1 });
    feed.read_done(batch(5..6));
    assert_eq!(feed.redeliver(5), Redelivery::Send(n(5)));
    // Also what is not read yet, and what is being read.
    assert!(matches!(feed.next(READ), Next::Read { after: 4, .. }));
    assert_eq!(feed.skip_to(8), Some(8));
    feed.read_done(batch(5..10));
    assert_eq!(feed.next(READ), Next::Send(n(9)));
    assert_eq!(feed.skip_to(i64::MAX), Some(i64::MAX));
    assert_eq!(feed.next(READ), Next::Wait);
}

#[test]
fn a_number_that_is_known_is_no_reason_to_read() {
    let mut feed = sent(1..4);
    feed.offer(n(4));
    for newest in [0, 3, 4] {
        feed.reaches(newest);
    }
    assert_eq!(feed.next(READ), Next::Send(n(4)));
    assert_eq!(feed.next(READ), Next::Wait);
    feed.reaches(6);
    assert_eq!(
        feed.next(READ),
        Next::Read {
            after: 4,
            limit: READ
        }
    );
    // What is read may have ended before that.
    feed.reaches(7);
    feed.read_done(batch(5..7));
    assert_eq!(feed.next(READ), Next::Send(n(5)));
    assert_eq!(feed.next(READ), Next::Send(n(6)));
    assert_eq!(
        feed.next(READ),
        Next::Read {
            after: 6,
            limit: READ
        }
    );
}

#[test]
fn what_was_deleted_holds_nothing_up() {
    let mut feed = Feed::new(0, true);
    feed.next(READ);
    feed.read_done(batch(5..7));
    assert_eq!(feed.acknowledged(), 4);
    assert_eq!(feed.next(READ), Next::Send(n(5)));
    assert_eq!(feed.acknowledge(5), Some(5));
}

#[test]
fn a_start_behind_the_highest_number_there_can_be_is_no_fault() {
    let mut feed = Feed::new(i64::MAX, true);
    feed.next(READ);
    feed.read_done(Batch::default());
    feed.offer(n(1));
    assert_eq!(feed.next(READ), Next::Wait);
}

#[test]
fn a_new_feed_that_is_behind_reads_before_it_waits() {
    let mut feed = Feed::new(7, true);
    assert_eq!(
        feed.next(READ),
        Next::Read {
            after: 7,
            limit: READ
        }
    );
    feed.read_done(batch(1..1));
    assert_eq!(feed.next(READ), Next::Wait);
}

#[test]
fn a_caught_up_feed_needs_no_read() {
    let mut feed = Feed::new(0, false);
    assert_eq!(feed.next(READ), Next::Wait);
    feed.offer(n(1));
    assert_eq!(feed.next(READ), Next::Send(n(1)));
}

#[derive(Clone, Debug)]
enum Event {
    /// The log grows by one; the wake-up arrives.
    Finish,
    /// The log grows by one; the wake-up is lost, which sets the missed flag.
    FinishMissed,
    /// The log grows by two and the wake-ups arrive swapped.
    FinishSwapped,
    /// The read under way brings the log as it is now.
    ReadDone,
    /// The client acknowledges the `k`-th packet in flight.
    Acknowledge(usize),
    /// The client is not to have the next so many behind the cursor.
    Skip(i64),
    /// The oldest of the log are deleted.
    Prune(usize),
    /// There is another connection, at QoS 0 or 1, of a client that takes only so many bytes, and so many at once.
    Reconnect { qos: u8, small: bool, window: usize },
}

/// What a session and its client do, and what they have seen.
struct Model {
    feed: Feed,
    log: BTreeSet<i64>,
    newest: i64,
    qos: u8,
    small: bool,
    window: usize,
    reading: Option<(i64, usize)>,
    /// The numbers in flight, and whether they were sent on this connection.
    in_flight: Vec<(i64, bool)>,
    acknowledged: BTreeSet<i64>,
    /// What came on this connection.
    here: BTreeSet<i64>,
    /// The last that was handed out for the first time on this connection.
    last: i64,
}

impl Model {
    fn new(start: i64) -> Self {
        Self {
            feed: Feed::new(start, true),
            log: BTreeSet::new(),
            newest: start,
            qos: 1,
            small: false,
            window: 3,
            reading: None,
            in_flight: vec![],
            acknowledged: BTreeSet::new(),
            here: BTreeSet::new(),
            last: start,
        }
    }

    fn finish(&mut self) -> i64 {
        self.newest += 1;
        self.log.insert(self.newest);
        self.newest
    }

    fn is_too_large(&self, seq: i64) -> bool {
        self.small && seq % 3 == 0
    }

    /// Sends what may be sent.
    fn pump(&mut self) {
        while self.in_flight.iter().filter(|(_, here)| *here).count() < self.window {
            if let Some(at) = self.in_flight.iter().position(|(_, here)| !*here) {
                let seq = self.in_flight[at].0;
                match self.feed.redeliver(seq) {
                    Redelivery::Send(n) => {
                        assert_eq!(n.seq, seq);
                        if self.is_too_large(seq) {
                            self.in_flight.remove(at);
                        } else {
                            self.in_flight[at].1 = true;
                            assert!(self.here.insert(seq), "{seq} twice");
                        }
                    }
                    Redelivery::Read { after, limit } => {
                        assert_eq!(self.reading.replace((after, limit)), None);
                        return;
                    }
                    Redelivery::Wait => {
                        assert!(self.reading.is_some());
                        return;
                    }
                    Redelivery::Gone => {
                        assert!(!self.log.contains(&seq));
                        self.in_flight.remove(at);
                        self.acknowledged.insert(seq);
                        self.feed.acknowledge(seq);
                    }
                }
                continue;
            }
            match self.feed.next(self.window) {
                Next::Send(n) => {
                    assert!(n.seq > self.last, "in order");
                    assert!(!self.acknowledged.contains(&n.seq), "{} again", n.seq);
                    self.last = n.seq;
                    if !self.is_too_large(n.seq) {
                        assert!(self.here.insert(n.seq), "{} twice", n.seq);
                        if self.qos == 1 {
                            self.in_flight.push((n.seq, true));
                        }
                    }
                }
                Next::Read { after, limit } => {
                    assert_eq!(self.reading.replace((after, limit)), None);
                    return;
                }
                Next::Wait => return,
            }
        }
    }

    fn read_done(&mut self) {
        if let Some((after, limit)) = self.reading.take() {
            let left = || self.log.range(after + 1..);
            self.feed.read_done(Batch {
                notifications: left().take(limit).map(|seq| n(*seq)).collect(),
                more: left().count() > limit,
            });
        }
    }

    fn acknowledge(&mut self, at: usize) {
        if self.in_flight.is_empty() {
            return;
        }
        // Also one that was not sent again yet.
        let (seq, _) = self.in_flight.remove(at % self.in_flight.len());
        self.acknowledged.insert(seq);
        self.feed.acknowledge(seq);
    }

    fn skip(&mut self, count: i64) {
        let up_to = (self.feed.acknowledged() + count).min(self.newest);
        self.acknowledged.extend(1..=up_to);
        self.in_flight.retain(|(seq, _)| *seq > up_to);
        self.feed.skip_to(up_to);
        assert!(self.feed.acknowledged() >= up_to);
    }

    fn reconnect(&mut self, qos: u8, small: bool, window: usize) {
        for (_, here) in &mut self.in_flight {
            *here = false;
        }
        self.feed.park(self.in_flight.iter().map(|(seq, _)| *seq));
        (self.qos, self.small, self.window) = (qos, small, window);
        self.reading = None;
        self.here.clear();
        self.last = self.feed.acknowledged();
    }

    fn check(&self, start: i64) {
        let mut passed = start + 1..=self.feed.acknowledged();
        let lost = passed.find(|seq| self.log.contains(seq) && !self.acknowledged.contains(seq));
        assert_eq!(lost, None, "the cursor is beyond a gap");
    }
}

proptest! {
    /// Whatever the order of wake-ups, reads, acknowledgements and connections: on one connection nothing comes twice, and
    /// what is new comes in order; what is acknowledged never comes again; the cursor never passes what is not; and a client
    /// that acknowledges at last has had everything.
    #[test]
    fn nothing_is_lost_and_nothing_comes_twice_on_one_connection(
        start in 0_i64..5,
        steps in prop::collection::vec(prop_oneof![
            6 => Just(Event::Finish), 1 => Just(Event::FinishMissed), 1 => Just(Event::FinishSwapped),
            5 => Just(Event::ReadDone), 6 => (0_usize..5).prop_map(Event::Acknowledge),
            1 => (1_i64..5).prop_map(Event::Skip), 1 => (1_usize..4).prop_map(Event::Prune),
            2 => (0_u8..2, any::<bool>(), 1_usize..5)
                .prop_map(|(qos, small, window)| Event::Reconnect { qos, small, window }),
        ], 0..100),
    ) {
        let mut model = Model::new(start);
        model.pump();
        for step in steps {
            match step {
                Event::Finish => { let seq = model.finish(); model.feed.offer(n(seq)); }
                Event::FinishMissed => { model.finish(); model.feed.missed(); }
                Event::FinishSwapped => {
                    let (first, second) = (model.finish(), model.finish());
                    model.feed.offer(n(second));
                    model.feed.offer(n(first));
                }
                Event::ReadDone => model.read_done(),
                Event::Acknowledge(at) => model.acknowledge(at),
                Event::Skip(count) => model.skip(count),
                Event::Prune(count) => for _ in 0..count {
                    if model.log.len() > 1 { model.log.pop_first(); }
                },
                Event::Reconnect { qos, small, window } => model.reconnect(qos, small, window),
            }
            model.pump();
            model.check(start);
        }
        model.reconnect(1, false, 3);
        model.pump();
        for _ in 0..1000 {
            model.read_done();
            model.acknowledge(0);
            model.pump();
        }
        model.check(start);
        prop_assert_eq!(model.feed.acknowledged(), model.newest);
        let had = model.log.iter().all(|seq| model.acknowledged.contains(seq));
        prop_assert!(had);
    }
}
