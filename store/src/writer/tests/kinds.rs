//! Writes of several kinds in a transaction, those of a kind at once; and which transactions are durable.

use super::*;

/// Writes a row, alone or with the others of its kind. Of those with which something is wrong, none can be written at once.
struct Grouped {
    key: String,
    wrong: bool,
}

impl Operation for Grouped {
    /// The key, and how many were written with it.
    type Output = (String, usize);

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Self::Output, StoreError> {
        let conn = tx.connection().await?;
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, 'grouped')")
            .bind(self.key.as_str())
            .execute(conn)
            .await?;
        if self.wrong {
            return Err(StoreError::Invalid { what: "row" });
        }
        Ok((self.key.clone(), 1))
    }

    async fn run_all(
        all: &[&Self],
        tx: &mut Transaction<'_>,
    ) -> Result<Vec<Self::Output>, StoreError> {
        let mut outputs = vec![];
        for one in all {
            let (key, _) = one.run(tx).await?;
            outputs.push((key, all.len()));
        }
        Ok(outputs)
    }
}

fn grouped(store: &Store, key: usize, wrong: bool) -> impl Future<Output = WriteResult<Grouped>> {
    let key = format!("{key:03}");
    store.write(Grouped { key, wrong })
}

#[tokio::test]
async fn a_kind_that_fails_together_is_written_one_by_one() {
    let (_dir, store) = store().await;
    let fine = join_all((0..3).map(|key| grouped(&store, key, false))).await;
    assert_eq!(fine[1].as_ref().unwrap(), &("001".to_owned(), 3));

    let results = join_all((3..8).map(|key| grouped(&store, key, key == 5))).await;
    for (key, result) in (3..).zip(results) {
        match (key, result) {
            (5, result) => assert!(matches!(result, Err(StoreError::Invalid { .. }))),
            (key, result) => assert_eq!(result.unwrap(), (format!("{key:03}"), 1)),
        }
    }
    assert_eq!(
        rows(&store).await,
        ["000", "001", "002", "003", "004", "006", "007"]
    );
}

#[tokio::test]
async fn a_kind_that_fails_leaves_the_other_kinds_alone() {
    let (_dir, store) = store().await;
    let (key, then) = ("insert".to_owned(), Then::Succeed);
    let (wrong, inserted, fine) = tokio::join!(
        grouped(&store, 0, true),
        store.write(Insert { key, then }),
        grouped(&store, 1, false),
    );
    assert!(matches!(wrong, Err(StoreError::Invalid { .. })));
    assert!(inserted.is_ok() && fine.is_ok());
    assert_eq!(rows(&store).await, ["001", "insert"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_caller_gets_the_answer_to_its_own_write() {
    let (_dir, store) = store().await;
    let callers = (0..600).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            if number % 2 == 0 {
                let (key, _) = grouped(&store, number, false).await.unwrap();
                assert_eq!(key, format!("{number:03}"));
                return;
            }
            let wrong = number % 30 == 1;
            let (key, then) = (
                format!("{number:03}"),
                if wrong { Then::Fail } else { Then::Succeed },
            );
            let answer = store.write(Insert { key, then }).await;
            assert_eq!(answer.is_err(), wrong, "{number}");
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    assert_eq!(rows(&store).await.len(), 600 - 20);
}

/// Returns how much the commit that it is part of is synchronised: 1 is NORMAL, 2 is FULL.
struct Level<const DURABLE: bool>;

impl<const D: bool> Operation for Level<D> {
    type Output = i64;

    const DURABLE: bool = D;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<i64, StoreError> {
        let conn = tx.connection().await?;
        Ok(sqlx::query_scalar("PRAGMA synchronous")
            .fetch_one(conn)
            .await?)
    }
}

#[tokio::test]
async fn a_commit_is_durable_if_one_of_its_writes_has_to_be() {
    let (_dir, store) = store().await;
    let durable = || store.write(Level::<true>);
    let other = || store.write(Level::<false>);
    for _ in 0..2 {
        assert_eq!(durable().await.unwrap(), 2);
        assert_eq!(other().await.unwrap(), 1);
        assert_eq!(other().await.unwrap(), 1);
        assert_eq!(durable().await.unwrap(), 2);
        let together = tokio::join!(other(), durable(), other());
        let levels = [together.0, together.1, together.2].map(Result::unwrap);
        assert_eq!(levels, [2, 2, 2]);
    }
}

#[tokio::test]
async fn a_new_connection_is_durable_whatever_the_one_before_was() {
    let (_dir, store) = store().await;
    for before in [1, 2] {
        let level = if before == 1 {
            store.write(Level::<false>).await
        } else {
            store.write(Level::<true>).await
        };
        assert_eq!(level.unwrap(), before);
        let key = "lost".to_owned();
        let then = Then::FailToCommit;
        // The connection is given up.
        store.write(Insert { key, then }).await.unwrap_err();
        assert_eq!(store.write(Level::<true>).await.unwrap(), 2);
        assert_eq!(store.write(Level::<false>).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn an_acknowledgement_may_be_lost_and_the_place_of_a_client_id_may_not() {
    use crate::{Acknowledged, Seq, Timestamp, UserId};
    let (_dir, store) = store().await;
    let (user, client, now) = (UserId::new(), "phone".into(), Timestamp::now());
    let acknowledged = Acknowledged {
        user: user.clone(),
        client_id: None,
        up_to: Seq(1),
    };
    // Of a commit that both share.
    let acknowledged = [acknowledged];
    let (written, level) = tokio::join!(
        store.acknowledge(&acknowledged, now),
        store.write(Level::<false>)
    );
    written.unwrap();
    assert_eq!(level.unwrap(), 1);
    let (placed, level) = tokio::join!(
        store.set_cursor(&user, &client, Seq::NONE, now),
        store.write(Level::<false>)
    );
    placed.unwrap();
    assert_eq!(level.unwrap(), 2);
}
