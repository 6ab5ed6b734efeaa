//! What came before what: messages, subscriptions and what is retained.

use super::*;

fn retained(payload: &str) -> Message {
    Message {
        retain: true,
        ..message("a", payload)
    }
}

/// The router holds all that is published until it is let go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_in_the_router_is_no_news_to_a_new_subscription() {
    let bus = bus().await;
    let (_, old) = listener(&bus, "a");
    let router = bus.router.borrow().clone().unwrap();
    let stalled = router.stall().await;
    for payload in ["1", "2"] {
        bus.publish(retained(payload)).await.unwrap();
    }
    // Of another client, as all here are.
    let (filter, new) = (filter("a"), Arc::<Recorder>::default());
    let last = bus.subscribe(&subscription(SessionId::next(), &filter), new.clone());
    bus.publish(retained("3")).await.unwrap();
    let kept = bus.retained(&filter, None, 9);
    assert!(kept[0].payload == "3" && kept[0].seq > last);
    drop(stalled);
    assert_eq!(
        payloads(&arrived(&old, |got| got.len() == 3).await),
        ["1", "2", "3"]
    );
    assert_eq!(payloads(&arrived(&new, |got| !got.is_empty()).await), ["3"]);
    bus.stop().await;
}

#[tokio::test]
async fn a_subscription_that_is_changed_brings_what_is_on_its_way() {
    let bus = bus().await;
    let (session, recorder) = (SessionId::next(), Arc::<Recorder>::default());
    let filter = filter("a");
    let subscription = subscription(session, &filter);
    bus.subscribe(&subscription, recorder.clone());
    // No task has run in between.
    let message = Message {
        origin: session,
        ..message("a", "1")
    };
    bus.publish(message).await.unwrap();
    bus.subscribe(&subscription, recorder.clone());
    assert_eq!(
        payloads(&arrived(&recorder, |got| !got.is_empty()).await),
        ["1"]
    );
    bus.stop().await;
}

/// Each of them sees the last message of each topic once, be it as retained or live, and as the last one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_retained_and_what_comes_live_make_a_whole() {
    let bus = Arc::new(bus().await);
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let bus = bus.clone();
            tokio::spawn(async move {
                for i in 0..500 {
                    bus.publish(retained(&format!("{publisher}/{i}")))
                        .await
                        .unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let filter = filter("a");
    let mut all = vec![];
    for _ in 0..100 {
        let recorder = Arc::<Recorder>::default();
        let last = bus.subscribe(&subscription(SessionId::next(), &filter), recorder.clone());
        let kept = bus.retained(&filter, None, 1).pop();
        all.push((recorder, kept.filter(|m| m.seq <= last)));
        tokio::task::yield_now().await;
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    bus.publish(retained("end")).await.unwrap();
    for (recorder, kept) in all {
        let end = |got: &[Delivery]| got.last().is_some_and(|d| d.message.payload == "end");
        let live = arrived(&recorder, end).await;
        let seqs: Vec<u64> = kept
            .iter()
            .chain(live.iter().map(|d| &d.message))
            .map(|m| m.seq)
            .collect();
        // Without a gap, from what was retained on; nothing twice.
        assert!(seqs.windows(2).all(|w| w[0] + 1 == w[1]), "{seqs:?}");
    }
    let kept = bus.retained(&filter, None, 1);
    assert_eq!(kept[0].payload, "end");
    bus.stop().await;
}
