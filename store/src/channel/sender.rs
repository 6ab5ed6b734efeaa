//! Sends what waits, on a connection of its own: as notifications of PostgreSQL, elsewhere as rows.

use std::collections::VecDeque;
use std::time::Duration;

use sqlx::{AnyConnection, Executor as _};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::bundle::Bundle;
use super::outgoing::pause;
use super::shared::{Channel, Purpose};
use super::trouble::Trouble;
use crate::dialect::Dialect;
use crate::server;
use crate::statement::Statement;
use crate::{NodeId, StoreError, bulk};

/// How long nothing is sent at most: the others notice by then what is missing.
const BEAT: Duration = Duration::from_secs(1);

/// How long the database may take, also for a connection, and when it is tried again after a failure.
const ANSWER: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(250);

/// For how many beats rows are kept: longer than any node takes to read them, or to give itself up.
const KEPT: usize = 20;

/// After how many beats rows of nodes that are gone are looked for.
const FORGET: u32 = 60;

/// Sends until dropped.
pub(super) async fn run(channel: &Channel) {
    let mut sender = Sender {
        channel,
        own: None,
        number: 0,
        conn: None,
        frames: 0,
        rows: Rows::default(),
        trouble: Trouble::of(channel.purpose),
    };
    loop {
        channel.joined_by_others().await;
        tokio::select! {
            () = sender.send_all() => {}
            () = channel.alone() => {}
        }
        channel.outgoing.clear();
        sender.close().await;
    }
}

struct Sender<'a> {
    channel: &'a Channel,
    /// Under which id the last bundle was sent, and its number.
    own: Option<NodeId>,
    number: i64,
    /// `None` after a failure.
    conn: Option<AnyConnection>,
    /// Frames that are just sent.
    frames: usize,
    rows: Rows,
    trouble: Trouble,
}

/// What there is of this node where bundles are rows.
#[derive(Default)]
struct Rows {
    /// The number of the last bundle at each of the last beats.
    at_beats: VecDeque<i64>,
    beats: u32,
}

impl Sender<'_> {
    async fn send_all(&mut self) {
        let mut beat = Instant::now();
        loop {
            // Whether something waits, or nothing does at the next beat.
            let _ = timeout_at(beat, self.channel.outgoing.wait()).await;
            let is_beat = beat <= Instant::now();
            if is_beat {
                beat = Instant::now() + BEAT;
            }
            let begun = Instant::now();
            let sent = timeout(ANSWER, self.send_next(is_beat)).await;
            match sent.unwrap_or_else(|_| Err(server::silence())) {
                Ok(()) => self.trouble.is_over("other servers can be told again"),
                Err(error) => {
                    self.trouble.note(
                        &error,
                        "other servers cannot be told what happens here: notifications come there up to 30 s late, what is published is lost",
                    );
                    self.channel.outgoing.lose(std::mem::take(&mut self.frames));
                    sleep(AGAIN).await;
                }
            }
            let pause = pause(self.channel.others.borrow().len());
            if !pause.is_zero() {
                sleep_until(begun + pause).await;
            }
        }
    }

    /// Sends what waits. If that fails, the numbers are used nevertheless: it may have been sent.
    async fn send_next(&mut self, is_beat: bool) -> Result<(), StoreError> {
        let Some(own) = self.channel.store.node() else {
            return Ok(());
        };
        let server = &self.channel.server;
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => server.connect_with(server.dialect().node()).await?,
        };
        if self.own.as_ref() != Some(&own) {
            self.begin(own.clone());
        }
        let mut due = self.channel.outgoing.take();
        self.frames = due.bundles.iter().map(Vec::len).sum();
        let bundles = due.numbered(&own, &mut self.number);
        let purpose = self.channel.purpose;
        let sent = match server.dialect() {
            Dialect::MySql => insert(purpose, &bundles),
            Dialect::Postgres | Dialect::Sqlite => notify(purpose, &bundles),
        };
        let mut statements = vec![sent];
        if is_beat && server.dialect() == Dialect::MySql {
            let others = self.channel.others.borrow().clone();
            statements.extend(self.rows.clear(purpose, &own, self.number, &others));
        }
        for statement in statements {
            conn.execute(statement.query(server.dialect())?).await?;
        }
        self.conn = Some(conn);
        self.frames = 0;
        due.taken();
        Ok(())
    }

    /// Begins new numbers, under a new id: this node was held to be gone, and may have missed something.
    fn begin(&mut self, own: NodeId) {
        if self.own.is_some() {
            self.channel.incoming.miss();
        }
        self.own = Some(own);
        self.number = 0;
        self.rows = Rows::default();
    }

    async fn close(&mut self) {
        if let Some(conn) = self.conn.take()
            && let Err(error) = server::close(conn).await
        {
            tracing::debug!(%error, "a database connection was not closed cleanly");
        }
    }
}

/// In one statement, and so in one transaction: it does not wait for the disk.
fn notify(purpose: Purpose, bundles: &[Bundle]) -> Statement {
    let name = purpose.name();
    let each = (1..=bundles.len()).map(|n| format!("CAST(pg_notify('{name}', ${n}) AS TEXT)"));
    let text = format!("SELECT {}", each.collect::<Vec<_>>().join(", "));
    Statement::made(text).bind_all(bundles.iter().map(Bundle::text))
}

fn insert(purpose: Purpose, bundles: &[Bundle]) -> Statement {
    let rows = bulk::rows(bundles.len(), 3, 1);
    let text = format!(
        "INSERT INTO {} (node, number, frames) VALUES {rows}",
        purpose.table()
    );
    let mut statement = Statement::made(text);
    for bundle in bundles {
        let node = bundle.node.as_str().to_owned();
        statement = statement.bind(node).bind(bundle.number).bind(bundle.text());
    }
    statement
}

impl Rows {
    /// What deletes rows that nobody needs any more, at a beat at which `number` is the last.
    fn clear(
        &mut self,
        purpose: Purpose,
        own: &NodeId,
        number: i64,
        others: &[NodeId],
    ) -> Vec<Statement> {
        let table = purpose.table();
        let mut statements = vec![];
        self.at_beats.push_back(number);
        if self.at_beats.len() > KEPT
            && let Some(old) = self.at_beats.pop_front()
        {
            let text = format!("DELETE FROM {table} WHERE node = $1 AND number <= $2");
            let own = own.as_str().to_owned();
            statements.push(Statement::made(text).bind(own).bind(old));
        }
        if self.beats.is_multiple_of(FORGET) {
            // Not by what `nodes` says: that would be locked. What is deleted of one that has just come is looked for.
            let standing = bulk::list(1 + others.len(), 1);
            let text = format!("DELETE FROM {table} WHERE node NOT IN ({standing})");
            let standing = others.iter().chain([own]);
            let standing = standing.map(|node| node.as_str().to_owned());
            statements.push(Statement::made(text).bind_all(standing));
        }
        self.beats += 1;
        statements
    }
}
