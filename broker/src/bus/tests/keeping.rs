//! Retained messages through failures and restarts.

use std::{
    sync::atomic::Ordering,
    time::{Instant, SystemTime},
};

use proptest::prelude::*;

use super::{
    kept_host::{Face, Host, Running, retained},
    *,
};

#[tokio::test(start_paused = true)]
async fn changes_that_come_quicker_than_saves_are_saved_as_one() {
    let host = Host::new();
    let running = Running::start(&host).await;
    host.close();
    let first = running.set("a", "0").unwrap();
    tokio::task::yield_now().await;
    let mut savings: Vec<_> = (1..100)
        .flat_map(|i| {
            [
                running.set("a", &i.to_string()),
                running.set("b", &i.to_string()),
            ]
        })
        .flatten()
        .collect();
    savings.extend(running.set("b", ""));
    assert!(host.payloads().is_empty());
    host.open();
    first.done().await.unwrap();
    for saving in savings {
        saving.done().await.unwrap();
    }
    assert_eq!(*host.saves.lock(), [1, 2]);
    assert_eq!(host.payloads(), running.payloads());
    assert_eq!(host.payloads()["a"], "99");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_be_durable_before_it_is() {
    let host = Host::new();
    let running = Running::start(&host).await;
    host.close();
    let mut set = Box::pin(running.set("a", "1").unwrap().done());
    assert!(timeout(Duration::from_secs(5), &mut set).await.is_err());
    let clear = running.set("a", "").unwrap();
    // The topic is empty already, but not durably.
    let again = running.set("a", "").unwrap();
    host.open();
    set.await.unwrap();
    clear.done().await.unwrap();
    again.done().await.unwrap();
    assert!(host.payloads().is_empty());
    assert!(running.set("a", "").is_none());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_not_said_to_be_so_before_that_is_durable() {
    let host = Host::new();
    let running = Running::start(&host).await;
    for topic in ["rooms/alice/1", "rooms/alice/2", "notice"] {
        running.set(topic, "x").unwrap().done().await.unwrap();
    }
    host.close();
    let own = super::forgetting::own();
    running.set("rooms/alice/2", "").unwrap();
    let mut forgotten = Box::pin(running.kept.forget(&own).done());
    assert!(
        timeout(Duration::from_secs(5), &mut forgotten)
            .await
            .is_err()
    );
    // There is nothing left to forget, but not durably.
    let again = running.kept.forget(&own);
    assert_eq!(host.payloads().len(), 3);
    assert_eq!(running.payloads().len(), 1);
    host.open();
    again.done().await.unwrap();
    forgotten.await.unwrap();
    assert_eq!(host.payloads(), running.payloads());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_save_that_fails_is_tried_again() {
    let host = Host::new();
    let running = Running::start(&host).await;
    host.failures.store(3, Ordering::SeqCst);
    let saving = running.set("a", "1").unwrap();
    saving.done().await.unwrap();
    assert_eq!(host.payloads()["a"], "1");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_save_is_not_waited_for_longer_than_ten_seconds() {
    let host = Host::new();
    let running = Running::start(&host).await;
    host.failures.store(usize::MAX, Ordering::SeqCst);
    let began = tokio::time::Instant::now();
    let saving = running.set("a", "1").unwrap();
    assert!(matches!(saving.done().await, Err(BusError::Unavailable)));
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(running.payloads()["a"], "1");
    // It waits between its tries, and goes on once it can.
    let tries = usize::MAX - host.failures.load(Ordering::SeqCst);
    assert!((5..=10).contains(&tries), "{tries}");
    host.failures.store(0, Ordering::SeqCst);
    running.set("b", "2").unwrap().done().await.unwrap();
    assert_eq!(host.payloads(), running.payloads());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_changes_are_saved_in_parts() {
    let host = Host::new();
    let running = Running::start(&host).await;
    host.close();
    let large = "x".repeat(600 * 1024);
    for i in 0..300 {
        running.set(&format!("t/{i:03}"), "x");
    }
    for topic in ["u/1", "u/2", "u/3"] {
        running.set(topic, &large);
    }
    host.open();
    let last = running.set("z", "x").unwrap();
    last.done().await.unwrap();
    assert_eq!(*host.saves.lock(), [256, 45, 1, 2]);
    assert_eq!(host.payloads().len(), 304);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_saved_at_the_end_but_not_for_ever() {
    let host = Host::new();
    let running = Running::start(&host).await;
    host.close();
    running.set("a", "1");
    running.set("b", "2");
    running.stop.cancel();
    tokio::task::yield_now().await;
    host.open();
    running.stop().await;
    assert_eq!(host.payloads().len(), 2);

    let running = Running::start(&host).await;
    host.close();
    running.set("c", "3");
    let began = tokio::time::Instant::now();
    running.stop().await;
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_answered_at_once_and_nobody_waits_for_it_later() {
    let host = Host::new();
    let running = Running::start(&host).await;
    let own = herald_acl::Policy::builtin().own_topics(&"alice".parse().unwrap());
    running.kept.forget(&own).done().await.unwrap();
    host.close();
    let saving = running.set("a", "1").unwrap();
    let began = tokio::time::Instant::now();
    running.kept.give_up();
    assert!(saving.done().await.is_err());
    running.kept.forget(&own).done().await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody has waited");
    let saving = running.set("b", "2").unwrap();
    host.open();
    saving.done().await.unwrap();
    assert_eq!(host.payloads().get("b").unwrap(), "2");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_expires_is_cleared_within_a_minute() {
    let host = Host::new();
    let running = Running::start(&host).await;
    let expires = Some(Instant::now() + Duration::from_secs(3600));
    let lasting = Message {
        expires,
        ..(*retained("lasting", "x")).clone()
    };
    running.kept.set(&Arc::new(lasting)).unwrap();
    let expires = Some(Instant::now() + Duration::from_millis(500));
    let short = Message {
        expires,
        ..(*retained("short", "x")).clone()
    };
    let saving = running.kept.set(&Arc::new(short)).unwrap().unwrap();
    saving.done().await.unwrap();
    let left = host.kept.lock()["lasting"].expires_at.unwrap();
    let left = left.duration_since(SystemTime::now()).unwrap();
    assert!((3500..=3600).contains(&left.as_secs()));
    // Messages expire by the machine's clock, the rest goes by the test's.
    while !running.kept.matching(&filter("short"), None, 1).is_empty() {
        std::thread::yield_now();
    }
    assert!(host.kept.lock().contains_key("short"));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(!host.kept.lock().contains_key("short"));
    assert_eq!(running.payloads().len(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_drops_what_has_expired_and_skips_what_cannot_be_read() {
    let host = Host::new();
    let kept = |topic: &str, attributes: &str, expires_at| RetainedMessage {
        topic: topic.to_owned(),
        payload: "x".into(),
        attributes: attributes.to_owned(),
        expires_at,
    };
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    for message in [
        kept("expired", r#"{"qos":0}"#, Some(now - hour)),
        kept("lasts", r#"{"qos":1}"#, Some(now + hour)),
        kept("for/ever", r#"{"qos":2,"new":1}"#, None),
        kept("odd", "no attributes", None),
        kept("od#d", r#"{"qos":0}"#, None),
    ] {
        host.kept.lock().insert(message.topic.clone(), message);
    }
    let running = Running::start(&host).await;
    let topics: Vec<_> = running.payloads().into_keys().collect();
    assert_eq!(topics, ["for/ever", "lasts"]);
    let lasts = running.kept.matching(&filter("lasts"), None, 1).remove(0);
    let seconds = lasts.properties_now().message_expiry.unwrap();
    assert!((3500..=3600).contains(&seconds));
    tokio::time::sleep(Duration::from_secs(61)).await;
    running.stop().await;
    assert!(!host.kept.lock().contains_key("expired"));
    assert!(host.kept.lock().contains_key("odd"));
}

#[tokio::test]
async fn a_bus_that_starts_again_has_the_same_retained_messages() {
    let host = Host::new();
    let face = || Arc::new(Face(host.clone()));
    let bus = Bus::start(Arc::default(), face(), None, &CancellationToken::new())
        .await
        .unwrap();
    let message = (*retained("a/b", "kept")).clone();
    let saving = bus.publish(message).await.unwrap();
    saving.done().await.unwrap();
    assert!(
        bus.publish(super::message("a/c", "live"))
            .await
            .unwrap()
            .is_done()
    );
    bus.stop().await;
    let bus = Bus::start(Arc::default(), face(), None, &CancellationToken::new())
        .await
        .unwrap();
    let all = bus.retained(&filter("#"), None, 9);
    let all: Vec<_> = all
        .iter()
        .map(|m| (m.topic.as_str(), &m.payload[..]))
        .collect();
    assert_eq!(all, [("a/b", &b"kept"[..])]);
    bus.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// An empty payload clears. Every so often the saver gets to run, and some of its saves fail.
    #[test]
    fn a_restart_gives_back_the_same_set(
        changes in proptest::collection::vec((0..6_u8, "[ab]?", 0..3_usize, any::<bool>()), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let host = Host::new();
            let running = Running::start(&host).await;
            let mut savings = vec![];
            for (topic, payload, failures, pause) in changes {
                host.failures.store(failures, Ordering::SeqCst);
                savings.extend(running.set(&format!("t/{topic}"), &payload));
                if pause {
                    tokio::task::yield_now().await;
                }
            }
            for saving in savings {
                saving.done().await.unwrap();
            }
            let expected = running.payloads();
            assert_eq!(host.payloads(), expected);
            running.stop().await;
            let again = Running::start(&host).await;
            assert_eq!(again.payloads(), expected);
            again.stop().await;
        });
    }
}
