//! A client whose bytes come and go a few at a time.

use futures_util::FutureExt as _;
use herald_broker::Broker;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    task::yield_now,
    time::{Duration, Instant},
};

use crate::{
    client::{Answer, answer, whole},
    common::hosts::ORIGIN,
};

/// More turns than a session takes for what it has.
const TURNS: usize = 40;

/// One connection, over a stream that takes a few bytes each way.
pub(super) struct Peer {
    stream: DuplexStream,
    version: u8,
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

impl Peer {
    /// A connection that has sent nothing.
    pub(super) fn new(broker: &Broker, version: u8, capacity: usize) -> Self {
        let (stream, server) = tokio::io::duplex(capacity);
        let broker = broker.clone();
        let deadline = Instant::now() + Duration::from_secs(3600);
        tokio::spawn(async move { broker.serve(server, ORIGIN, deadline).await });
        Self {
            stream,
            version,
            unread: vec![],
            unsent: vec![],
        }
    }

    /// Bytes to be written as the test says.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Writes up to `count` bytes, as the stream takes them.
    pub(super) async fn write(&mut self, count: usize) {
        let count = count.min(self.unsent.len());
        let wrote = self.stream.write(&self.unsent[..count]).now_or_never();
        // It may have been closed: then that is what is read.
        let wrote = wrote.map_or(0, |w| w.unwrap_or(count));
        self.unsent.drain(..wrote);
        settle().await;
    }

    /// The packets in the next `count` bytes, as many as are there.
    pub(super) async fn read(&mut self, count: usize) -> Vec<Answer> {
        let mut chunk = vec![0; count];
        if let Some(Ok(n)) = self.stream.read(&mut chunk).now_or_never() {
            self.unread.extend_from_slice(&chunk[..n]);
        }
        settle().await;
        self.parse()
    }

    /// Writes all there is to write while it reads, until the next packets are there; `None` at the end of the stream.
    pub(super) async fn exchange(&mut self) -> Option<Vec<Answer>> {
        loop {
            let answers = self.parse();
            if !answers.is_empty() {
                return Some(answers);
            }
            let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
            tokio::select! {
                read = reader.read_buf(&mut self.unread) => if !read.is_ok_and(|n| n > 0) {
                    return None;
                },
                wrote = writer.write(&self.unsent), if !self.unsent.is_empty() => {
                    let wrote = wrote.unwrap_or(self.unsent.len());
                    self.unsent.drain(..wrote);
                }
            }
        }
    }

    fn parse(&mut self) -> Vec<Answer> {
        let mut answers = vec![];
        while let Some(length) = whole(&self.unread) {
            let packet = self.unread.drain(..length).collect();
            answers.push(answer(self.version, packet));
        }
        answers
    }
}

/// Lets the session do what it can do without time passing.
pub(super) async fn settle() {
    for _ in 0..TURNS {
        yield_now().await;
    }
}
