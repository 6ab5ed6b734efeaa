//! Clients whose packets take longer to arrive than they may be silent.

use std::time::Duration;

use tokio::{
    task::yield_now,
    time::{advance, pause},
};

use crate::{
    client::{Answer::Puback, Client},
    common::encode::{Connect, V3, publish},
    setup::{SEND, next, open, start},
};

/// Sends `bytes` in parts of so many a second.
async fn drip(client: &mut Client, bytes: &[u8], a_second: usize) {
    for part in bytes.chunks(a_second) {
        client.send(part).await;
        advance(Duration::from_secs(1)).await;
        yield_now().await;
    }
}

#[tokio::test]
async fn a_publish_that_is_still_arriving_is_waited_for_unless_it_only_drips() {
    let (broker, intake) = start(5).await;
    let connect = Connect {
        // Silent after three seconds.
        keep_alive: 2,
        ..Connect::new(V3)
    };
    let body = "x".repeat(4000);
    let send = publish(V3, 2, SEND, 1, &[], &format!(r#"{{"body":"{body}"}}"#));
    let mut steady = open(&broker, &connect).await;
    pause();
    drip(&mut steady, &send, 400).await;
    assert_eq!(next(&mut steady).await, Puback(1, 0));
    assert_eq!(intake.came(), [body]);
    assert_eq!(steady.until_closed().await, Ok(vec![]));

    let mut slow = open(&broker, &connect).await;
    drip(&mut slow, &send[..10], 1).await;
    assert_eq!(slow.until_closed().await, Ok(vec![]));
    assert_eq!(broker.connected(), 0);
}
