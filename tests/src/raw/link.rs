//! A connection that may be lost at any moment, for tests that end the server under its clients.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Connack, Connect, Message, Packet, decode, encode};
use crate::Version;

/// The connection is gone, and with it all that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// A connection over plain TCP. Unlike those of [`Raw`](super::Raw), its calls fail when it is lost, and wait for as long as
/// it lasts. Dropping it closes it without DISCONNECT.
pub struct Link {
    version: Version,
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Link {
    /// A connection to `address`, and what CONNACK said, whether or not it lets the client in.
    pub async fn connect(
        address: &str,
        version: Version,
        connect: &Connect,
    ) -> Result<(Self, Connack), Lost> {
        let mut link = Self {
            version,
            stream: TcpStream::connect(address).await.map_err(|_| Lost)?,
            unread: vec![],
        };
        link.send(&encode::connect(version, connect)).await?;
        match link.packet().await? {
            Packet::Connack(connack) => Ok((link, connack)),
            other => panic!("CONNACK expected: {other:?}"),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.stream.write_all(bytes).await.map_err(|_| Lost)
    }

    /// The next packet.
    pub async fn packet(&mut self) -> Result<Packet, Lost> {
        loop {
            if let Some((packet, length)) = decode::packet(self.version, &self.unread) {
                self.unread.drain(..length);
                return Ok(packet);
            }
            match self.stream.read_buf(&mut self.unread).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(Lost),
            }
        }
    }

    /// Sends a SUBSCRIBE to `filter` at QoS 1 under this packet identifier.
    pub async fn subscribe(&mut self, id: u16, filter: &str) -> Result<(), Lost> {
        let bytes = encode::subscribe(self.version, id, &[(filter, 1)], &[]);
        self.send(&bytes).await
    }

    /// Sends a PUBLISH under this packet identifier.
    pub async fn publish(&mut self, id: u16, message: &Message) -> Result<(), Lost> {
        let bytes = encode::publish(self.version, Some(id), message);
        self.send(&bytes).await
    }

    /// PUBACK.
    pub async fn acknowledge(&mut self, id: u16) -> Result<(), Lost> {
        self.send(&encode::puback(id)).await
    }
}
