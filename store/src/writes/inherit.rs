//! What a node has claimed, put back into the queue when the node is gone.

use super::take_back::{STEP, TakeBack, read_owned};
use crate::dialect::Dialect;
use crate::statement::Statement;
use crate::writer::{Locks, Operation, Transaction};
use crate::{Lease, NodeId, Store, StoreError};

impl Store {
    /// Inherits from `node`, if its lease has ended: forgets it, and puts the messages that it has claimed back into the queue at
    /// once, whatever their leases. Returns how many there were; `None` if the node stands, or another one has inherited: of
    /// several that try, one does it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written. What was put back by then is queued, and the next one goes on.
    pub async fn inherit(&self, node: &NodeId) -> Result<Option<u64>, StoreError> {
        self.end_node(node, End::Lapsed).await
    }

    /// Ends `node`, which is this server and works on nothing any more: forgets it, and puts the messages that it has claimed
    /// and did not finish back into the queue at once. Returns how many there were.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn leave(&self, node: &NodeId) -> Result<u64, StoreError> {
        Ok(self.end_node(node, End::Left).await?.unwrap_or(0))
    }

    async fn end_node(&self, node: &NodeId, end: End) -> Result<Option<u64>, StoreError> {
        let mut put_back = None;
        loop {
            let claimed = claimed(node, self.readers().dialect());
            let rows = self.readers().fetch_all(claimed).await?;
            let messages = rows.iter().map(read_owned);
            let messages = messages.collect::<Result<Vec<_>, StoreError>>()?;
            let is_last = messages.len() < STEP as usize;
            let step = EndNode {
                node: node.clone(),
                end,
                is_last,
                messages: TakeBack::of_node(messages, node),
            };
            let Some(more) = self.write(step).await? else {
                return Ok(put_back);
            };
            put_back = Some(put_back.unwrap_or(0) + more);
            if is_last {
                return Ok(put_back);
            }
        }
    }
}

/// What reads messages that a node has claimed. What is put back is none any more, so that the next step finds others.
fn claimed(node: &NodeId, dialect: Dialect) -> Statement {
    let (until, index) = (dialect.status_time("lease_until"), dialect.by_status_time());
    let text = format!(
        "SELECT id, user_id FROM messages{index}
         WHERE status = 'processing' AND {until} >= $1 AND lease LIKE $2 ORDER BY {until} LIMIT $3"
    );
    let claimed = Statement::made(text).bind(i64::MIN);
    claimed.bind(Lease::all_of(node)).bind(STEP)
}

/// Why a node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its lease has ended.
    Lapsed,
    /// By itself.
    Left,
}

/// One step of a node's end.
struct EndNode {
    node: NodeId,
    end: End,
    /// The node is forgotten with this step: until then it is found by whoever comes after one that does not get so far.
    is_last: bool,
    messages: TakeBack,
}

impl EndNode {
    /// Forgets the node, or holds it as it is until the step is committed. Returns whether it was there to be ended.
    async fn forget(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let dialect = tx.dialect();
        let lapsed = match self.end {
            End::Lapsed => format!(" AND lease_until <= {}", dialect.now_millis()),
            End::Left => String::new(),
        };
        let text = match (self.is_last, dialect) {
            (true, _) => dialect.delete_by_key("nodes"),
            // The row is locked until the commit, as by the deletion.
            (false, Dialect::MySql) => {
                "UPDATE nodes FORCE INDEX (PRIMARY) SET rights_seen = rights_seen".to_owned()
            }
            (false, _) => "UPDATE nodes SET rights_seen = rights_seen".to_owned(),
        };
        let text = format!("{text} WHERE id = $1{lapsed}");
        let forget = Statement::made(text).bind(self.node.as_str());
        Ok(tx.execute(forget).await? > 0)
    }
}

impl Operation for EndNode {
    /// How many messages were put back; `None` if the node was not there to be ended.
    type Output = Option<u64>;

    /// What a crash undoes is done again.
    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        self.messages.lock(locks);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Option<u64>, StoreError> {
        // Whoever leaves ends its own claims, also those of a node that others hold to be gone.
        if !self.forget(tx).await? && self.end == End::Lapsed {
            return Ok(None);
        }
        self.messages.run(tx).await.map(Some)
    }

    fn wakes_worker(&self, put_back: &Option<u64>) -> bool {
        put_back.is_some_and(|messages| messages > 0)
    }
}
