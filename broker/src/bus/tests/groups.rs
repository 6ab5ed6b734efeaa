//! Shared subscriptions.

use super::*;
use crate::bus::subscriptions::Share;
use crate::{limits::Limits, mailbox::Mailbox, user_bytes::UserBytes};

#[tokio::test]
async fn members_of_a_group_share_its_messages_and_other_subscriptions_get_their_own() {
    let bus = bus().await;
    let (_, a) = listener(&bus, "$share/g/jobs/+");
    let (session, b) = listener(&bus, "$share/g/jobs/+");
    let own_key = subscribe(&bus, session, "jobs/#", &b);
    let (_, other_group) = listener(&bus, "$share/h/jobs/+");
    for i in 0..10 {
        bus.publish(message("jobs/x", &i.to_string()))
            .await
            .unwrap();
    }
    let mut shared = arrived(&a, |got| got.len() == 5).await;
    let of_b = arrived(&b, |got| got.len() == 15).await;
    let (own, of_group): (Vec<_>, Vec<_>) = of_b.into_iter().partition(|d| d.is_for(own_key));
    assert_eq!((own.len(), of_group.len()), (10, 5));
    shared.extend(of_group);
    shared.sort_by_key(|d| d.message.payload.clone());
    assert_eq!(payloads(&shared).concat(), "0123456789");
    let group = |d: &Delivery| d.group.as_ref().map(|id| id.filter.to_string());
    let expected = Some("$share/g/jobs/+".to_owned());
    assert!(shared.iter().all(|d| group(d) == expected));
    assert!(own.iter().all(|d| !d.is_shared()));
    assert_eq!(arrived(&other_group, |got| got.len() == 10).await.len(), 10);
    bus.stop().await;
}

#[tokio::test]
async fn what_a_member_could_not_finish_goes_to_another_or_is_counted() {
    let bus = bus().await;
    let (a, mail_a) = listener(&bus, "$share/g/jobs");
    bus.publish(message("jobs", "1")).await.unwrap();
    let given = arrived(&mail_a, |got| got.len() == 1).await.remove(0);
    bus.reassign(given.clone(), a);
    assert_eq!(bus.metrics.shared_dropped.get(), 1);
    assert!(mail_a.take().is_empty());

    let (b, mail_b) = listener(&bus, "$share/g/jobs");
    for _ in 0..3 {
        bus.reassign(given.clone(), a);
    }
    assert!(mail_a.take().is_empty());
    let of_b = mail_b.take();
    assert_eq!(payloads(&of_b), ["1"; 3]);
    assert!(of_b.iter().all(|d| d.group == given.group));
    // As a subscription of its own.
    assert!(of_b.iter().all(|d| d.subscriptions != given.subscriptions));

    bus.unsubscribe(b, None);
    bus.publish(message("jobs", "2")).await.unwrap();
    assert_eq!(
        payloads(&arrived(&mail_a, |got| got.len() == 1).await),
        ["2"]
    );
    bus.unsubscribe(a, None);
    bus.reassign(given, a);
    assert_eq!(bus.metrics.shared_dropped.get(), 2);
    bus.stop().await;
}

#[test]
fn members_that_stay_get_equal_shares() {
    for (members, rounds) in [(1, 3), (2, 5), (7, 4)] {
        let (mut subscriptions, filter) = (Subscriptions::default(), filter("$share/g/a"));
        let recorders: Vec<_> = (0..members).map(|_| Arc::<Recorder>::default()).collect();
        for recorder in &recorders {
            let subscription = subscription(SessionId::next(), &filter);
            subscriptions.enter(&subscription, recorder.clone(), 0);
        }
        let message = Arc::new(Message {
            seq: 1,
            ..message("a", "x")
        });
        for _ in 0..rounds * members {
            subscriptions.deliver(&message, &Share::Anyone);
        }
        assert!(recorders.iter().all(|r| r.take().len() == rounds));
    }
}

/// A member that has only just come has no part in what is on its way, unless nobody else can have it.
#[test]
fn what_came_before_a_member_goes_to_the_others() {
    let (mut subscriptions, filter) = (Subscriptions::default(), filter("$share/g/a"));
    let recorders = [0, 7].map(|since| {
        let recorder = Arc::<Recorder>::default();
        let subscription = subscription(SessionId::next(), &filter);
        subscriptions.enter(&subscription, recorder.clone(), since);
        (subscription.session, recorder)
    });
    for seq in 1..=10 {
        let message = Message {
            seq,
            ..message("a", "x")
        };
        subscriptions.deliver(&Arc::new(message), &Share::Anyone);
    }
    let [(old, first), (_, second)] = recorders;
    let (first, second) = (first.take(), second.take());
    assert!(second.len() < 3 && first.len() + second.len() == 10);
    assert!(second.iter().all(|d| d.message.seq > 7));
    // What the first could not finish is for the second all the same.
    assert_eq!(
        subscriptions
            .reassign(first[0].clone(), old)
            .outcome
            .dropped,
        0
    );
}

#[test]
fn a_member_of_a_group_that_is_behind_gets_its_turn_too() {
    let (mut subscriptions, filter) = (Subscriptions::default(), filter("$share/g/a"));
    let limits = Limits {
        queued_messages: 4,
        ..Limits::default()
    };
    let mailbox = Arc::new(Mailbox::new(&limits, UserBytes::new(1 << 20)));
    subscriptions.enter(&subscription(SessionId::next(), &filter), mailbox, 0);
    let message = Arc::new(Message {
        seq: 1,
        ..message("a", "x")
    });
    let is_behind = [(); 2].map(|()| {
        subscriptions
            .deliver(&message, &Share::Anyone)
            .outcome
            .is_behind
    });
    assert_eq!(is_behind, [false, true]);
}
