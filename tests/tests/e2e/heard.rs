//! Shared messages as the tests look at them.

use herald_tests::{
    Herald, Version,
    raw::{Connect, Message, Raw},
};

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

/// An administrator who publishes below `broadcast/`, and waits until it has come to all who listen: PUBACK says that it is
/// taken, not that it has come.
pub(crate) struct Announcer(pub(crate) Raw, Message);

impl Announcer {
    pub(crate) async fn new(herald: &Herald, version: Version) -> Self {
        let connect = Connect::of("admin").client_id("announcer");
        let mut raw = Raw::connect_as(herald, version, &connect).await;
        assert_eq!(raw.subscribe_at(&herald.topic("#"), 0).await, 0);
        let settled = Message::new(&herald.topic("settled/by now"), "");
        Self(raw, settled)
    }

    /// Publishes these to `topic`, one after the other.
    pub(crate) async fn tell(&mut self, topic: &str, qos: u8, payloads: &[&str]) {
        for payload in payloads {
            self.send(&Message::new(topic, payload).qos(qos)).await;
        }
    }

    /// Publishes this message, whose text must be its own.
    pub(crate) async fn send(&mut self, message: &Message) {
        assert_eq!(self.0.deliver(message).await, 0, "{message:?}");
        while !message.is(&self.0.take().await) {}
    }

    /// Waits until all that was published has come to groups, too, which get a message after those who listen alone.
    pub(crate) async fn settle(&mut self) {
        let settled = self.1.clone();
        self.send(&settled).await;
    }
}
