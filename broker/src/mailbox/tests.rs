use std::collections::VecDeque;

use super::{
    mail::{FRESH, FRESH_BYTES},
    *,
};
use crate::{ids::SubscriptionKey, message::Message, wire::Qos};

fn of(message: Message) -> Delivery {
    let subscription = [SubscriptionKey::next()].into_iter().collect();
    Delivery::live(Arc::new(message), subscription)
}

fn delivery(payload: usize) -> Delivery {
    of(Message {
        payload: vec![0; payload].into(),
        ..Message::sample()
    })
}

#[test]
fn a_session_that_never_looks_holds_a_bounded_number_of_messages() {
    let mailbox = Mailbox::default();
    let mut dropped = 0;
    for _ in 0..Limits::default().queued_messages + 10 {
        dropped += mailbox.deliver(delivery(1)).dropped;
    }
    assert_eq!(dropped, 10);
    assert_eq!(
        mailbox.take(false).shared.len(),
        Limits::default().queued_messages
    );
}

/// Others wait for it a few times, and only for its turn: a client that does not read slows nobody.
#[test]
fn a_session_is_behind_until_it_had_its_turn_and_not_for_long() {
    let mailbox = Mailbox::default();
    let half = Limits::default().queued_messages / 2;
    let waits = |count| {
        (0..count)
            .filter(|_| mailbox.deliver(delivery(1)).is_behind)
            .count()
    };
    assert_eq!(waits(half - 1), 0);
    assert_eq!(waits(1), 1);
    assert_eq!(waits(10), 4);
    // What its client does not take stays.
    assert!(mailbox.take(true).shared.is_empty());
    assert_eq!(waits(1), 0);
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
    of(Message {
        qos: Qos::AtLeastOnce,
        ..Message::sample()
    })
}

#[test]
fn what_need_not_be_delivered_goes_first_and_ends_nothing() {
    let mailbox = Mailbox::default();
    mailbox.set_subscriptions(1, true);
    let all = Limits::default().queued_messages;
    mailbox.deliver(owed());
    (1..all).for_each(|_| assert_eq!(mailbox.deliver(delivery(1)).dropped, 0));
    assert_eq!(mailbox.deliver(delivery(2)).dropped, 1);
    assert_eq!(mailbox.deliver(owed()).dropped, 1);
    let mail = mailbox.take(false);
    assert_eq!((mail.shared.len(), mail.stop), (all, None));
    let is_owed = |d: &&Delivery| d.message.qos == Qos::AtLeastOnce;
    assert_eq!(mail.shared.iter().filter(is_owed).count(), 2);
    let newest = mail.shared.iter().rfind(|d| !is_owed(d));
    assert_eq!(newest.map(|d| d.message.payload.len()), Some(2));
}

#[test]
fn what_need_not_be_delivered_has_no_room_where_all_is_owed() {
    let mailbox = Mailbox::default();
    mailbox.set_subscriptions(1, true);
    let all = Limits::default().queued_messages;
    (0..all).for_each(|_| assert_eq!(mailbox.deliver(owed()).dropped, 0));
    assert_eq!(mailbox.deliver(delivery(1)).dropped, 1);
    let mail = mailbox.take(false);
    assert_eq!((mail.shared.len(), mail.stop), (all, None));
}

#[test]
fn a_session_with_no_subscription_above_qos_0_is_owed_nothing() {
    let mailbox = Mailbox::default();
    let all = Limits::default().queued_messages;
    (0..=all).for_each(|_| {
        mailbox.deliver(owed());
    });
    assert_eq!(mailbox.take(true).stop, None);
    mailbox.go_offline(0);
    assert!(mailbox.take(false).shared.is_empty());
}

#[test]
fn a_connected_session_that_would_lose_what_it_is_owed_is_stopped() {
    let mailbox = Mailbox::default();
    mailbox.set_subscriptions(1, true);
    let all = Limits::default().queued_messages;
    (0..all).for_each(|_| assert_eq!(mailbox.deliver(owed()).dropped, 0));
    assert!(mailbox.take_orders().stop.is_none());
    assert_eq!(mailbox.deliver(owed()).dropped, 1);
    assert_eq!(mailbox.take(false).stop, Some(Reason::QuotaExceeded));
}

#[test]
fn a_reason_that_ends_more_outweighs_one_that_came_first() {
    let mailbox = Mailbox::default();
    let stops = |reason| {
        mailbox.stop(reason);
        mailbox.take_orders().stop
    };
    assert_eq!(stops(Reason::QuotaExceeded), Some(Reason::QuotaExceeded));
    assert_eq!(stops(Reason::Kicked), Some(Reason::Kicked));
    assert_eq!(stops(Reason::ShuttingDown), Some(Reason::Kicked));
    assert_eq!(stops(Reason::NotAuthorized), Some(Reason::NotAuthorized));
    assert_eq!(stops(Reason::Kicked), Some(Reason::NotAuthorized));
}

#[test]
fn a_session_without_a_connection_keeps_the_newest_of_what_it_is_owed() {
    let mailbox = Mailbox::default();
    mailbox.set_subscriptions(1, true);
    mailbox.deliver(delivery(1));
    mailbox.deliver(owed());
    mailbox.go_offline(0);
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

/// What is in flight to the client is held for it, too.
#[test]
fn what_a_session_without_a_connection_holds_itself_counts() {
    let bytes = Limits::default().queued_bytes;
    let large = || Delivery {
        message: Arc::new(Message {
            qos: Qos::AtLeastOnce,
            payload: vec![0; bytes / 8].into(),
            ..Message::sample()
        }),
        ..owed()
    };
    for (held, fit) in [(0, 7), (bytes / 2, 3), (bytes, 1)] {
        let mailbox = Mailbox::default();
        mailbox.set_subscriptions(1, true);
        mailbox.go_offline(held);
        for _ in 0..20 {
            mailbox.deliver(large());
        }
        assert_eq!(mailbox.take(false).shared.len(), fit);
    }
}

#[test]
fn a_large_notification_is_read_from_the_log() {
    let mailbox = Mailbox::default();
    for (seq, length) in [(1, 10), (2, FRESH_BYTES), (3, 10)] {
        mailbox.wake(&Notification {
            seq,
            payload: vec![0; length].into(),
        });
    }
    let mail = mailbox.take(false);
    assert_eq!(mail.fresh.iter().map(|n| n.seq).collect::<Vec<_>>(), [1]);
    assert!(mail.missed);
}

#[test]
fn messages_of_both_kinds_stay_in_order() {
    let mailbox = Mailbox::default();
    mailbox.set_subscriptions(1, true);
    for n in 0..9 {
        let kind = if n % 3 == 0 { owed() } else { delivery(n) };
        mailbox.deliver(kind);
    }
    let sizes = |of: VecDeque<Delivery>| -> Vec<usize> {
        of.iter().map(|d| d.message.payload.len()).collect()
    };
    let owed_size = owed().message.payload.len();
    let nobody = mailbox.take_shared(Some(SubscriptionKey::next()));
    assert!(nobody.is_empty());
    let expected: Vec<usize> = (0..9)
        .map(|n| if n % 3 == 0 { owed_size } else { n })
        .collect();
    assert_eq!(sizes(mailbox.take(false).shared), expected);
}
