//! A connection without a stream: the test says what happens between two of its steps.

use herald_broker::{Broker, Connection, Step};
use tokio::time::{Duration, Instant};

use crate::{
    client::{Answer, answer, whole},
    common::{encode::Connect, hosts::ORIGIN},
};

/// A client and its connection, with nothing on its way between them.
pub(crate) struct Driven {
    connection: Connection,
    version: u8,
    unread: Vec<u8>,
}

impl Driven {
    /// A connection that was let in.
    pub(crate) async fn open(broker: &Broker, connect: &Connect) -> Self {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut driven = Self {
            connection: broker.connection(ORIGIN, deadline),
            version: connect.version,
            unread: vec![],
        };
        driven.run();
        driven.receive(&connect.bytes());
        assert_eq!(driven.next().await, Some(Answer::Connack(0)));
        driven
    }

    /// Bytes come from the client.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.connection.receive(bytes);
    }

    /// One step.
    pub(crate) fn step(&mut self) -> Step {
        self.connection.step()
    }

    /// All that can be done before something happens.
    pub(crate) fn run(&mut self) -> Step {
        loop {
            let step = self.step();
            if step != Step::Again {
                self.unread.extend(self.connection.take_output(usize::MAX));
                return step;
            }
        }
    }

    /// Something else happens than that bytes move or time passes.
    pub(crate) async fn event(&mut self) {
        self.connection.event().await;
    }

    /// The next packet to the client; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some(length) = whole(&self.unread) {
                let packet = self.unread.drain(..length).collect();
                return Some(answer(self.version, packet));
            }
            if self.run() == Step::Over {
                let last = self.connection.finish().await.unwrap_or_default();
                if last.is_empty() {
                    return None;
                }
                self.unread.extend(last);
            } else if self.unread.is_empty() {
                self.event().await;
            }
        }
    }
}
