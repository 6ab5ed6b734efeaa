use super::*;

mod model;

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
