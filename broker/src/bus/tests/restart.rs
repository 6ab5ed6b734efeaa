//! What happens when the router dies or hangs.

use std::collections::BTreeSet;

use super::*;

/// Ends the router's thread, and waits until another router runs.
async fn replace_router(bus: &Bus, end: impl AsyncFnOnce(&Router)) {
    let mut router = bus.router.clone();
    let restarts = bus.metrics.router_restarts.get();
    let old = router.borrow_and_update().clone().unwrap();
    end(&old).await;
    // It may run by now.
    let is_next =
        |now: &Option<Router>| now.is_some() && bus.metrics.router_restarts.get() > restarts;
    let next = timeout(LIMIT, router.wait_for(is_next)).await;
    drop(next.unwrap().unwrap());
}

#[tokio::test]
async fn a_router_that_dies_is_replaced_with_all_that_it_served() {
    let bus = bus().await;
    let (_, all) = listener(&bus, "#");
    let (_, narrow) = listener(&bus, "a/+");
    let kept = Message {
        retain: true,
        ..message("a/kept", "kept")
    };
    bus.publish(kept).await.unwrap();
    arrived(&all, |got| got.len() == 1).await;
    arrived(&narrow, |got| got.len() == 1).await;
    for deaths in 1..=2 {
        let mut died = None;
        replace_router(&bus, async |router| {
            router.kill().await;
            died = Some(std::time::Instant::now());
        })
        .await;
        assert!(bus.is_ready());
        bus.publish(message("a/b", "heard")).await.unwrap();
        for recorder in [&all, &narrow] {
            let got = arrived(recorder, |got| got.len() == 1).await;
            assert_eq!(payloads(&got), ["heard"]);
        }
        // Before it could be noticed that probes have no answer.
        assert!(died.unwrap().elapsed() < Duration::from_secs(5));
        assert_eq!(bus.metrics.router_restarts.get(), deaths);
        let kept = bus.retained(&filter("#"), None, 9);
        assert_eq!(
            kept.iter().map(|m| m.topic.as_str()).collect::<Vec<_>>(),
            ["a/kept"]
        );
    }
    bus.stop().await;
}

#[tokio::test]
async fn messages_handed_to_a_dead_router_reach_the_next_in_order() {
    let bus = bus().await;
    let (_, recorder) = listener(&bus, "a");
    for deaths in 1..=4 {
        let router = bus.router.borrow().clone().unwrap();
        router.kill().await;
        // Nobody has noticed yet.
        assert!(bus.is_ready());
        for i in 0..10 {
            bus.publish(message("a", &i.to_string())).await.unwrap();
        }
        let got = arrived(&recorder, |got| got.len() == 10).await;
        assert_eq!(payloads(&got).concat(), "0123456789");
        assert_eq!(bus.metrics.router_restarts.get(), deaths);
    }
    bus.stop().await;
}

#[tokio::test]
async fn a_router_that_nobody_listens_on_is_replaced_when_it_dies() {
    let bus = bus().await;
    replace_router(&bus, Router::kill).await;
    let (_, recorder) = listener(&bus, "a");
    bus.publish(message("a", "heard")).await.unwrap();
    arrived(&recorder, |got| got.len() == 1).await;
    bus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_do_not_notice_that_the_router_dies() {
    let bus = Arc::new(bus().await);
    let (_, recorder) = listener(&bus, "a/+");
    let stop = CancellationToken::new();
    let publishers: Vec<_> = (0..4)
        .map(|i| {
            let (bus, stop) = (bus.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    bus.publish(message(&format!("a/{i}"), "x")).await.unwrap();
                    tokio::task::yield_now().await;
                }
                bus.publish(message(&format!("a/{i}"), "last"))
                    .await
                    .unwrap();
            })
        })
        .collect();
    for _ in 0..2 {
        arrived(&recorder, |got| !got.is_empty()).await;
        replace_router(&bus, Router::kill).await;
    }
    stop.cancel();
    // What is published after the router is back comes from each of them.
    let lasts = |got: &[Delivery]| {
        let last = got.iter().filter(|d| d.message.payload == "last");
        last.map(|d| d.message.topic.clone())
            .collect::<BTreeSet<_>>()
            .len()
            == 4
    };
    arrived(&recorder, lasts).await;
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert_eq!(bus.metrics.router_restarts.get(), 2);
    bus.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_hangs_is_replaced_and_ends_when_it_goes_on() {
    let bus = Arc::new(bus().await);
    let (_, recorder) = listener(&bus, "a");
    bus.publish(message("a", "before")).await.unwrap();
    arrived(&recorder, |got| got.len() == 1).await;
    let mut stalled = None;
    let mut publisher = None;
    replace_router(&bus, async |router| {
        stalled = Some(router.stall().await);
        // More than the queue holds: the publisher waits for the next router.
        let bus = bus.clone();
        publisher = Some(tokio::spawn(async move {
            for _ in 0..QUEUE * 2 {
                bus.publish(message("a", "x")).await.unwrap();
            }
            bus.publish(message("a", "last")).await.unwrap();
        }));
    })
    .await;
    let last = |got: &[Delivery]| got.last().is_some_and(|d| d.message.payload == "last");
    arrived(&recorder, last).await;
    publisher.unwrap().await.unwrap();
    let ended = stalled.unwrap().go_on_and_end();
    timeout(LIMIT, ended).await.expect("the thread ends");
    bus.stop().await;
}
