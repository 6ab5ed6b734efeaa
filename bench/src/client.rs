//! A lean MQTT client: thousands of it fit into one process beside the server that they measure.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::BytesMut;
use tokio::{
    io::AsyncReadExt as _,
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    time::timeout,
};

use crate::{
    packets::{self, Packet},
    transport::{Stream, Target},
};

/// How long a server may take to answer anything.
const ANSWER: Duration = Duration::from_secs(15);

/// Long enough that no client pings while it is measured; there is a deadline all the same.
const KEEP_ALIVE: u16 = 600;

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// Whom a client is.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// Client id.
    pub(crate) client_id: String,
    /// User name.
    pub(crate) name: String,
    /// A password, or a token.
    pub(crate) password: String,
}

/// A connection.
pub(crate) struct Client {
    stream: Stream,
    received: BytesMut,
}

impl Client {
    /// Opens a connection; nothing of MQTT is said yet.
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Self> {
        let stream = timeout(ANSWER, Stream::open(target)).await;
        Ok(Self {
            stream: stream.context("no connection in time")??,
            received: BytesMut::new(),
        })
    }

    /// Signs in.
    pub(crate) async fn connect(&mut self, login: &Login) -> anyhow::Result<()> {
        let packet = packets::connect(&login.client_id, &login.name, &login.password, KEEP_ALIVE);
        match self.ask(&packet).await? {
            Packet::Connack(0) => Ok(()),
            other => bail!("{other:?} instead of a CONNACK"),
        }
    }

    /// Subscribes to `filter`.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) -> anyhow::Result<()> {
        match self.ask(&packets::subscribe(filter, qos)).await? {
            Packet::Suback(granted) if granted == qos => Ok(()),
            other => bail!("{other:?} instead of a SUBACK"),
        }
    }

    /// Whether the session still answers.
    pub(crate) async fn is_alive(&mut self) -> bool {
        matches!(self.ask(&packets::PINGREQ).await, Ok(Packet::Pingresp))
    }

    /// The next packet, whenever it comes.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Packet> {
        loop {
            if let Some(packet) = packets::take(&mut self.received)? {
                return Ok(packet);
            }
            self.stream.receive(&mut self.received).await?;
        }
    }

    /// Sends a packet, and waits for no answer.
    pub(crate) async fn send(&mut self, packet: &[u8]) -> anyhow::Result<()> {
        self.stream.send(packet).await
    }

    async fn ask(&mut self, packet: &[u8]) -> anyhow::Result<Packet> {
        let answer = timeout(ANSWER, async {
            self.stream.send(packet).await?;
            self.next().await
        });
        let answer = answer.await.context("no answer in time")?;
        if self.received.is_empty() {
            // An idle client holds no buffer.
            self.received = BytesMut::new();
        }
        answer
    }

    /// The two directions of a client over plain TCP.
    pub(crate) fn split(self) -> anyhow::Result<(Receiver, OwnedWriteHalf)> {
        let Stream::Tcp(stream) = self.stream else {
            bail!("only plain TCP is split");
        };
        let (stream, writer) = stream.into_split();
        let receiver = Receiver {
            stream,
            received: self.received,
        };
        Ok((receiver, writer))
    }
}

/// What comes from the server.
pub(crate) struct Receiver {
    stream: OwnedReadHalf,
    received: BytesMut,
}

impl Receiver {
    /// The next packet. Cancel-safe.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Packet> {
        loop {
            if let Some(packet) = self.waiting()? {
                return Ok(packet);
            }
            self.received.reserve(READ);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the server closed");
            }
        }
    }

    /// A packet that is already there.
    pub(crate) fn waiting(&mut self) -> anyhow::Result<Option<Packet>> {
        packets::take(&mut self.received)
    }
}
