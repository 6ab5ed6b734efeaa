//! Clients that take their time. Limits of more than a few seconds are tested beside their code, in paused time.

use herald_tests::within;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Duration, sleep},
};

use crate::wire::{Wire, expect_unharmed, plain};

/// Between two bytes of a client that drips.
const DRIP: Duration = Duration::from_millis(200);

/// Sends `start`, and then `unit` again and again, until the server ends the connection.
async fn drip(mut wire: Wire, start: &[u8], unit: &[u8]) {
    wire.send(start).await;
    let (mut reader, mut writer) = wire.stream.into_split();
    let reading = async {
        let _ = reader.read_to_end(&mut vec![]).await;
    };
    let writing = async {
        while writer.write_all(unit).await.is_ok() {
            sleep(DRIP).await;
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}

#[tokio::test]
async fn connections_without_a_request_are_closed_whatever_drips_in() {
    let herald = plain().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let headers = [&preface[..], b"\0\x40\0\x01\x04\0\0\0\x01"].concat();
    let clients: [(&[u8], &[u8]); 6] = [
        (b"", b""),
        (b"P", b""),
        (b"GET / HTTP/1.1\r\nA: ", b"a"),
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
        (preface, b"\0\0\x08\x06\0\0\0\0\0pingpong"),
        (&headers, b"\x82"),
    ];
    let clients = clients.map(async |(start, unit)| {
        drip(Wire::connect(&herald).await, start, unit).await;
    });
    within(
        "the end of slow connections",
        futures_util::future::join_all(clients),
    )
    .await;
    expect_unharmed(&herald).await;
}

#[tokio::test]
async fn slow_clients_keep_nobody_waiting_and_do_not_hold_up_the_stop() {
    let mut herald = plain().await;
    let mut slow = vec![];
    for _ in 0..200 {
        let mut wire = Wire::connect(&herald).await;
        wire.send(
            b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
        )
        .await;
        slow.push(wire);
    }
    expect_unharmed(&herald).await;
    // Requests under way have five seconds; these never end.
    herald.stop().await;
    drop(slow);
}
