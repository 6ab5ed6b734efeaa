//! One connection: a direction each passes on frames.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tokio::sync::Mutex as Shareable;
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    answers::{Answers, Fate},
    cut::Moment,
    frames::Header,
    message::Message,
    mysql, postgres,
    shared::Shared,
};
use crate::DatabaseKind;

/// A client's connection.
pub(super) struct Connection {
    number: u32,
    end: CancellationToken,
    silent: CancellationToken,
    shared: Arc<Shared>,
    answers: Mutex<Answers>,
}

impl Connection {
    pub(super) fn new(
        number: u32,
        end: CancellationToken,
        silent: CancellationToken,
        shared: Arc<Shared>,
    ) -> Self {
        let answers = Mutex::new(Answers::new(shared.kind));
        Self {
            number,
            end,
            silent,
            shared,
            answers,
        }
    }

    /// Returns when either side has closed, or when it is cut. Both sides see an end then.
    pub(super) async fn run(self, client: TcpStream) {
        let passed = async {
            let server = TcpStream::connect(&self.shared.server).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let to_client = Shareable::new(to_client);
            tokio::select! {
                done = self.pass_messages(from_client, &to_client, to_server) => done,
                done = self.pass_answers(from_server, &to_client) => done,
            }
        };
        tokio::select! {
            // What is cut is cut at once.
            biased;
            () = self.end.cancelled() => {}
            // That a side is gone is what tests are about.
            _ = passed => {}
        }
    }

    fn is_postgres(&self) -> bool {
        self.shared.kind == DatabaseKind::Postgres
    }

    /// Waits while everything is held; on a silent connection without end.
    async fn unheld(&self) {
        let mut is_held = self.shared.is_held.subscribe();
        // The sender is there as long as we are.
        let _ = is_held.wait_for(|is_held| !is_held).await;
        if self.silent.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    async fn pass_messages(
        &self,
        from_client: OwnedReadHalf,
        to_client: &Shareable<OwnedWriteHalf>,
        mut to_server: OwnedWriteHalf,
    ) -> io::Result<()> {
        let mut from_client = BufReader::new(from_client);
        let is_postgres = self.is_postgres();
        let mut header = if is_postgres {
            Header::First
        } else {
            Header::MySql
        };
        let mut number = 0;
        let mut goes_on = false;
        while let Some(frame) = header.read(&mut from_client).await? {
            self.unheld().await;
            if header == Header::First && postgres::is_encryption_request(&frame) {
                to_client.lock().await.write_all(&postgres::NO).await?;
                continue;
            }
            if !goes_on {
                number += 1;
                let message = self.message(number, header, &frame);
                let cut = self.shared.cuts.take(&message);
                let cut = match cut {
                    Some(cut) if cut.moment() == Moment::Before => {
                        cut.done();
                        return Ok(());
                    }
                    cut => cut,
                };
                self.answers.lock().unwrap().asked(message.kind, cut);
            }
            goes_on = !is_postgres && mysql::goes_on(&frame);
            if is_postgres {
                header = Header::Typed;
            }
            to_server.write_all(&frame).await?;
        }
        Ok(())
    }

    fn message(&self, number: u32, header: Header, frame: &[u8]) -> Message {
        let (kind, statement) = match header {
            Header::First => (Some(0), None),
            Header::Typed => (Some(frame[0]), postgres::statement(frame)),
            Header::MySql => (mysql::command(frame), mysql::statement(frame)),
        };
        Message {
            connection: self.number,
            number,
            kind,
            statement,
        }
    }

    async fn pass_answers(
        &self,
        from_server: OwnedReadHalf,
        to_client: &Shareable<OwnedWriteHalf>,
    ) -> io::Result<()> {
        let mut from_server = BufReader::new(from_server);
        let is_postgres = self.is_postgres();
        let header = if is_postgres {
            Header::Typed
        } else {
            Header::MySql
        };
        let mut is_greeting = !is_postgres;
        while let Some(mut frame) = header.read(&mut from_server).await? {
            self.unheld().await;
            if std::mem::take(&mut is_greeting) {
                mysql::without_tls(&mut frame);
            }
            let fate = self.answers.lock().unwrap().answered(&frame);
            match fate {
                Fate::Passed => to_client.lock().await.write_all(&frame).await?,
                Fate::Lost => {}
                Fate::Cut(cut) => {
                    cut.done();
                    return Ok(());
                }
            }
        }
        if let Some(cut) = self.answers.lock().unwrap().closed() {
            cut.done();
        }
        Ok(())
    }
}
