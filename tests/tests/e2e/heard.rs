//! Shared messages as the tests look at them.

use herald_tests::raw::{Message, Raw};

/// Publishes these to `topic`, each once the one before is answered to the end.
pub(crate) async fn announce(raw: &mut Raw, topic: &str, qos: u8, payloads: &[&str]) {
    for payload in payloads {
        let code = raw.deliver(&Message::new(topic, payload).qos(qos)).await;
        assert_eq!(code, 0, "{topic}: {payload}");
    }
}

/// The payloads of the next `n` messages, acknowledged to the end.
pub(crate) async fn heard(raw: &mut Raw, n: usize) -> Vec<String> {
    let mut all = vec![];
    for _ in 0..n {
        all.push(raw.take().await.payload);
    }
    all
}

/// Shows that nothing is on its way to `raw`: what comes next is what is published now.
pub(crate) async fn hears_nothing_before(raw: &mut Raw, publisher: &mut Raw, topic: &str) {
    announce(publisher, topic, 1, &["the next"]).await;
    let next = raw.take().await;
    assert_eq!(
        (next.topic.as_str(), next.payload.as_str()),
        (topic, "the next")
    );
}
