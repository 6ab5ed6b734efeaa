//! A client that shows every byte: exact codes, odd packets, acknowledgements when the test wants them.

mod decode;
mod encode;

use std::collections::VecDeque;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub use decode::{Packet, Publish};

use crate::{
    Version,
    herald::{Herald, password},
    wait::within,
};

/// What a CONNECT says.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Client id.
    pub client_id: String,
    /// User name.
    pub username: String,
    /// Password, or token.
    pub password: String,
    /// Clean session, or clean start.
    pub clean: bool,
    /// Keep-alive, in seconds.
    pub keep_alive_s: u16,
    /// Last will.
    pub will: Option<Will>,
    /// MQTT 5: receive maximum.
    pub receive_maximum: Option<u16>,
    /// MQTT 5: maximum packet size, in bytes.
    pub maximum_packet_size: Option<u32>,
}

/// A last will.
#[derive(Clone, Debug)]
pub struct Will {
    /// Topic name.
    pub topic: String,
    /// Payload.
    pub payload: String,
    /// QoS.
    pub qos: u8,
    /// Whether it is retained.
    pub retain: bool,
}

impl Connect {
    /// A clean session of this user, with a client id made of the name.
    #[must_use]
    pub fn of(username: &str) -> Self {
        Self {
            client_id: format!("{username}-raw"),
            username: username.into(),
            password: password(username),
            clean: true,
            keep_alive_s: 60,
            will: None,
            receive_maximum: None,
            maximum_packet_size: None,
        }
    }

    /// With this client id.
    #[must_use]
    pub fn client_id(mut self, id: &str) -> Self {
        self.client_id = id.into();
        self
    }

    /// With this password, or token.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = password.into();
        self
    }

    /// With a last will at QoS 1.
    #[must_use]
    pub fn will(mut self, topic: &str, payload: &str) -> Self {
        self.will = Some(Will {
            topic: topic.into(),
            payload: payload.into(),
            qos: 1,
            retain: false,
        });
        self
    }
}

/// A connection over plain TCP. Dropping it closes it without DISCONNECT.
pub struct Raw {
    version: Version,
    stream: TcpStream,
    unread: Vec<u8>,
    /// PUBLISHes that came before an answer that was waited for.
    early: VecDeque<Publish>,
    last_id: u16,
}

impl Raw {
    /// A connection on which nothing was sent.
    pub async fn open(herald: &Herald, version: Version) -> Self {
        Self {
            version,
            stream: TcpStream::connect(herald.tcp_address()).await.unwrap(),
            unread: vec![],
            early: VecDeque::new(),
            last_id: 0,
        }
    }

    /// The code that answers this CONNECT.
    pub async fn connect_code(herald: &Herald, version: Version, connect: &Connect) -> u8 {
        Self::open(herald, version).await.login(connect).await
    }

    /// A connection that is let in.
    pub async fn connect_as(herald: &Herald, version: Version, connect: &Connect) -> Self {
        let mut raw = Self::open(herald, version).await;
        assert_eq!(raw.login(connect).await, 0, "CONNACK of {connect:?}");
        raw
    }

    /// A clean session of this user.
    pub async fn connect(herald: &Herald, version: Version, username: &str) -> Self {
        Self::connect_as(herald, version, &Connect::of(username)).await
    }

    /// Sends CONNECT and answers the code of the CONNACK.
    pub async fn login(&mut self, connect: &Connect) -> u8 {
        self.send(&encode::connect(self.version, connect)).await;
        match self.packet().await {
            Some(Packet::Connack { code, .. }) => code,
            other => panic!("CONNACK expected: {other:?}"),
        }
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        within("a write", self.stream.write_all(bytes))
            .await
            .unwrap();
    }

    /// The next packet, or `None` when the broker has closed the connection.
    pub async fn packet(&mut self) -> Option<Packet> {
        loop {
            if let Some((packet, length)) = decode::packet(self.version, &self.unread) {
                self.unread.drain(..length);
                return Some(packet);
            }
            let read = within("a packet", self.stream.read_buf(&mut self.unread)).await;
            // Closing with unread bytes resets the connection.
            if read.is_err() || read.is_ok_and(|n| n == 0) {
                assert!(self.unread.is_empty(), "half a packet: {:?}", self.unread);
                return None;
            }
        }
    }

