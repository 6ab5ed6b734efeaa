//! What MQTT 5 adds to messages and answers (section 2.2.2), and what of it 3.1.1 gets.

use herald_tests::{
    Herald, MqttJs, SharedServer, Version, password,
    raw::{Connack, Connect, Message, Property, Raw},
    until,
};
use serde_json::json;

use crate::heard::announce;

static SERVER: SharedServer = SharedServer::new();

fn reason(properties: &[Property]) -> Option<&str> {
    properties.iter().find_map(|p| match p {
        Property::ReasonString(text) => Some(text.as_str()),
        _ => None,
    })
}

fn response_information(connack: &Connack) -> Option<&str> {
    connack.properties.iter().find_map(|p| match p {
        Property::ResponseInformation(text) => Some(text.as_str()),
        _ => None,
    })
}

/// A listener at QoS 2, and one who publishes.
async fn two(herald: &Herald) -> (Raw, Raw) {
    let mut alice = Raw::connect(herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe_at(&herald.topic("x"), 2).await, 2);
    (alice, Raw::connect(herald, Version::V5, "admin").await)
}

#[tokio::test]
async fn the_properties_of_a_message_are_passed_on_unaltered_at_each_level() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let (mut alice, mut admin) = two(&herald).await;
    let mut old = Raw::connect_as(
        &herald,
        Version::V311,
        &Connect::of("alice").client_id("old"),
    )
    .await;
    assert_eq!(old.subscribe_at(topic, 2).await, 2);
    let properties = [
        Property::PayloadFormat(1),
        Property::ContentType("text/plain; charset=utf-8".into()),
        Property::ResponseTopic("responses/admin/17".into()),
        Property::CorrelationData((0..=255).collect()),
        Property::user("a", "1"),
        Property::user("ü", "√"),
        Property::user("a", "2"),
        Property::user("", ""),
    ];
    for qos in [0, 1, 2] {
        let mut message = Message::new(topic, "with all").qos(qos);
        for property in &properties {
            message = message.with(property.clone());
        }
        assert_eq!(admin.deliver(&message).await, 0);
        let received = alice.take().await;
        // User properties keep their order (section 3.3.2.3.7).
        assert_eq!(received.properties, properties, "QoS {qos}");
        let received = old.take().await;
        assert_eq!((received.qos, received.payload.as_str()), (qos, "with all"));
    }
    // Nothing comes of nothing.
    announce(&mut admin, topic, 1, &["bare"]).await;
    assert_eq!(alice.take().await.properties, []);
}

#[tokio::test]
async fn a_message_expiry_counts_down_while_a_session_is_away() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let connect = Connect::kept("alice");
    let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(alice.subscribe(&herald.topic("#")).await, 1);
    alice.disconnect().await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    for (payload, seconds) in [("short", Some(1)), ("long", Some(3600)), ("endless", None)] {
        let mut message = Message::new(&herald.topic("x"), payload).qos(1);
        message = match seconds {
            Some(seconds) => message.with(Property::MessageExpiry(seconds)),
            None => message,
        };
        assert_eq!(admin.deliver(&message).await, 0);
    }
    // A retained message of the same age tells when the time is over: it is not sent any more.
    let sign = Message::new(&herald.topic("sign"), "there")
        .qos(1)
        .retained();
    let sign = sign.with(Property::MessageExpiry(2));
    assert_eq!(admin.deliver(&sign).await, 0);
    gone(&mut admin, &herald.topic("sign")).await;
    let mut alice = Raw::resume(&herald, Version::V5, &connect).await;
    let long = alice.take().await;
    assert_eq!(long.payload, "long");
    let left = long.properties.iter().find_map(|p| match p {
        Property::MessageExpiry(left) => Some(*left),
        _ => None,
    });
    // What is left of it (section 3.3.2.3.3).
    assert!(
        left.is_some_and(|left| (1..3600).contains(&left)),
        "{left:?}"
    );
    let endless = alice.take().await;
    assert_eq!(endless.payload, "endless");
    assert_eq!(endless.properties, []);
}

