//! MQTT.js in Node.js, driven line by line (`tests/js/driver.mjs`).

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    process::{ChildStdin, Command},
};

use crate::{Version, herald::Herald, lines::Lines};

/// One MQTT.js client in a process of its own. Dropping it kills the process.
pub struct MqttJs {
    lines: Lines,
    input: ChildStdin,
}

impl MqttJs {
    /// A client that connects to `url` and does not reconnect by itself. CONNACK is yet to come.
    pub async fn connect(
        herald: &Herald,
        version: Version,
        url: &str,
        username: &str,
        password: &str,
        options: Value,
    ) -> Self {
        let mut command = Command::new("node");
        command
            .arg("driver.mjs")
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/js"))
            .stdin(Stdio::piped());
        let mut lines = Lines::start("MQTT.js", &mut command);
        let input = lines.child().stdin.take().unwrap();
        let mut client = Self { lines, input };
        let (username, password) = herald.names().credentials(username, password);
        let mut connect = json!({
            "command": "connect",
            "url": url,
            "username": username,
            "password": password,
            "protocolVersion": version.level(),
        });
        // A server without TLS has none.
        let ca = Some(herald.ca()).filter(|ca| ca.exists());
        connect["ca"] = json!(ca);
        merge(&mut connect, options);
        client.command(&connect).await;
        client
    }

    /// A client that is connected.
    pub async fn connected(
        herald: &Herald,
        version: Version,
        url: &str,
        username: &str,
        password: &str,
    ) -> Self {
        let mut client = Self::connect(herald, version, url, username, password, json!({})).await;
        let connack = client.event("connack").await;
        assert_eq!(connack["code"], 0, "{connack}");
        client
    }

    async fn command(&mut self, command: &Value) {
        let line = format!("{command}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    /// The next event of this kind; others are passed over.
    pub async fn event(&mut self, kind: &str) -> Value {
        self.lines.find(kind, is(kind)).await
    }

    /// Subscribes at QoS 1 and returns the code of the SUBACK.
    pub async fn subscribe(&mut self, topic: &str) -> u8 {
        self.subscribe_with(topic, json!({})).await
    }

    /// Subscribes at QoS 1 with MQTT.js's `options`.
    pub async fn subscribe_with(&mut self, topic: &str, options: Value) -> u8 {
        let mut command = json!({"command": "subscribe", "topic": topic, "qos": 1});
        merge(&mut command, options);
        self.command(&command).await;
        let suback = self.event("suback").await;
        suback["codes"][0].as_u64().unwrap().try_into().unwrap()
    }

    /// Publishes at QoS 1 and returns the code of the PUBACK.
    pub async fn publish(&mut self, topic: &str, payload: &str) -> u8 {
        self.publish_at(1, topic, payload).await
    }

    /// Publishes at this QoS and returns the code of the last answer, 0 at QoS 0.
    pub async fn publish_at(&mut self, qos: u8, topic: &str, payload: &str) -> u8 {
        self.publish_with(topic, payload, json!({"qos": qos})).await
    }

    /// Publishes with MQTT.js's `options`, of which `qos` must be one, and returns the code of the last answer.
    pub async fn publish_with(&mut self, topic: &str, payload: &str, options: Value) -> u8 {
        let answer = match options["qos"].as_u64() {
            Some(0) => None,
            Some(1) => Some("puback"),
            _ => Some("pubcomp"),
        };
        let mut command = json!({"command": "publish", "topic": topic, "payload": payload});
        merge(&mut command, options);
        self.command(&command).await;
        let Some(answer) = answer else { return 0 };
        // What was sent may be processed, and its notification here, before the answer is.
        let answered = self.lines.find_ahead(answer, is(answer)).await;
        answered["code"].as_u64().unwrap().try_into().unwrap()
    }

    /// The next message.
    pub async fn message(&mut self) -> Value {
        self.event("message").await
    }

    /// Says DISCONNECT and waits for the end.
    pub async fn disconnect(mut self) {
        self.command(&json!({"command": "disconnect"})).await;
        self.event("closed").await;
    }
}

fn merge(target: &mut Value, more: Value) {
    let (Value::Object(target), Value::Object(more)) = (target, more) else {
        panic!("options are an object");
    };
    target.extend(more);
}

/// Reads a line that tells of an event of this kind.
fn is(kind: &str) -> impl Fn(&str) -> Option<Value> {
    move |line| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event["event"] == kind).then_some(event)
    }
}
