//! What is never whole: requests, bodies and frames of which a part is always still to come.

use std::future::pending;

use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use h2::client;
use herald_tests::{
    Version,
    raw::{Connect, Raw},
    websocket,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    mqtt::large_puback,
    survive::{Memory, survive},
    wire,
    world::{ATTACKER, World},
};

/// Sessions over WebSocket; one more is watched.
const SESSIONS: usize = 31;

/// The length that a frame announces, in bytes.
const FRAME: usize = 1024 * 1024;

/// The first byte of a binary frame that others follow, and of one that continues it (RFC 6455 section 5.2).
const BINARY: u8 = 0x02;
const CONTINUATION: u8 = 0x00;

/// The header of a request, in bytes: as long as fits into the head that is accepted.
const HEADER: usize = 30_000;

/// Streams of one HTTP/2 connection, and what a body of each sends in frames of one byte: the windows of the connection.
const STREAMS: usize = 100;
const SENT: usize = 2_600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websocket_messages_that_do_not_end() {
    survive(
        "WebSocket messages that do not end",
        &[],
        Memory(40 * 1024),
        async |_| {},
        async |world| {
            join_all((0..SESSIONS).map(|number| leave_a_message(world, number))).await;
        },
    )
    .await;
}

/// Sends a frame that others are to follow, and the next but for its last byte.
async fn leave_a_message(world: &World, number: usize) {
    let mut socket = websocket(&world.herald).await;
    let connect = Connect::of(ATTACKER)
        .client_id(&format!("unfinished-{number}"))
        .password(&world.attacker.token);
    let connect = Raw::connect_bytes(Version::V5, &connect);
    if socket.send(Message::binary(connect)).await.is_err() || socket.next().await.is_none() {
        return;
    }
    let packet = large_puback();
    let packets = packet.repeat(FRAME / packet.len());
    let whole = [head(BINARY, packets.len()), packets].concat();
    let packets = packet.repeat(FRAME / packet.len() + 1);
    let cut = [head(CONTINUATION, FRAME), packets[..FRAME - 1].to_vec()].concat();
    let stream = socket.get_mut();
    if stream.write_all(&whole).await.is_ok() && stream.write_all(&cut).await.is_ok() {
        pending::<()>().await;
    }
}

/// The head of a frame whose mask changes nothing.
fn head(first: u8, length: usize) -> Vec<u8> {
    [&[first, 0xFF][..], &(length as u64).to_be_bytes(), &[0; 4]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_whose_ends_are_never_where_a_read_ends() {
    let padding = "x".repeat(HEADER);
    let request =
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Padding: {padding}\r\n\r\n");
    survive(
        "requests in a row without sign-in",
        &[],
        Memory(40 * 1024),
        async |_| {},
        async |world| {
            let times = world.size.pick(500, 100_000);
            join_all((0..16).map(|_| pour(world, request.as_bytes(), times))).await;
        },
    )
    .await;
}

/// Sends so many requests in a row, and reads what comes meanwhile.
async fn pour(world: &World, request: &[u8], times: usize) {
    let Some(stream) = wire::connect(world).await else {
        return;
    };
    let (mut reader, mut writer) = stream.into_split();
    let sending = async {
        for _ in 0..times {
            if writer.write_all(request).await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        let mut answers = vec![0; 64 * 1024];
        while let Ok(1..) = reader.read(&mut answers).await {}
    };
    tokio::select! {
        () = sending => {}
        () = reading => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_in_frames_of_one_byte() {
    survive(
        "HTTP/2 bodies in frames of one byte, without sign-in",
        &[],
        Memory(100 * 1024),
        async |_| {},
        async |world| {
            let connections = world.size.pick(8, 30);
            join_all((0..connections).map(|_| drip(world))).await;
        },
    )
    .await;
}

/// Sends bodies that do not end, a byte at a time; connects again when the server has enough.
async fn drip(world: &World) {
    while let Some(stream) = wire::connect(world).await {
        let Ok((requests, connection)) = client::handshake(stream).await else {
            return;
        };
        let sending = async {
            let mut bodies = vec![];
            for _ in 0..STREAMS {
                let request = http::Request::post("http://localhost/api/v1/auth/login")
                    .header("content-type", "application/json")
                    .body(())
                    .unwrap();
                let Ok(mut ready) = requests.clone().ready().await else {
                    break;
                };
                if let Ok((_, mut body)) = ready.send_request(request, false) {
                    for _ in 0..SENT {
                        let _ = body.send_data(vec![b' '].into(), false);
                    }
                    bodies.push(body);
                }
            }
            pending::<()>().await;
        };
        tokio::select! {
            () = sending => {}
            _ = connection => {}
        }
    }
}
