//! rumqttc, a client library in Rust, in both versions.

use std::{collections::VecDeque, time::Duration};

use rumqttc::{
    AsyncClient, Event, LastWill, MqttOptions, Packet, QoS, qos,
    v5::{self, mqttbytes::v5 as packets},
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{Version, herald::Herald, names::password, wait::within};

/// How a client connects.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// User name.
    pub username: &'a str,
    /// Client id.
    pub id: &'a str,
    /// Whether the session outlives the connection, and goes on.
    pub kept: bool,
    /// Topic and payload of a will at QoS 1.
    pub will: Option<(&'a str, &'a str)>,
}

/// What a client heard.
#[derive(Debug)]
enum Heard {
    Connack {
        session_present: bool,
    },
    Suback,
    /// PUBACK or PUBCOMP.
    Done,
    Message(Delivered),
}

/// A message that a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Topic name.
    pub topic: String,
    /// Payload, as text.
    pub payload: String,
    /// QoS of the delivery.
    pub qos: u8,
    /// The RETAIN flag.
    pub retain: bool,
}

enum Client {
    V311(AsyncClient),
    V5(v5::AsyncClient),
}

/// One client, which acknowledges what it receives. Dropping it closes its connection without DISCONNECT.
pub struct Rumqttc {
    client: Client,
    polling: JoinHandle<()>,
    heard: mpsc::UnboundedReceiver<Heard>,
    early: VecDeque<Delivered>,
    /// What CONNACK said.
    pub session_present: bool,
}

impl Drop for Rumqttc {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

impl Rumqttc {
    /// A client that is let in.
    pub async fn connect(herald: &Herald, version: Version, options: Options<'_>) -> Self {
        let username = &herald.name(options.username);
        let options = Options {
            username,
            ..options
        };
        let (host, port) = herald.tcp_address().rsplit_once(':').unwrap();
        let address = (host, port.parse().unwrap());
        let (sender, heard) = mpsc::unbounded_channel();
        let (client, polling) = match version {
            Version::V311 => v311(address, options, sender),
            Version::V5 => v5(address, options, sender),
        };
        let mut client = Self {
            client,
            polling,
            heard,
            early: VecDeque::new(),
            session_present: false,
        };
        client.session_present = client
            .answer("CONNACK", |heard| match heard {
                Heard::Connack { session_present } => Some(*session_present),
                _ => None,
            })
            .await;
        client
    }

    async fn answer<T>(&mut self, what: &str, pick: impl Fn(&Heard) -> Option<T>) -> T {
        loop {
            let heard = within(what, self.heard.recv()).await;
            let heard = heard.unwrap_or_else(|| panic!("the end, before {what}"));
            if let Some(answer) = pick(&heard) {
                return answer;
            }
            if let Heard::Message(message) = heard {
                self.early.push_back(message);
            }
        }
    }

    /// Subscribes at this QoS and waits for SUBACK.
    pub async fn subscribe(&mut self, filter: &str, level: u8) {
        match &self.client {
            Client::V311(client) => client.subscribe(filter, qos(level).unwrap()).await.unwrap(),
            Client::V5(client) => client.subscribe(filter, qos5(level)).await.unwrap(),
        }
        self.answer("SUBACK", |heard| {
            matches!(heard, Heard::Suback).then_some(())
        })
        .await;
    }

