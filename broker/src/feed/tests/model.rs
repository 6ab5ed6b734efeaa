//! A feed beside a model of the log and of a client.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

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
