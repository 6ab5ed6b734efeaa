//! Retained messages outlive a kill, whatever their topics are.

use herald_tests::{
    Herald, Version,
    raw::{Message, Raw},
};

/// Longer than a key of any database, and not to be compressed.
fn long_topic() -> String {
    let digits = (1..3_500_u64).map(|n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    format!("broadcast/{}", digits.collect::<String>())
}

#[tokio::test]
async fn a_retained_message_of_a_long_topic_is_there_after_a_kill() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let topic = long_topic();
    for topic in [&topic, "broadcast/short"] {
        let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
        let message = Message::new(topic, "on").qos(1).retained();
        assert_eq!(admin.deliver(&message).await, 0);
    }
    herald.kill().await;
    herald.begin().await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe("broadcast/#").await, 1);
    let mut greeting = [alice.take().await.topic, alice.take().await.topic];
    greeting.sort();
    assert_eq!(greeting, [topic, "broadcast/short".into()]);
}