    /// Publishes at this QoS and waits for PUBACK or PUBCOMP.
    pub async fn publish(&mut self, topic: &str, payload: &str, level: u8, retain: bool) {
        let bytes = payload.as_bytes();
        match &self.client {
            Client::V311(client) => client
                .publish(topic, qos(level).unwrap(), retain, bytes)
                .await
                .unwrap(),
            Client::V5(client) => client
                .publish(topic, qos5(level), retain, bytes.to_vec())
                .await
                .unwrap(),
        }
        if level > 0 {
            self.answer("PUBACK or PUBCOMP", |heard| {
                matches!(heard, Heard::Done).then_some(())
            })
            .await;
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Delivered {
        if let Some(message) = self.early.pop_front() {
            return message;
        }
        self.answer("a message", |heard| match heard {
            Heard::Message(message) => Some(message.clone()),
            _ => None,
        })
        .await
    }

    /// Says DISCONNECT and waits for the end.
    pub async fn disconnect(mut self) {
        match &self.client {
            Client::V311(client) => client.disconnect().await.unwrap(),
            Client::V5(client) => client.disconnect().await.unwrap(),
        }
        while within("the end", self.heard.recv()).await.is_some() {}
    }
}

fn qos5(level: u8) -> v5::mqttbytes::QoS {
    v5::mqttbytes::qos(level).unwrap()
}

type Started = (Client, JoinHandle<()>);

fn v311(address: (&str, u16), options: Options, heard: mpsc::UnboundedSender<Heard>) -> Started {
    let mut mqtt = MqttOptions::new(options.id, address.0, address.1);
    mqtt.set_credentials(options.username, password(options.username));
    mqtt.set_keep_alive(Duration::from_secs(30));
    mqtt.set_clean_session(!options.kept);
    if let Some((topic, payload)) = options.will {
        mqtt.set_last_will(LastWill::new(topic, payload, QoS::AtLeastOnce, false));
    }
    let (client, mut events) = AsyncClient::new(mqtt, 100);
    let polling = tokio::spawn(async move {
        while let Ok(event) = events.poll().await {
            let Event::Incoming(packet) = event else {
                continue;
            };
            let news = match packet {
                Packet::ConnAck(p) => Heard::Connack {
                    session_present: p.session_present,
                },
                Packet::SubAck(_) => Heard::Suback,
                Packet::PubAck(_) | Packet::PubComp(_) => Heard::Done,
                Packet::Publish(p) => Heard::Message(Delivered {
                    topic: p.topic,
                    payload: String::from_utf8(p.payload.to_vec()).unwrap(),
                    qos: p.qos as u8,
                    retain: p.retain,
                }),
                _ => continue,
            };
            if heard.send(news).is_err() {
                break;
            }
        }
    });
    (Client::V311(client), polling)
}

fn v5(address: (&str, u16), options: Options, heard: mpsc::UnboundedSender<Heard>) -> Started {
    let mut mqtt = v5::MqttOptions::new(options.id, address.0, address.1);
    mqtt.set_credentials(options.username, password(options.username));
    mqtt.set_keep_alive(Duration::from_secs(30));
    mqtt.set_clean_start(!options.kept);
    mqtt.set_session_expiry_interval(options.kept.then_some(3600));
    if let Some((topic, payload)) = options.will {
        let qos = v5::mqttbytes::QoS::AtLeastOnce;
        let will = packets::LastWill::new(topic, payload.as_bytes().to_vec(), qos, false, None);
        mqtt.set_last_will(will);
    }
    let (client, mut events) = v5::AsyncClient::new(mqtt, 100);
    let polling = tokio::spawn(async move {
        while let Ok(event) = events.poll().await {
            let v5::Event::Incoming(packet) = event else {
                continue;
            };
            let news = match packet {
                packets::Packet::ConnAck(p) => Heard::Connack {
                    session_present: p.session_present,
                },
                packets::Packet::SubAck(_) => Heard::Suback,
                packets::Packet::PubAck(_) | packets::Packet::PubComp(_) => Heard::Done,
                packets::Packet::Publish(p) => Heard::Message(Delivered {
                    topic: String::from_utf8(p.topic.to_vec()).unwrap(),
                    payload: String::from_utf8(p.payload.to_vec()).unwrap(),
                    qos: p.qos as u8,
                    retain: p.retain,
                }),
                _ => continue,
            };
            if heard.send(news).is_err() {
                break;
            }
        }
    });
    (Client::V5(client), polling)
}
