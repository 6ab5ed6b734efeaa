//! A user who is gone.

use std::sync::atomic::{AtomicBool, Ordering};

use herald_acl::{Actions, Effect, FilterTemplate, Policy, Rule, Subject, Username};

use super::*;

/// What is Alice's own: `rooms/alice/#`.
pub(super) fn own() -> OwnTopics {
    let rule = Rule {
        id: "rooms".into(),
        subject: Subject::Everyone,
        actions: Actions::Both,
        effect: Effect::Allow,
        filter: FilterTemplate::parse("rooms/%u/#").unwrap(),
    };
    Policy::new(vec![rule]).own_topics(&Username::parse("alice").unwrap())
}

fn retained(topic: &str, origin: SessionId) -> Message {
    Message {
        retain: true,
        origin,
        ..message(topic, "x")
    }
}

fn topics(bus: &Bus) -> Vec<String> {
    let all = bus.retained(&filter("#"), None, usize::MAX);
    all.iter().map(|m| m.topic.as_str().to_owned()).collect()
}

#[tokio::test]
async fn what_is_retained_for_the_user_goes_however_much_it_is() {
    let bus = bus().await;
    let session = SessionId::next();
    for i in 0..1000 {
        let room = retained(&format!("rooms/alice/{i}"), session);
        bus.publish(room).await.unwrap();
        let other = retained(&format!("rooms/alice{i}"), session);
        bus.publish(other).await.unwrap();
    }
    bus.forget(own(), vec![]).done().await.unwrap();
    let left = topics(&bus);
    assert_eq!(left.len(), 1000);
    assert!(left.iter().all(|t| !t.starts_with("rooms/alice/")));
    bus.stop().await;
}

#[tokio::test]
async fn a_session_of_the_user_publishes_nothing_more_until_it_has_ended() {
    let bus = bus().await;
    let (old, other) = (SessionId::next(), SessionId::next());
    let (_, recorder) = listener(&bus, "#");
    bus.publish(retained("rooms/alice/before", old))
        .await
        .unwrap();
    let _saving = bus.forget(own(), vec![old]);
    for topic in ["rooms/alice/1", "notice"] {
        let refused = bus.publish(retained(topic, old)).await;
        assert!(matches!(refused, Err(BusError::Unavailable)), "{topic}");
    }
    assert!(topics(&bus).is_empty());
    bus.publish(retained("rooms/alice/other", other))
        .await
        .unwrap();
    let heard = arrived(&recorder, |got| got.len() == 2).await;
    let heard: Vec<_> = heard.iter().map(|d| d.message.topic.as_str()).collect();
    assert_eq!(heard, ["rooms/alice/before", "rooms/alice/other"]);
    assert_eq!(topics(&bus), ["rooms/alice/other"]);
    bus.ended(old);
    bus.publish(retained("notice", old)).await.unwrap();
    bus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_user_retains_at_that_moment_does_not_stay() {
    let bus = Arc::new(bus().await);
    for _ in 0..200 {
        let (old, begun) = (SessionId::next(), Arc::<AtomicBool>::default());
        let publishing = {
            let (bus, begun) = (bus.clone(), begun.clone());
            tokio::spawn(async move {
                for i in 0.. {
                    let room = retained(&format!("rooms/alice/{}", i % 7), old);
                    if bus.publish(room).await.is_err() {
                        return;
                    }
                    begun.store(true, Ordering::Relaxed);
                }
            })
        };
        while !begun.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        let _saving = bus.forget(own(), vec![old]);
        timeout(LIMIT, publishing).await.unwrap().unwrap();
        assert_eq!(topics(&bus), [""; 0]);
        bus.ended(old);
    }
    bus.stop().await;
}

#[tokio::test]
async fn what_waits_for_the_users_own_group_goes_to_nobody_and_the_rest_to_another() {
    let bus = bus().await;
    let mut given = vec![];
    for topic in ["rooms/alice/1", "jobs"] {
        let group = format!("$share/g/{topic}");
        let (old, recorder) = listener(&bus, &group);
        bus.publish(message(topic, topic)).await.unwrap();
        let delivery = arrived(&recorder, |got| got.len() == 1).await.remove(0);
        given.push((delivery, old, listener(&bus, &group).1));
    }
    let sessions = given.iter().map(|(_, old, _)| *old).collect();
    let _saving = bus.forget(own(), sessions);
    for (delivery, old, _) in &given {
        bus.reassign(delivery.clone(), *old);
    }
    let waiting = |i: usize| given[i].2.take().len();
    assert_eq!((waiting(0), waiting(1)), (0, 1));
    assert_eq!(bus.metrics.shared_dropped.get(), 1);
    bus.stop().await;
}