    fn next_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }

    /// Subscribes at QoS 1 and answers the code.
    pub async fn subscribe(&mut self, filter: &str) -> u8 {
        self.subscribe_all(&[(filter, 1)], None).await[0]
    }

    /// Subscribes to filters with their options, optionally behind a notification, and answers the codes.
    pub async fn subscribe_all(&mut self, filters: &[(&str, u8)], after: Option<&str>) -> Vec<u8> {
        let sent = self.next_id();
        self.send(&encode::subscribe(self.version, sent, filters, after))
            .await;
        loop {
            match self.packet().await {
                Some(Packet::Suback { id, codes }) if id == sent => return codes,
                Some(Packet::Publish(publish)) => self.early.push_back(publish),
                other => panic!("SUBACK expected: {other:?}"),
            }
        }
    }

    /// Publishes at QoS 1 and answers the code of the PUBACK.
    pub async fn publish(&mut self, topic: &str, payload: &str) -> u8 {
        let sent = self.publish_only(topic, payload).await;
        loop {
            match self.packet().await {
                Some(Packet::Puback { id, code }) if id == sent => return code,
                Some(Packet::Publish(publish)) => self.early.push_back(publish),
                other => panic!("PUBACK expected: {other:?}"),
            }
        }
    }

    /// Publishes at QoS 1 and does not wait. Answers the packet identifier.
    pub async fn publish_only(&mut self, topic: &str, payload: &str) -> u16 {
        let id = self.next_id();
        let bytes = payload.as_bytes();
        self.send(&encode::publish(
            self.version,
            Some(id),
            topic,
            bytes,
            false,
        ))
        .await;
        id
    }

    /// Publishes at QoS 1 as far as the broker takes it: it may close the connection first.
    pub async fn publish_in_vain(&mut self, topic: &str, payload: &str) {
        let id = self.next_id();
        let bytes = encode::publish(self.version, Some(id), topic, payload.as_bytes(), false);
        let _ = within("a write", self.stream.write_all(&bytes)).await;
    }

    /// Waits for the next PUBACK, which must be a success.
    pub async fn expect_puback(&mut self) -> u16 {
        match self.packet().await {
            Some(Packet::Puback { id, code: 0 }) => id,
            other => panic!("PUBACK expected: {other:?}"),
        }
    }

    /// Publishes at QoS 0, retained or not.
    pub async fn publish_at_most_once(&mut self, topic: &str, payload: &str, retain: bool) {
        let bytes = payload.as_bytes();
        self.send(&encode::publish(self.version, None, topic, bytes, retain))
            .await;
    }

    /// The next message. It is not acknowledged.
    pub async fn message(&mut self) -> Publish {
        if let Some(publish) = self.early.pop_front() {
            return publish;
        }
        match self.packet().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("PUBLISH expected: {other:?}"),
        }
    }

    /// The next message, acknowledged.
    pub async fn take(&mut self) -> Publish {
        let publish = self.message().await;
        if let Some(id) = publish.id {
            self.acknowledge(id).await;
        }
        publish
    }

    /// PUBACK.
    pub async fn acknowledge(&mut self, id: u16) {
        self.send(&encode::puback(id)).await;
    }

    /// PINGREQ, and waits for the answer: the connection lives.
    pub async fn ping(&mut self) {
        self.send(&encode::packet(0xC0, &[])).await;
        loop {
            match self.packet().await {
                Some(Packet::Pingresp) => return,
                Some(Packet::Publish(publish)) => self.early.push_back(publish),
                other => panic!("PINGRESP expected: {other:?}"),
            }
        }
    }

    /// DISCONNECT, and waits for the connection to be closed.
    pub async fn disconnect(mut self) {
        self.send(&encode::packet(0xE0, &[])).await;
        while self.packet().await.is_some() {}
    }

    /// The code with which the broker ends the connection: `None` in 3.1.1, which has no such packet.
    pub async fn ended(&mut self) -> Option<u8> {
        let code = match self.packet().await {
            Some(Packet::Disconnect { code }) => Some(code),
            None => return None,
            other => panic!("the end expected: {other:?}"),
        };
        assert_eq!(self.packet().await, None, "nothing follows DISCONNECT");
        code
    }
}
