//! Finishing where a change returns what it changed: two statements less, which is what a backlog costs.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::Row as _;

use super::decide::{Facts, Finish};
use super::statements::{END, bind_end, read_last};
use crate::bulk::RowsUpdate;
use crate::dialect::Dialect;
use crate::statement::Script;
use crate::writer::Transaction;
use crate::{StoreError, UserId};

const GIVE_NUMBERS: RowsUpdate = RowsUpdate {
    table: "inboxes",
    rows: ("given", &["owner", "how_many"]),
    set: &[("last_seq", "last_seq + how_many")],
    matches: "user_id = owner",
};

/// Fewer than this cost less in a file if they are read first, as that takes one hand-over less.
const MANY_IN_A_FILE: usize = 8;

/// Whether all can be changed before it is decided: each message once. Of two that finish the same, the first one counts, and
/// what a change returns does not say which it was.
pub(super) fn may_change_first(all: &[&Finish], dialect: Dialect) -> bool {
    let is_worth_it = match dialect {
        Dialect::Sqlite => all.len() >= MANY_IN_A_FILE,
        Dialect::Postgres => true,
        Dialect::MySql => false,
    };
    let mut messages = HashSet::with_capacity(all.len());
    is_worth_it && all.iter().all(|finish| messages.insert(&finish.job.id))
}

/// Ends the messages that are still their claimants', gives them the next numbers, and returns what was so before.
pub(super) async fn change(all: &[&Finish], tx: &mut Transaction<'_>) -> Result<Facts, StoreError> {
    let dialect = tx.dialect();
    let mut script = Script::default();
    // Renewals lock messages in the order of their ids, too, and no queues.
    let mut sorted = all.to_vec();
    sorted.sort_unstable_by_key(|finish| &finish.job.id);
    let end = END.returning(dialect, "id", &sorted, |statement, finish| {
        bind_end(statement, finish.copied(), true)
    });
    let ended = script.add_all(end);
    let results = tx.run(script).await?;
    let ended = results.rows(&ended).map(|row| row.try_get("id"));
    let ended = ended.collect::<Result<HashSet<String>, _>>()?;
    let ended = all
        .iter()
        .filter(|finish| ended.contains(finish.job.id.as_str()));
    let (mut leases, mut counts) = (HashMap::new(), BTreeMap::<&UserId, i64>::new());
    for finish in ended {
        leases.insert(finish.job.id.clone(), finish.job.lease.0.to_string());
        *counts.entry(&finish.job.user_id).or_default() += 1;
    }
    let last = give_numbers(&counts, tx).await?;
    // A message that is there has an owner.
    if last.len() < counts.len() {
        return Err(StoreError::UnknownUser);
    }
    Ok(Facts { leases, last })
}

/// Gives each inbox so many numbers, and returns the newest before those.
async fn give_numbers(
    counts: &BTreeMap<&UserId, i64>,
    tx: &mut Transaction<'_>,
) -> Result<BTreeMap<UserId, i64>, StoreError> {
    let all: Vec<_> = counts.iter().collect();
    let mut script = Script::default();
    let columns = "user_id, last_seq";
    let give = GIVE_NUMBERS.returning(tx.dialect(), columns, &all, |statement, one| {
        statement
            .bind(one.map(|(user, _)| user.as_str()))
            .bind(one.map(|(_, count)| **count))
    });
    let given = script.add_all(give);
    let results = tx.run(script).await?;
    let before = |row| {
        let (user, last) = read_last(row)?;
        let count = counts.get(&user).copied().unwrap_or_default();
        Ok((user, last - count))
    };
    results.rows(&given).map(before).collect()
}
