//! MQTT over WebSocket: frames are no more than chunks of a stream (MQTT 5 section 6).

use futures_util::{SinkExt as _, StreamExt as _};
use herald_tests::{
    Herald, MqttJs, Version, bridge, password,
    raw::{Connect, Message, Raw, Will},
    websocket, within,
};
use rstest::rstest;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use crate::heard::{announce, heard};

const TOPIC: &str = "broadcast/x";

async fn start() -> Herald {
    Herald::start_with(&[("HERALD_TLS__MODE", "off"), ("HERALD_MQTT__LISTEN_TLS", "")]).await
}

/// Each byte a frame, frames that end within packets, and all in one.
#[rstest]
#[tokio::test]
async fn packets_may_be_split_over_frames_and_joined_in_one(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = start().await;
    for chunk in [Some(1), Some(3), Some(7), None] {
        let address = bridge(&herald, chunk).await;
        let connect = Connect::of("admin").client_id("over a websocket");
        let mut raw = Raw::over(&address, version).await;
        assert_eq!(raw.login(&connect).await, 0, "{version:?} {chunk:?}");
        assert_eq!(raw.subscribe_at(TOPIC, 2).await, 2);
        for qos in [0, 1, 2] {
            announce(&mut raw, TOPIC, qos, &["one", "two"]).await;
            assert_eq!(heard(&mut raw, 2).await, ["one", "two"]);
        }
        // Many packets in few frames.
        for id in 100..120 {
            raw.send_as(&Message::new(TOPIC, "many").qos(1), id).await;
        }
        for id in 100..120 {
            assert_eq!(raw.puback(id).await.0, 0);
        }
        assert_eq!(heard(&mut raw, 20).await, ["many"; 20]);
        raw.disconnect().await;
    }
}

/// Larger than the frames that the server makes.
#[rstest]
#[tokio::test]
async fn a_long_message_passes_in_both_directions(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = start().await;
    let long = "x".repeat(100_000);
    for chunk in [Some(1000), None] {
        let address = bridge(&herald, chunk).await;
        let mut raw = Raw::over(&address, version).await;
        assert_eq!(raw.login(&Connect::of("admin")).await, 0);
        assert_eq!(raw.subscribe(TOPIC).await, 1);
        announce(&mut raw, TOPIC, 1, &[&long]).await;
        assert_eq!(heard(&mut raw, 1).await, [long.as_str()]);
        raw.disconnect().await;
    }
}

#[tokio::test]
async fn a_text_frame_ends_the_connection_and_a_ping_does_not() {
    let herald = start().await;
    let mut socket = websocket(&herald).await;
    let ping = Frame::Ping("are you there?".into());
    socket.send(ping).await.unwrap();
    let answer = within("a pong", socket.next()).await.unwrap().unwrap();
    assert_eq!(answer, Frame::Pong("are you there?".into()));
    // PINGREQ, as text.
    socket.send(Frame::text("\u{c0}\0")).await.unwrap();
    let end = within("the end", socket.next()).await;
    assert!(
        matches!(end, Some(Ok(Frame::Close(_)) | Err(_)) | None),
        "{end:?}"
    );
}

/// A ping amid MQTT is answered, too, and MQTT goes on.
#[tokio::test]
async fn a_ping_amid_mqtt_is_answered() {
    let herald = start().await;
    let mut socket = websocket(&herald).await;
    let connect = Raw::connect_bytes(Version::V5, &Connect::of("admin"));
    socket.send(Frame::binary(connect)).await.unwrap();
    let connack = within("CONNACK", socket.next()).await.unwrap().unwrap();
    assert_eq!(connack.into_data()[0], 0x20);
    for n in 0..3 {
        socket.send(Frame::Ping(vec![n].into())).await.unwrap();
        socket.send(Frame::binary(vec![0xC0, 0])).await.unwrap();
        let mut answers = vec![];
        for _ in 0..2 {
            answers.push(within("an answer", socket.next()).await.unwrap().unwrap());
        }
        assert!(
            answers.contains(&Frame::Pong(vec![n].into())),
            "{answers:?}"
        );
        assert!(
            answers.contains(&Frame::binary(vec![0xD0, 0])),
            "{answers:?}"
        );
    }
    socket.close(None).await.unwrap();
}

/// A close frame is no DISCONNECT.
#[rstest]
#[tokio::test]
async fn a_websocket_that_is_closed_without_disconnect_brings_the_will(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = start().await;
    let listener = Connect::of("admin").client_id("listener");
    let mut listener = Raw::connect_as(&herald, version, &listener).await;
    assert_eq!(listener.subscribe(TOPIC).await, 1);
    let connect = Connect::of("admin").will_with(Will {
        topic: TOPIC.into(),
        payload: "gone".into(),
        qos: 1,
        retain: false,
        properties: vec![],
    });
    let mut socket = websocket(&herald).await;
    let connect = Raw::connect_bytes(version, &connect);
    socket.send(Frame::binary(connect)).await.unwrap();
    let connack = within("CONNACK", socket.next()).await.unwrap().unwrap();
    assert_eq!(connack.into_data()[0], 0x20);
    let closed: Result<(), tungstenite::Error> = socket.close(None).await;
    closed.unwrap();
    assert_eq!(heard(&mut listener, 1).await, ["gone"], "{version:?}");
    listener.disconnect().await;
}

/// A session goes on over another transport.
#[rstest]
#[tokio::test]
async fn a_session_goes_on_from_tcp_to_websocket(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = Herald::with_users(&["alice"]).await;
    let url = format!("wss://{}/mqtt", herald.http_address());
    let id = format!("{version:?}");
    let connect = Connect::kept("alice").client_id(&id);
    let mut alice = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(alice.subscribe(TOPIC).await, 1);
    alice.cut().await;
    let mut admin = Raw::connect(&herald, version, "admin").await;
    announce(&mut admin, TOPIC, 1, &["while away"]).await;
    let options = serde_json::json!({"clientId": id, "clean": false});
    let secret = password("alice");
    let mut alice = MqttJs::connect(&herald, version, &url, "alice", &secret, options).await;
    assert_eq!(alice.event("connack").await["sessionPresent"], true);
    assert_eq!(alice.message().await["payload"], "while away");
    alice.disconnect().await;
}