/// Waits until a new subscription to `topic` brings no retained message.
async fn gone(raw: &mut Raw, topic: &str) {
    until("a retained message to expire", async || {
        assert_eq!(raw.subscribe_at(topic, 0).await, 0);
        raw.at_once().await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refusal_has_a_reason_unless_the_client_wants_none() {
    let herald = SERVER.with_users(&["alice"]).await;
    let topic: &str = &herald.topic("x");
    for (asked, wanted) in [(None, true), (Some(1), true), (Some(0), false)] {
        let mut connect = Connect::of("alice");
        connect.properties = asked
            .map(Property::RequestProblemInformation)
            .into_iter()
            .collect();
        let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
        for (topic, code) in [
            (topic.to_owned(), 0x87),
            (herald.messages("bob"), 0x87),
            (herald.messages("alice"), 0x99),
            (format!("broadcast{}", "/x".repeat(128)), 0x90),
        ] {
            for qos in [1, 2] {
                let message = Message::new(&topic, "x").qos(qos);
                let (answered, properties) = alice.deliver_explained(&message).await;
                assert_eq!(answered, code, "{topic} at QoS {qos}");
                assert_eq!(reason(&properties).is_some(), wanted, "{properties:?}");
            }
        }
        // CONNACK has one whenever it refuses (section 3.1.2.11.7).
        let mut raw = Raw::open(&herald, Version::V5).await;
        let connack = raw.connack(&connect.will(topic, "mine")).await;
        assert_eq!(connack.code, 0x87);
        if wanted {
            assert!(reason(&connack.properties).is_some());
        }
    }
}

#[tokio::test]
async fn response_information_names_the_users_own_topic_if_asked_for() {
    let herald = SERVER.with_users(&["alice"]).await;
    let own = format!("responses/{}", herald.name("alice"));
    for (asked, told) in [(None, None), (Some(0), None), (Some(1), Some(own.as_str()))] {
        let mut connect = Connect::of("alice");
        connect.properties = asked
            .map(Property::RequestResponseInformation)
            .into_iter()
            .collect();
        let (_, connack) = Raw::begin(&herald, Version::V5, &connect).await;
        assert_eq!(response_information(&connack), told);
    }
}

/// The request goes from an administrator to who listens, the response comes back to the administrator alone.
#[tokio::test]
async fn a_request_is_answered_where_it_says() {
    let herald = SERVER.with_users(&["alice", "bob", "admin"]).await;
    let ask = Connect::of("alice").with(Property::RequestResponseInformation(1));
    let (mut alice, connack) = Raw::begin(&herald, Version::V5, &ask).await;
    let below = response_information(&connack).unwrap().to_owned();
    assert_eq!(alice.subscribe(&format!("{below}/#")).await, 1);
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let response = Message::new(&format!("{below}/1"), "42").qos(1);
    let response = response.with(Property::CorrelationData(b"question".to_vec()));
    assert_eq!(admin.deliver(&response).await, 0);
    let received = alice.take().await;
    assert_eq!(received.payload, "42");
    assert_eq!(
        received.properties,
        [Property::CorrelationData(b"question".to_vec())]
    );
    let mut bob = Raw::connect(&herald, Version::V5, "bob").await;
    assert_eq!(bob.subscribe(&format!("{below}/#")).await, 0x87);
    assert_eq!(bob.publish(&format!("{below}/1"), "mine").await, 0x87);
}

#[tokio::test]
async fn enhanced_authentication_is_refused() {
    let herald = SERVER.with_users(&["admin"]).await;
    for data in [None, Some(vec![1, 2, 3])] {
        let mut connect = Connect::of("admin");
        connect.properties = vec![Property::AuthenticationMethod("SCRAM-SHA-256".into())];
        connect
            .properties
            .extend(data.map(Property::AuthenticationData));
        let code = Raw::connect_code(&herald, Version::V5, &connect).await;
        assert_eq!(code, 0x8C);
    }
    // Nor can it be begun later: AUTH, re-authenticate.
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    admin.send(&[0xF0, 2, 0x19, 0]).await;
    assert_eq!(admin.ended().await, Some(0x82));
}

#[tokio::test]
async fn connack_says_what_the_server_does() {
    let herald = SERVER.with_users(&["admin"]).await;
    let (_, connack) = Raw::begin(&herald, Version::V5, &Connect::of("admin")).await;
    assert!(connack.properties.contains(&Property::ReceiveMaximum(32)));
    assert!(
        connack
            .properties
            .contains(&Property::TopicAliasMaximum(16))
    );
    for property in &connack.properties {
        // All there is, is available: what is left out means yes (section 3.2.2.3).
        let limits = matches!(
            property,
            Property::MaximumQos(_)
                | Property::RetainAvailable(0)
                | Property::WildcardAvailable(0)
                | Property::SubscriptionIdentifiersAvailable(0)
                | Property::SharedAvailable(0)
        );
        assert!(!limits, "{property:?}");
    }
    // The largest packet that the server takes is bounded, and a client must know (section 3.2.2.3.6).
    let maximum = Property::MaximumPacketSize(128 * 1024);
    assert!(connack.properties.contains(&maximum), "{connack:?}");
}

#[tokio::test]
async fn mqttjs_gets_the_properties_of_messages_and_notifications() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let url = format!("wss://{}/mqtt", herald.http_address());
    let secret = password("alice");
    let mut alice = MqttJs::connected(&herald, Version::V5, &url, "alice", &secret).await;
    assert_eq!(alice.subscribe(topic).await, 1);
    let mut admin = MqttJs::connected(&herald, Version::V5, &url, "admin", "admin").await;
    let properties = json!({
        "payloadFormatIndicator": true,
        "contentType": "text/plain",
        "responseTopic": "responses/admin/1",
        "userProperties": {"key": "value"},
    });
    let options = json!({"qos": 1, "properties": properties});
    assert_eq!(admin.publish_with(topic, "text", options).await, 0);
    let message = alice.message().await;
    for (key, value) in properties.as_object().unwrap() {
        assert_eq!(message["properties"][key], *value, "{message}");
    }
    assert_eq!(alice.subscribe(&herald.inbox("alice")).await, 1);
    herald.http("alice").await.send_message("hello").await;
    let notification = alice.message().await;
    assert_eq!(
        notification["properties"]["contentType"],
        "application/json"
    );
    assert_eq!(notification["properties"]["userProperties"]["seq"], "1");
}
