//! Reads the rows of other nodes, where the database has no notifications.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Row as _};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::bundle::Bundle;
use super::shared::{Channel, Purpose};
use super::trouble::{HEARD, NOT_HEARD, Trouble};
use crate::dialect::Dialect;
use crate::server::{self, LIFETIME};
use crate::statement::Statement;
use crate::{NodeId, StoreError};

/// How often it is looked for new rows.
const EVERY: Duration = Duration::from_millis(20);

/// How long the database may take, and when it is tried again after a failure.
const ANSWER: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(250);

/// How many rows are read at once, at most.
const ROWS: i64 = 64;

/// The number of the last row that was read of each node.
type Positions = BTreeMap<NodeId, i64>;

/// Reads until dropped, while there are other nodes.
pub(super) async fn run(channel: &Channel) {
    // They outlive connections: rows wait.
    let mut positions = Positions::new();
    let mut trouble = Trouble::of(channel.purpose);
    loop {
        channel.joined_by_others().await;
        tokio::select! {
            polled = poll(channel, &mut positions, &mut trouble) => if let Err(error) = polled {
                trouble.note(&error, NOT_HEARD);
                sleep(AGAIN).await;
            },
            () = channel.alone() => positions.clear(),
        }
    }
}

/// Reads with one connection until it is old.
async fn poll(
    channel: &Channel,
    positions: &mut Positions,
    trouble: &mut Trouble,
) -> Result<(), StoreError> {
    let server = &channel.server;
    let mut conn = server.connect_with(server.dialect().reader()).await?;
    let made = Instant::now();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while made.elapsed() < LIFETIME {
        ticks.tick().await;
        let others = channel.others.borrow().clone();
        let read = timeout(ANSWER, read(channel, &mut conn, positions, &others)).await;
        read.unwrap_or_else(|_| Err(server::silence()))?;
        trouble.is_over(HEARD);
    }
    server::close(conn).await
}

/// Reads what is new of the `others`.
async fn read(
    channel: &Channel,
    conn: &mut AnyConnection,
    positions: &mut Positions,
    others: &[NodeId],
) -> Result<(), StoreError> {
    positions.retain(|node, _| others.contains(node));
    for node in others {
        if !positions.contains_key(node) {
            let table = channel.purpose.table();
            let last =
                format!("SELECT COALESCE(MAX(number), 0) AS last FROM {table} WHERE node = $1");
            let last = Statement::made(last).bind(node.as_str().to_owned());
            let row = last.query(Dialect::MySql)?.fetch_one(&mut *conn).await?;
            positions.insert(node.clone(), row.try_get("last")?);
            // What was sent before.
            channel.incoming.miss();
        }
    }
    if positions.is_empty() {
        return Ok(());
    }
    loop {
        let rows = newer(channel.purpose, positions).query(Dialect::MySql)?;
        let rows = rows.fetch_all(&mut *conn).await?;
        for row in &rows {
            let Some(bundle) = Bundle::parse(row.try_get("frames")?) else {
                continue;
            };
            channel.incoming.take(bundle);
        }
        for row in &rows {
            let node = NodeId::from_string(row.try_get::<String, _>("node")?);
            positions.insert(node, row.try_get("number")?);
        }
        if rows.len() < ROWS as usize {
            return Ok(());
        }
    }
}

/// What reads the next rows of each node.
fn newer(purpose: Purpose, positions: &Positions) -> Statement {
    let each = (0..positions.len()).map(|n| {
        let (node, number) = (2 * n + 1, 2 * n + 2);
        format!("(node = ${node} AND number > ${number})")
    });
    let text = format!(
        "SELECT node, number, frames FROM {} WHERE {} ORDER BY node, number LIMIT {ROWS}",
        purpose.table(),
        each.collect::<Vec<_>>().join(" OR ")
    );
    positions
        .iter()
        .fold(Statement::made(text), |statement, (node, number)| {
            statement.bind(node.as_str().to_owned()).bind(*number)
        })
}
