//! Statements that are deferred: in order, seen by those behind them, and nobody else's fault.

use sqlx::Row as _;

use super::*;
use crate::statement::{Script, Statement};

/// Defers a row, and may then look how many there are.
struct Defer {
    key: &'static str,
    /// Into a table that is not there.
    wrong: bool,
    look: bool,
}

const FINE: Defer = Defer {
    key: "fine",
    wrong: false,
    look: false,
};

impl Operation for Defer {
    /// How many rows it has seen, if it looked.
    type Output = Option<i64>;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Self::Output, StoreError> {
        let mut script = Script::default();
        let text = match self.wrong {
            true => "INSERT INTO nowhere (name, value) VALUES ($1, '')",
            false => "INSERT INTO settings (name, value) VALUES ($1, '')",
        };
        script.add(Statement::new(text).bind(self.key));
        tx.defer(script).await?;
        if !self.look {
            return Ok(None);
        }
        let mut script = Script::default();
        let count = Statement::new("SELECT COUNT(*) AS many FROM settings WHERE value = $1");
        let part = script.add(count.bind(""));
        let results = tx.run(script).await?;
        let row = results.rows(&part).next().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Some(row.try_get("many")?))
    }
}

#[tokio::test]
async fn what_is_deferred_is_written_and_seen_by_what_is_run_behind_it() {
    let (_dir, store) = store().await;
    let second = Defer {
        key: "second",
        look: true,
        ..FINE
    };
    let (first, second) = tokio::join!(store.write(FINE), store.write(second));
    assert_eq!((first.unwrap(), second.unwrap()), (None, Some(2)));
    assert_eq!(rows(&store).await, ["fine", "second"]);
}

#[tokio::test]
async fn what_fails_when_it_is_committed_is_the_fault_of_who_deferred_it_alone() {
    let (_dir, store) = store().await;
    let wrong = Defer {
        wrong: true,
        ..FINE
    };
    let other = Insert {
        key: "other".into(),
        then: Then::Succeed,
    };
    let (fine, wrong, other) =
        tokio::join!(store.write(FINE), store.write(wrong), store.write(other));
    assert!(matches!(wrong, Err(StoreError::Database(_))), "{wrong:?}");
    fine.unwrap();
    other.unwrap();
    assert_eq!(rows(&store).await, ["fine", "other"]);
    let alone = Defer {
        wrong: true,
        ..FINE
    };
    store.write(alone).await.unwrap_err();
    insert(&store, "next").await;
    assert_eq!(rows(&store).await, ["fine", "next", "other"]);
}

#[tokio::test]
async fn more_statements_than_share_a_text_are_run_in_their_order() {
    struct Many;

    impl Operation for Many {
        type Output = Vec<u64>;

        async fn run(&self, tx: &mut Transaction<'_>) -> Result<Vec<u64>, StoreError> {
            let mut script = Script::default();
            let mut parts = vec![];
            for round in 0..300_i64 {
                let insert = Statement::new(
                    "INSERT INTO settings (name, value) VALUES ($1, '$1''?') ON CONFLICT DO NOTHING",
                );
                parts.push(script.add(insert.bind(format!("{:03}", round / 2))));
            }
            let results = tx.run(script).await?;
            Ok(parts.iter().map(|part| results.changed(part)).collect())
        }
    }

    let (_dir, store) = store().await;
    let changed = store.write(Many).await.unwrap();
    let expected: Vec<_> = (0..300).map(|round| u64::from(round % 2 == 0)).collect();
    assert_eq!(changed, expected);
    assert_eq!(rows(&store).await.len(), 150);
    let value: String = sqlx::query_scalar("SELECT DISTINCT value FROM settings")
        .fetch_one(store.readers().pool())
        .await
        .unwrap();
    assert_eq!(value, "$1'?");
}
