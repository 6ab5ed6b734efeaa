//! A client that shows every byte: exact codes, odd packets, acknowledgements when the test wants them.

mod bytes;
mod connect;
mod decode;
mod encode;
mod flows;
mod link;
mod message;
mod property;

use std::collections::VecDeque;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub use connect::{Connect, Will};
pub use decode::{Connack, Packet, Publish};
pub use link::{Link, Lost};
pub use message::Message;
pub use property::Property;

use crate::{Version, herald::Herald, names::Names, wait::within};

/// A connection over plain TCP. Dropping it closes it without DISCONNECT.
pub struct Raw {
    names: Names,
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
            names: herald.names(),
            ..Self::over(herald.tcp_address(), version).await
        }
    }

    /// The same to any address.
    pub async fn over(address: &str, version: Version) -> Self {
        Self {
            names: Names::default(),
            version,
            stream: TcpStream::connect(address).await.unwrap(),
            unread: vec![],
            early: VecDeque::new(),
            last_id: 0,
        }
    }

    /// The bytes of this CONNECT.
    #[must_use]
    pub fn connect_bytes(version: Version, connect: &Connect) -> Vec<u8> {
        encode::connect(version, connect)
    }

    /// The bytes of this PUBLISH at QoS 0.
    #[must_use]
    pub fn publish_bytes(version: Version, message: &Message) -> Vec<u8> {
        encode::publish(version, None, message)
    }

    /// The bytes of a SUBSCRIBE to filters with their options.
    #[must_use]
    pub fn subscribe_bytes(version: Version, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
        encode::subscribe(version, id, filters, &[])
    }

    fn encoded(&self, connect: &Connect) -> Vec<u8> {
        encode::connect(self.version, &connect.known_as(self.names))
    }

    /// The code that answers this CONNECT; `None` if the broker closes the connection instead.
    pub async fn try_login(&mut self, connect: &Connect) -> Option<u8> {
        self.send_in_vain(&self.encoded(connect)).await;
        match self.packet().await {
            Some(Packet::Connack(connack)) => Some(connack.code),
            _ => None,
        }
    }

    /// Sends `bytes` up to `times` times, however slowly the broker takes them, and forgets what comes. Returns how often, at least
    /// once, before the broker ended the connection.
    pub async fn pour(&mut self, bytes: &[u8], times: usize) -> usize {
        let (mut reader, mut writer) = self.stream.split();
        let mut poured = 0;
        let pouring = async {
            while poured < times {
                poured += 1;
                if writer.write_all(bytes).await.is_err() {
                    break;
                }
            }
        };
        let mut sink = vec![0; 64 * 1024];
        let forgetting = async { while let Ok(1..) = reader.read(&mut sink).await {} };
        tokio::select! {
            () = pouring => {}
            () = forgetting => {}
        }
        poured.max(1)
    }

    /// The code that answers this CONNECT.
    pub async fn connect_code(herald: &Herald, version: Version, connect: &Connect) -> u8 {
        Self::open(herald, version).await.login(connect).await
    }

    /// A connection that is let in.
    pub async fn connect_as(herald: &Herald, version: Version, connect: &Connect) -> Self {
        Self::begin(herald, version, connect).await.0
    }

    /// A connection that is let in, and what CONNACK said.
    pub async fn begin(herald: &Herald, version: Version, connect: &Connect) -> (Self, Connack) {
        let mut raw = Self::open(herald, version).await;
        let connack = raw.connack(connect).await;
        assert_eq!(connack.code, 0, "CONNACK of {connect:?}");
        (raw, connack)
    }

    /// A connection that goes on with a session.
    pub async fn resume(herald: &Herald, version: Version, connect: &Connect) -> Self {
        let (raw, connack) = Self::begin(herald, version, connect).await;
        assert!(connack.session_present, "{version:?}: {connect:?}");
        raw
    }

    /// A clean session of this user.
    pub async fn connect(herald: &Herald, version: Version, username: &str) -> Self {
        Self::connect_as(herald, version, &Connect::of(username)).await
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        within("a write", self.stream.write_all(bytes))
            .await
            .unwrap();
    }

    /// Sends these bytes as far as the broker takes them.
    pub async fn send_in_vain(&mut self, bytes: &[u8]) {
        let _ = within("a write", self.stream.write_all(bytes)).await;
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

    /// DISCONNECT, and waits for the connection to be closed.
    pub async fn disconnect(self) {
        self.disconnect_with(0, &[]).await;
    }

    /// DISCONNECT, in MQTT 5 with this reason and these properties, and waits for the connection to be closed.
    pub async fn disconnect_with(mut self, code: u8, with: &[Property]) {
        self.send(&encode::disconnect(self.version, code, with))
            .await;
        while self.packet().await.is_some() {}
    }

    /// Closes the connection without DISCONNECT, and waits until the broker has done so too: what it does for a lost
    /// connection is done then.
    pub async fn cut(mut self) {
        self.stream.shutdown().await.unwrap();
        while self.packet().await.is_some() {}
    }

    /// The code with which the broker ends the connection: `None` in 3.1.1, which has no such packet.
    pub async fn ended(&mut self) -> Option<u8> {
        let code = match self.packet().await {
            Some(Packet::Disconnect { code, .. }) => Some(code),
            None => return None,
            other => panic!("the end expected: {other:?}"),
        };
        assert_eq!(self.packet().await, None, "nothing follows DISCONNECT");
        code
    }

    /// The same, whatever was still sent before.
    pub async fn ended_at_last(&mut self) -> Option<u8> {
        loop {
            match self.packet().await {
                Some(Packet::Disconnect { code, .. }) => return Some(code),
                Some(_) => {}
                None => return None,
            }
        }
    }
}
