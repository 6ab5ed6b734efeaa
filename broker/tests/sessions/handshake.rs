//! Connections of which nobody knows yet who they are.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    time::{Instant, advance, pause},
};

use crate::{
    common::{encode::Connect, hosts::ORIGIN},
    setup::start,
};

/// From accept to CONNACK, as the server has it.
const HANDSHAKE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn whatever_drips_in_the_handshake_has_its_time() {
    let (broker, _intake) = start(5).await;
    pause();
    // A CONNECT that says that it is long, and bytes that are none.
    for first in [&[0x10, 0xFF, 0x7F][..], &[0xC0, 0]] {
        let (mut client, server) = duplex(64);
        let since = Instant::now();
        let served = tokio::spawn(broker.serve(server, ORIGIN, since + HANDSHAKE));
        let _ = client.write_all(first).await;
        while !served.is_finished() {
            assert!(since.elapsed() <= HANDSHAKE + Duration::from_secs(3));
            // It may be closed by now.
            let _ = client.write_all(&[0]).await;
            advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn no_more_is_read_of_a_stranger_than_a_connect_may_be() {
    let (broker, _intake) = start(5).await;
    let mut long = Connect::new(5).bytes();
    // 100,000 bytes, which is less than a packet of a session may have.
    long.splice(1..2, [0xA0, 0x8D, 0x06]);
    for first in [long, vec![0x30, 0xA0, 0x8D, 0x06], vec![0xC0, 0]] {
        let (mut client, server) = duplex(4096);
        let deadline = Instant::now() + HANDSHAKE;
        let served = tokio::spawn(broker.serve(server, ORIGIN, deadline));
        client.write_all(&first).await.unwrap();
        let mut answer = vec![];
        let closed = client.read_to_end(&mut answer);
        let closed = tokio::time::timeout(HANDSHAKE / 2, closed).await;
        assert!(closed.is_ok(), "the rest is waited for: {first:x?}");
        assert!(answer.is_empty(), "{answer:x?}");
        drop(client);
        served.await.unwrap();
    }
}
