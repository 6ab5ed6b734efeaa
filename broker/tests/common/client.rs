//! A client that sends bytes and reads what comes back.

use std::time::Duration;

use herald_broker::{Broker, Origin};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    time::{Instant, timeout},
};

use crate::common::{
    encode::{V5, pingreq},
    hosts::ORIGIN,
};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A packet from the server, without what a server may add as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Connack(u8),
    Puback(u16, u8),
    Pubrec(u16, u8),
    Pubrel(u16, u8),
    Pubcomp(u16, u8),
    Suback(u16, Vec<u8>),
    /// One code a filter in MQTT 5, none in 3.1.1.
    Unsuback(u16, Vec<u8>),
    Pingresp,
    Disconnect(u8),
    Other(Vec<u8>),
}

pub(crate) struct Client {
    stream: DuplexStream,
    version: u8,
    unread: Vec<u8>,
}

impl Client {
    /// A connection to `broker` on which nothing has been sent.
    pub(crate) fn new(broker: &Broker, version: u8) -> Self {
        Self::from(broker, version, ORIGIN)
    }

    /// The same from elsewhere.
    pub(crate) fn from(broker: &Broker, version: u8, origin: Origin) -> Self {
        let (stream, server) = tokio::io::duplex(64 * 1024);
        let broker = broker.clone();
        tokio::spawn(async move { broker.serve(server, origin, Instant::now() + LIMIT).await });
        Self {
            stream,
            version,
            unread: vec![],
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // The server may have closed already: then that is what is read.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next packet; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Answer>, String> {
        loop {
            if let Some(length) = whole(&self.unread) {
                let packet: Vec<u8> = self.unread.drain(..length).collect();
                return Ok(Some(answer(self.version, packet)));
            }
            match timeout(LIMIT, self.stream.read_buf(&mut self.unread)).await {
                Err(_) => return Err("nothing comes, and the connection stays open".into()),
                Ok(Ok(0) | Err(_)) => return Ok(None),
                Ok(Ok(_)) => {}
            }
        }
    }

    /// All that comes until the server closes the connection.
    pub(crate) async fn until_closed(&mut self) -> Result<Vec<Answer>, String> {
        let mut answers = vec![];
        loop {
            match self.next().await {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) => return Ok(answers),
                Err(e) => return Err(format!("{answers:?}, then {e}")),
            }
        }
    }

    /// As many answers as there should be, and proof that the session goes on.
    pub(crate) async fn answers(&mut self, count: usize) -> Result<Vec<Answer>, String> {
        let mut answers = vec![];
        for _ in 0..count {
            match self.next().await {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) => return Err(format!("{answers:?}, then the end")),
                Err(e) => return Err(format!("{answers:?}, then {e}")),
            }
        }
        self.send(&pingreq()).await;
        match self.next().await? {
            Some(Answer::Pingresp) => Ok(answers),
            other => Err(format!("{answers:?}, then {other:?}")),
        }
    }
}

/// What a packet of this version says.
pub(crate) fn answer(version: u8, packet: Vec<u8>) -> Answer {
    let v5 = version == V5;
    let body = &packet[header(&packet)..];
    let code = |at: usize| body.get(at).copied().unwrap_or(0);
    let id = u16::from_be_bytes([code(0), code(1)]);
    // Before the codes of SUBACK and UNSUBACK there may be a reason string; none here is longer than 127 bytes.
    let codes = || {
        let skip = if v5 { 3 + usize::from(code(2)) } else { 2 };
        body.get(skip..).unwrap_or_default().to_vec()
    };
    match packet[0] {
        0x20 => Answer::Connack(code(1)),
        0x40 => Answer::Puback(id, code(2)),
        0x50 => Answer::Pubrec(id, code(2)),
        0x62 => Answer::Pubrel(id, code(2)),
        0x70 => Answer::Pubcomp(id, code(2)),
        0x90 => Answer::Suback(id, codes()),
        0xB0 => Answer::Unsuback(id, codes()),
        0xD0 => Answer::Pingresp,
        0xE0 if v5 => Answer::Disconnect(code(0)),
        _ => Answer::Other(packet),
    }
}

/// How many bytes the type and the length of a packet take.
fn header(packet: &[u8]) -> usize {
    let continued = packet.iter().skip(1).take_while(|b| **b & 0x80 != 0);
    2 + continued.count()
}

/// How long the packet at the start of `bytes` is, if it is all there.
pub(crate) fn whole(bytes: &[u8]) -> Option<usize> {
    let header = header(bytes);
    let length = bytes.get(1..header)?.iter().rev();
    let body = length.fold(0, |sum, b| sum << 7 | usize::from(b & 0x7F));
    (bytes.len() >= header + body).then_some(header + body)
}
