//! The command-line clients of Mosquitto.

use tokio::process::Command;

use crate::{Version, herald::Herald, lines::Lines, names::password};

/// How a client reaches the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP with TLS, checked against the server's CA.
    Tls,
    /// Plain TCP.
    Tcp,
}

/// What all calls of `mosquitto_sub` and `mosquitto_pub` of a user have in common.
#[derive(Clone)]
pub struct Mosquitto {
    args: Vec<String>,
}

impl Mosquitto {
    /// Clients of this user.
    #[must_use]
    pub fn new(herald: &Herald, version: Version, transport: Transport, username: &str) -> Self {
        Self::with_password(herald, version, transport, username, &password(username))
    }

    /// Clients with this password, which may be a token.
    #[must_use]
    pub fn with_password(
        herald: &Herald,
        version: Version,
        transport: Transport,
        username: &str,
        password: &str,
    ) -> Self {
        let address = match transport {
            Transport::Tls => herald.tls_address(),
            Transport::Tcp => herald.tcp_address(),
        };
        let (host, port) = address.rsplit_once(':').unwrap();
        let version = match version {
            Version::V311 => "mqttv311",
            Version::V5 => "mqttv5",
        };
        let mut mosquitto = Self { args: vec![] };
        mosquitto.extend(&["-d", "-V", version, "-h", host, "-p", port]);
        let (username, password) = herald.names().credentials(username, password);
        mosquitto.extend(&["-u", &username, "-P", &password]);
        if transport == Transport::Tls {
            mosquitto.extend(&["--cafile", herald.ca().to_str().unwrap()]);
        }
        mosquitto
    }

    fn extend(&mut self, args: &[&str]) {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
    }

    /// The same clients with more arguments.
    #[must_use]
    pub fn args(&self, args: &[&str]) -> Self {
        let mut more = self.clone();
        more.extend(args);
        more
    }

    fn start(&self, name: &'static str) -> Lines {
        // Into a pipe it would print by the block.
        let mut command = Command::new("stdbuf");
        command.args(["-oL", name]).args(&self.args);
        Lines::start(name, &mut command)
    }

    /// `mosquitto_sub` at QoS 1, once the broker has answered the subscription.
    pub async fn subscribe(&self, topics: &[&str]) -> Subscriber {
        self.subscribe_at(1, topics).await
    }

    /// The same at this QoS.
    pub async fn subscribe_at(&self, qos: u8, topics: &[&str]) -> Subscriber {
        let mut call = self.args(&["-q", &qos.to_string(), "-F", "message %q %r %t %p"]);
        for topic in topics {
            call.extend(&["-t", topic]);
        }
        let mut lines = call.start("mosquitto_sub");
        let subscribed = |line: &str| line.starts_with("Subscribed (mid").then_some(());
        // What a session is owed that goes on may come before.
        lines.find_ahead("a SUBACK", subscribed).await;
        Subscriber { lines }
    }

    /// `mosquitto_pub` at QoS 1: the reason code of the PUBACK, always 0 in 3.1.1.
    pub async fn publish(&self, topic: &str, payload: &str) -> u8 {
        self.publish_at(1, topic, payload).await
    }

    /// The same at this QoS: the reason code of the last answer, 0 at QoS 0.
    pub async fn publish_at(&self, qos: u8, topic: &str, payload: &str) -> u8 {
        let call = self.args(&["-q", &qos.to_string(), "-t", topic, "-m", payload]);
        let mut lines = call.start("mosquitto_pub");
        let answer = match qos {
            0 => {
                lines.ended().await;
                return 0;
            }
            1 => "received PUBACK",
            _ => "received PUBCOMP",
        };
        // Client null received PUBACK (Mid: 1, RC:135)
        lines
            .find(answer, |line| {
                let (_, code) = line.split_once(answer)?.1.split_once("RC:")?;
                code.trim_end_matches(')').parse().ok()
            })
            .await
    }
}

/// A running `mosquitto_sub`. Dropping it kills it.
pub struct Subscriber {
    lines: Lines,
}

/// A message that a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Topic name.
    pub topic: String,
    /// Payload, as text.
    pub payload: String,
    /// QoS of the delivery.
    pub qos: u8,
    /// The RETAIN flag.
    pub retain: bool,
}

impl Subscriber {
    /// The next message.
    pub async fn message(&mut self) -> Received {
        self.lines.find("a message", parse).await
    }

    /// Waits for its end, and returns the reason code with which the broker brought it about (MQTT 5).
    pub async fn disconnected(mut self) -> u8 {
        // Received DISCONNECT (152)
        let code = |line: &str| {
            let code = line.strip_prefix("Received DISCONNECT (")?;
            code.trim_end_matches(')').parse().ok()
        };
        let code = self.lines.find("DISCONNECT", code).await;
        self.lines.ended().await;
        code
    }

    /// Ends it as a user would, so that it acknowledges what it has printed and says DISCONNECT.
    pub async fn stop(mut self) {
        let pid = self.lines.child().id().expect("it runs").to_string();
        let status = std::process::Command::new("bash")
            .args(["-c", r#"kill -s INT "$0""#, &pid])
            .status();
        assert!(status.is_ok_and(|s| s.success()));
        self.lines.ended().await;
    }
}

fn parse(line: &str) -> Option<Received> {
    let mut parts = line.strip_prefix("message ")?.splitn(4, ' ');
    Some(Received {
        qos: parts.next()?.parse().ok()?,
        retain: parts.next()? == "1",
        topic: parts.next()?.into(),
        payload: parts.next()?.into(),
    })
}
