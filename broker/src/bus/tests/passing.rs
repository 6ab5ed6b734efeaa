//! The embedded relay by itself.

use super::*;
use crate::bus::relay::Relay as _;

#[tokio::test]
async fn what_is_handed_over_comes_back_in_order_and_the_table_is_bounded() {
    let (mut relay, _router) = Embedded::start(Arc::default()).await.unwrap();
    let mut expected = std::collections::VecDeque::new();
    for i in 0..10_000 {
        let mut next = Arc::new(message("a", &i.to_string()));
        expected.push_back(next.clone());
        while let Err(no_room) = relay.hand_over(next) {
            next = no_room;
            let received = timeout(LIMIT, relay.receive()).await.unwrap();
            assert!(Arc::ptr_eq(&received, &expected.pop_front().unwrap()));
            assert!(expected.len() <= 256);
        }
    }
    for expected in expected {
        let received = timeout(LIMIT, relay.receive()).await.unwrap();
        assert!(Arc::ptr_eq(&received, &expected));
        // Nothing else holds it: not the table, nor the router.
        drop(received);
        assert_eq!(Arc::strong_count(&expected), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_a_router_had_when_it_failed_goes_through_the_next_once() {
    let metrics = Arc::<Metrics>::default();
    let (mut relay, mut router) = Embedded::start(metrics.clone()).await.unwrap();
    for deaths in 1..=3 {
        let current = router.borrow().clone().unwrap();
        // Once it hangs, with all that it was given.
        let stalled = match deaths {
            2 => Some(current.stall().await),
            _ => None,
        };
        for i in 0..200 {
            assert!(
                relay
                    .hand_over(Arc::new(message("a", &i.to_string())))
                    .is_ok()
            );
        }
        if stalled.is_none() {
            current.kill().await;
        }
        for i in 0..200 {
            // Dropped and called again while the next one starts.
            let received = loop {
                let next = timeout(Duration::from_millis(1), relay.receive()).await;
                if let Ok(received) = next {
                    break received;
                }
            };
            assert_eq!(received.payload, i.to_string());
        }
        let is_next =
            |now: &Option<Router>| now.is_some() && metrics.router_restarts.get() == deaths;
        tokio::select! {
            _ = relay.receive() => panic!("nothing comes twice"),
            next = timeout(LIMIT, router.wait_for(is_next)) => drop(next.unwrap().unwrap()),
        }
        if let Some(stalled) = stalled {
            timeout(LIMIT, stalled.go_on_and_end())
                .await
                .expect("the thread ends");
        }
    }
    assert_eq!(metrics.shared_dropped.get(), 0);
}
