//! Client ids: given, missing, too long (MQTT 5 sections 3.1.3.1 and 3.2.2.3.7).

use herald_tests::{
    SharedServer, Version,
    raw::{Connack, Connect, Property, Raw},
};
use rstest::rstest;

static SERVER: SharedServer = SharedServer::new();

fn assigned(connack: &Connack) -> Option<String> {
    connack.properties.iter().find_map(|p| match p {
        Property::AssignedClientId(id) => Some(id.clone()),
        _ => None,
    })
}

#[tokio::test]
async fn a_client_of_3_1_1_without_an_id_has_a_clean_session_or_none() {
    let herald = SERVER.with_users(&["alice"]).await;
    let clean = Connect::of("alice").client_id("");
    let mut first = Raw::connect_as(&herald, Version::V311, &clean).await;
    let mut second = Raw::connect_as(&herald, Version::V311, &clean).await;
    // They are two.
    first.ping().await;
    second.ping().await;
    let kept = Connect::kept("alice").client_id("");
    let code = Raw::connect_code(&herald, Version::V311, &kept).await;
    assert_eq!(code, 0x02);
}

#[tokio::test]
async fn a_client_of_mqtt_5_without_an_id_is_given_one_that_it_can_come_back_with() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    for clean in [true, false] {
        let connect = Connect {
            clean,
            ..Connect::kept("alice").client_id("")
        };
        let (mut first, connack) = Raw::begin(&herald, Version::V5, &connect).await;
        assert!(!connack.session_present);
        let id = assigned(&connack).unwrap();
        let (other, connack) = Raw::begin(&herald, Version::V5, &connect).await;
        assert_ne!(assigned(&connack).unwrap(), id);
        assert_eq!(first.subscribe(topic).await, 1);
        first.cut().await;
        let back = Connect::kept("alice").client_id(&id);
        let (mut back, connack) = Raw::begin(&herald, Version::V5, &back).await;
        assert!(connack.session_present, "clean start {clean}");
        // It has one.
        assert_eq!(assigned(&connack), None);
        let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
        assert_eq!(admin.publish(topic, "back").await, 0);
        assert_eq!(back.take().await.payload, "back");
        other.disconnect().await;
    }
}

#[rstest]
#[tokio::test]
async fn a_client_id_may_be_long_and_of_any_text_but_not_longer(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    for id in ["x".repeat(256), "ü".repeat(128), "🦀 с пробелом".into()] {
        let connect = Connect::of("alice").client_id(&id);
        Raw::connect_as(&herald, version, &connect)
            .await
            .ping()
            .await;
    }
    let connect = Connect::of("alice").client_id(&"x".repeat(257));
    let code = Raw::connect_code(&herald, version, &connect).await;
    assert_eq!(code, if version.is_v5() { 0x85 } else { 0x02 });
}
