//! A client whose bytes come and go a few at a time, and the connection that it has: without a stream between them.

use futures_util::FutureExt as _;
use herald_broker::{Broker, Connection, Step, Wait};
use tokio::{
    task::yield_now,
    time::{Duration, Instant, sleep_until},
};

use crate::{
    client::{Answer, answer, whole},
    common::hosts::ORIGIN,
};

/// More turns than the broker's other tasks take for what they have.
const TURNS: usize = 40;

/// Bytes that a connection gets at once.
const CHUNK: usize = 8 * 1024;

/// Both ends of one connection, with a few bytes on their way in each direction.
pub(super) struct Peer {
    connection: Connection,
    /// Most bytes on their way.
    capacity: usize,
    to_broker: Vec<u8>,
    to_client: Vec<u8>,
    version: u8,
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

impl Peer {
    /// A connection that has sent nothing.
    pub(super) fn new(broker: &Broker, version: u8, capacity: usize) -> Self {
        let deadline = Instant::now() + Duration::from_secs(3600);
        Self {
            connection: broker.connection(ORIGIN, deadline),
            capacity,
            to_broker: vec![],
            to_client: vec![],
            version,
            unread: vec![],
            unsent: vec![],
        }
    }

    /// Bytes to be written as the test says.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Writes up to `count` bytes, as many as there is room for.
    pub(super) async fn write(&mut self, count: usize) {
        self.put(count);
        self.settle().await;
    }

    /// The packets in the next `count` bytes, as many as are there.
    pub(super) async fn read(&mut self, count: usize) -> Vec<Answer> {
        self.get(count);
        self.settle().await;
        self.parse()
    }

    /// Writes all there is to write while it reads, until the next packets are there; `None` at the end of the connection.
    pub(super) async fn exchange(&mut self) -> Option<Vec<Answer>> {
        loop {
            self.put(usize::MAX);
            let wait = self.go_on().await;
            let came = self.get(usize::MAX);
            let answers = self.parse();
            if !answers.is_empty() {
                return Some(answers);
            }
            let wait = wait?;
            if came > 0 || (wait.reads && !self.unsent.is_empty()) {
                // There is room again.
                continue;
            }
            let until = wait.until;
            let passes = async {
                match until {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.connection.event() => {}
                () = passes => {}
            }
        }
    }

    /// Lets the connection, and the broker's other tasks, do what they can do without time passing.
    pub(super) async fn settle(&mut self) {
        self.go_on().await;
        settle().await;
        self.go_on().await;
    }

    /// Lets the connection do what it can do without time passing. Returns what it waits for then; `None` if it is over.
    async fn go_on(&mut self) -> Option<Wait> {
        loop {
            let wait = match self.connection.step() {
                Step::Again => {
                    self.connection.give_way().await;
                    continue;
                }
                Step::Wait(wait) => wait,
                Step::Over => {
                    let last = self.connection.finish().await;
                    self.to_client.extend(last.unwrap_or_default());
                    return None;
                }
            };
            let room = self.capacity - self.to_client.len();
            if wait.writes {
                let output = self.connection.take_output(room);
                if !output.is_empty() {
                    self.to_client.extend(output);
                    continue;
                }
            }
            if wait.reads && !self.to_broker.is_empty() {
                let count = CHUNK.min(self.to_broker.len());
                let chunk: Vec<u8> = self.to_broker.drain(..count).collect();
                self.connection.receive(&chunk);
            } else if wait.until.is_some_and(|at| at <= Instant::now()) {
                self.connection.passed();
            } else if self.connection.event().now_or_never().is_none() {
                return Some(wait);
            }
        }
    }

    fn put(&mut self, count: usize) {
        let room = self.capacity - self.to_broker.len();
        let count = count.min(self.unsent.len()).min(room);
        self.to_broker.extend(self.unsent.drain(..count));
    }

    fn get(&mut self, count: usize) -> usize {
        let count = count.min(self.to_client.len());
        self.unread.extend(self.to_client.drain(..count));
        count
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

/// Lets the broker's tasks do what they can do without time passing.
pub(super) async fn settle() {
    for _ in 0..TURNS {
        yield_now().await;
    }
}
