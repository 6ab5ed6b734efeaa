//! Keep-alive, and who decides on it (MQTT 5 sections 3.1.2.10 and 3.2.2.3.14).

use herald_tests::{
    Herald, Mosquitto, SharedServer, Transport, Version,
    raw::{Connack, Connect, Property, Raw},
};
use rstest::rstest;

static SERVER: SharedServer = SharedServer::new();

const LONGEST: (&str, &str) = ("HERALD_MQTT__MAX_KEEP_ALIVE_S", "1");

fn with(id: &str, keep_alive_s: u16) -> Connect {
    Connect {
        keep_alive_s,
        ..Connect::of("admin").client_id(id)
    }
}

fn told(connack: &Connack) -> Option<u16> {
    connack.properties.iter().find_map(|p| match p {
        Property::ServerKeepAlive(seconds) => Some(*seconds),
        _ => None,
    })
}

/// The others' silence has an end meanwhile.
#[rstest]
#[tokio::test]
async fn a_client_without_keep_alive_may_be_silent(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["admin"]).await;
    let (mut silent, connack) = Raw::begin(&herald, version, &with("0", 0)).await;
    assert_eq!(told(&connack), None);
    for _ in 0..2 {
        let mut other = Raw::connect_as(&herald, version, &with("1", 1)).await;
        assert_eq!(other.ended().await, version.is_v5().then_some(0x8D));
    }
    silent.ping().await;
}

#[tokio::test]
async fn the_operator_bounds_the_keep_alive_of_mqtt_5() {
    let herald = Herald::start_with(&[LONGEST]).await;
    for asked in [0, 2, 60, u16::MAX] {
        let connect = with(&format!("{asked}"), asked);
        let (mut admin, connack) = Raw::begin(&herald, Version::V5, &connect).await;
        assert_eq!(told(&connack), Some(1), "{asked}");
        assert_eq!(admin.ended().await, Some(0x8D), "{asked}");
    }
    let (mut admin, connack) = Raw::begin(&herald, Version::V5, &with("1", 1)).await;
    assert_eq!(told(&connack), None);
    assert_eq!(admin.ended().await, Some(0x8D));
}

/// A client that keeps to it stays, whatever it had asked for.
#[tokio::test]
async fn mosquitto_keeps_to_the_keep_alive_that_it_is_told() {
    // Another program needs some time for it.
    let longest = ("HERALD_MQTT__MAX_KEEP_ALIVE_S", "3");
    let herald = Herald::start_with(&[longest]).await;
    let client = Mosquitto::new(&herald, Version::V5, Transport::Tcp, "admin");
    let mut client = client.args(&["-k", "60"]).subscribe(&["broadcast/#"]).await;
    for _ in 0..2 {
        let mut silent = Raw::connect_as(&herald, Version::V5, &with("silent", 60)).await;
        assert_eq!(silent.ended().await, Some(0x8D));
    }
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    assert_eq!(admin.publish("broadcast/x", "still there").await, 0);
    assert_eq!(client.message().await.payload, "still there");
}

/// A session that is to be kept is: silence ends a connection.
#[rstest]
#[tokio::test]
async fn a_kept_session_outlives_the_silence_of_its_client(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let connect = Connect {
        keep_alive_s: 1,
        ..Connect::kept("alice")
    };
    let mut alice = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(alice.ended().await, version.is_v5().then_some(0x8D));
    let alice = Raw::resume(&herald, version, &connect).await;
    alice.disconnect().await;
    Raw::connect(&herald, version, "alice")
        .await
        .disconnect()
        .await;
}
