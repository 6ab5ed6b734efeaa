//! What others have locked keeps nobody else waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, poll};
use herald_store::{Accepted, Store, StoreError, UserId};
use herald_test_databases::{DatabaseKind, Moment};
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::time::timeout;

use crate::DATABASE;
use crate::common::{Db, LEASE, at, claim_one, send, user};
use crate::faults::Behind;
use crate::waiting::is_waited_for;

/// How long any of it may take, and what waits for no lock.
const LIMIT: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(4);

async fn accept(store: &Store, user: &UserId) -> Result<Accepted, StoreError> {
    store.accept(user, "hello".into(), None, at(0)).await
}

/// Makes so many users.
async fn users(db: &Db, count: usize) -> Vec<UserId> {
    let mut users = vec![];
    for number in 0..count {
        users.push(user(&db.store, &format!("user{number}")).await.id);
    }
    users
}

/// Locks the queue of each of these users until the connection is closed.
async fn lock_queues(db: &Db, users: &[UserId]) -> AnyConnection {
    let mut other = db.connect().await;
    other.execute("BEGIN").await.unwrap();
    for user in users {
        // One by one: MariaDB locks what it passes.
        let lock = format!("SELECT user_id FROM user_queues WHERE user_id = '{user}' FOR UPDATE");
        other.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();
    }
    other
}

/// Who is in the way of some users' writes is in the way of nobody else's for long.
#[tokio::test]
async fn locks_on_what_is_some_users_hold_up_the_others_for_a_moment() {
    let db = Db::new().await;
    let users = users(&db, 8).await;
    let bob = user(&db.store, "bob").await.id;
    let other = lock_queues(&db, &users).await;
    let send = |user| accept(&db.store, user);
    // In one batch: what waits comes first.
    let mut locked: Vec<_> = users.iter().map(|user| Box::pin(send(user))).collect();
    locked.push(Box::pin(send(&users[0])));
    for waits in &mut locked {
        assert!(poll!(waits).is_pending());
    }
    for _ in 0..20 {
        let free = timeout(SOON, send(&bob)).await.unwrap();
        assert!(matches!(free, Ok(Accepted::New(_))), "{free:?}");
        for waits in &mut locked {
            assert!(poll!(waits).is_pending(), "it is locked");
        }
    }
    for refused in join_all(locked).await {
        assert!(matches!(refused, Err(StoreError::Locked)), "{refused:?}");
    }
    other.close().await.unwrap();
    assert_eq!(db.store.counts().await.unwrap().queued, 20);
    let sent = timeout(SOON, send(&users[0])).await.unwrap();
    assert!(matches!(sent, Ok(Accepted::New(_))));
}

/// What was put aside is written in order as soon as nobody is in its way any more.
#[tokio::test]
async fn what_waited_for_a_lock_is_written_in_order_once_it_is_free() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let bob = user(&db.store, "bob").await.id;
    let other = lock_queues(&db, std::slice::from_ref(&ann)).await;
    let send = |text: &str| db.store.accept(&ann, text.into(), None, at(0));
    let mut locked = vec![];
    for number in 0..3 {
        let mut waits = Box::pin(send(&format!("{number}")));
        assert!(poll!(&mut waits).is_pending());
        locked.push(waits);
        let free = db.store.accept(&bob, "hello".into(), None, at(0));
        timeout(SOON, free).await.unwrap().unwrap();
    }
    other.close().await.unwrap();
    // The last comes after the others.
    let last = locked.pop().unwrap();
    timeout(SOON, last).await.unwrap().unwrap();
    for waits in locked {
        waits.now_or_never().expect("it was written before").unwrap();
    }
}

/// Nor is anybody put aside with them, to be written one by one as long as that takes.
#[tokio::test]
async fn many_share_transactions_while_somebody_is_locked() {
    let behind = Behind::new().await;
    let Behind { db, store, ann, .. } = &behind;
    let free = users(db, 8).await;
    let other = lock_queues(db, std::slice::from_ref(ann)).await;
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    let _watch = behind.proxy.cut_at(Moment::Before, move |message| {
        counted.fetch_add(usize::from(message.is_commit()), Ordering::Relaxed);
        false
    });
    let locked = accept(store, ann);
    tokio::pin!(locked);
    assert!(poll!(&mut locked).is_pending());
    let sends = (0..128).map(|number| {
        let user = &free[number % free.len()];
        async move {
            for _ in 0..4 {
                accept(store, user).await.unwrap();
            }
        }
    });
    timeout(LIMIT, join_all(sends)).await.unwrap();
    assert!(poll!(&mut locked).is_pending(), "it is locked");
    let commits = commits.load(Ordering::Relaxed);
    assert!(commits < 64, "{commits} commits of 512 writes");
    other.close().await.unwrap();
    timeout(SOON, locked).await.unwrap().unwrap();
}

/// What waits keeps others out where only so many may wait.
#[tokio::test]
async fn of_many_sends_of_who_is_locked_few_wait() {
    let db = Db::new().await;
    let users = users(&db, 12).await;
    let other = lock_queues(&db, &users).await;
    let sends = users.iter().cycle().take(12 * 32);
    let mut sends: FuturesUnordered<_> = sends.map(|user| accept(&db.store, user)).collect();
    for _ in 0..12 * 28 {
        let refused = sends.next().await.unwrap();
        assert!(matches!(refused, Err(StoreError::Locked)), "{refused:?}");
    }
    other.close().await.unwrap();
    while let Some(sent) = timeout(SOON, sends.next()).await.unwrap() {
        sent.unwrap();
    }
    assert_eq!(db.store.counts().await.unwrap().queued, 12 * 4);
}

/// Somebody without an account is not taken for somebody who is locked, and is in nobody's way.
#[tokio::test]
async fn who_is_not_there_is_not_locked() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let bob = user(&db.store, "bob").await.id;
    let nobody = UserId::new();
    let other = lock_queues(&db, std::slice::from_ref(&ann)).await;
    let locked = accept(&db.store, &ann);
    tokio::pin!(locked);
    assert!(poll!(&mut locked).is_pending());
    for _ in 0..3 {
        let both = async { tokio::join!(accept(&db.store, &nobody), accept(&db.store, &bob)) };
        let (unknown, free) = timeout(SOON, both).await.unwrap();
        assert!(matches!(unknown, Err(StoreError::UnknownUser)), "{unknown:?}");
        free.unwrap();
        assert!(poll!(&mut locked).is_pending(), "it is locked");
    }
    other.close().await.unwrap();
    timeout(SOON, locked).await.unwrap().unwrap();
}

/// A client of MQTT 3.1.1 repeats all that it was not told of once its connection has ended. What was not written until then is
/// not to come in between.
#[tokio::test]
async fn what_waits_for_a_lock_is_dropped_once_nobody_waits_for_it() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let bob = user(&db.store, "bob").await.id;
    let other = lock_queues(&db, std::slice::from_ref(&ann)).await;
    let mut waiting = vec![];
    for _ in 0..3 {
        let mut waits = Box::pin(accept(&db.store, &ann));
        assert!(poll!(&mut waits).is_pending());
        waiting.push(waits);
    }
    // They are aside from then on.
    timeout(SOON, accept(&db.store, &bob)).await.unwrap().unwrap();
    waiting.truncate(1);
    other.close().await.unwrap();
    let first = waiting.remove(0);
    timeout(SOON, first).await.unwrap().unwrap();
    accept(&db.store, &ann).await.unwrap();
    assert_eq!(db.store.counts().await.unwrap().queued, 3);
}

/// What no write names before holds up who shares its transaction for a moment only.
#[tokio::test]
async fn a_row_that_one_write_waits_for_holds_up_no_other() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    db.store.ping().await.unwrap();
    let mut other = db.connect().await;
    let lock = "BEGIN; SELECT value FROM settings WHERE name = 'ping' FOR UPDATE";
    other.execute(lock).await.unwrap();
    let ping = db.store.ping();
    tokio::pin!(ping);
    for _ in 0..4 {
        assert!(poll!(&mut ping).is_pending(), "it is locked");
        let sends = join_all((0..100).map(|_| accept(&db.store, &ann)));
        for sent in timeout(SOON, sends).await.unwrap() {
            sent.unwrap();
        }
    }
    other.close().await.unwrap();
    timeout(SOON, ping).await.unwrap().unwrap();
}

/// Who is put aside is in line for what others hand over to one another.
#[tokio::test]
async fn a_queue_that_is_never_free_is_waited_for_in_line() {
    if DATABASE != DatabaseKind::Postgres {
        // No wait is short enough there.
        return;
    }
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let bob = user(&db.store, "bob").await.id;
    let mut holds = lock_queues(&db, std::slice::from_ref(&ann)).await;
    let sent = accept(&db.store, &ann);
    tokio::pin!(sent);
    assert!(poll!(&mut sent).is_pending());
    timeout(SOON, accept(&db.store, &bob)).await.unwrap().unwrap();
    let hand_over = async {
        loop {
            let next = lock_queues(&db, std::slice::from_ref(&ann));
            tokio::pin!(next);
            while !is_waited_for(&db, "user_queues").await {
                assert!(poll!(&mut next).is_pending());
            }
            holds.execute("ROLLBACK").await.unwrap();
            holds = next.await;
        }
    };
    let sent = async {
        tokio::select! {
            sent = sent => sent,
            () = hand_over => unreachable!("it goes on"),
        }
    };
    timeout(LIMIT, sent).await.unwrap().unwrap();
}

/// Each of the two connections goes on while the other one waits.
#[tokio::test]
async fn claims_do_not_wait_for_sends_nor_miss_who_sends_all_the_time() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let bob = user(&db.store, "bob").await.id;
    send(&db.store, &bob, "hello", at(0)).await;
    let other = lock_queues(&db, std::slice::from_ref(&ann)).await;
    let waits = db.store.accept(&ann, "hello".into(), None, at(0));
    tokio::pin!(waits);
    assert!(poll!(&mut waits).is_pending());
    let job = claim_one(&db.store, at(0)).await;
    assert_eq!(job.user_id, bob);
    assert!(poll!(&mut waits).is_pending(), "it is locked");
    other.close().await.unwrap();
    waits.await.unwrap();

    let sends = (0..32).map(|_| async {
        loop {
            send(&db.store, &ann, "hello", at(0)).await;
        }
    });
    let claims = async {
        for _ in 0..5 {
            let jobs = db.store.claim_in_line(1, LEASE, at(0)).await.unwrap();
            assert_eq!(jobs.len(), 1);
        }
    };
    tokio::select! {
        _ = join_all(sends) => {}
        () = claims => {}
    }
}

/// Nor does a message whose lease has run out, and whose queue is locked.
#[tokio::test]
async fn a_lease_that_cannot_be_taken_back_holds_up_nobody_elses_messages() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await.id;
    let bob = user(&db.store, "bob").await.id;
    send(&db.store, &ann, "hello", at(0)).await;
    let gone = claim_one(&db.store, at(0)).await;
    assert_eq!(gone.user_id, ann);
    let other = lock_queues(&db, std::slice::from_ref(&ann)).await;
    let later = at(0) + 2 * LEASE;
    let claims = async {
        for _ in 0..4 {
            send(&db.store, &bob, "hello", at(0)).await;
            let job = claim_one(&db.store, at(0)).await;
            assert_eq!(job.user_id, bob);
            // Its lease runs out, too.
            let again = claim_one(&db.store, later).await;
            assert_eq!(again.id, job.id);
        }
    };
    timeout(SOON, claims).await.expect("it waits at each claim");
    other.close().await.unwrap();
    let again = timeout(SOON, async {
        loop {
            let jobs = db.store.claim(10, LEASE, later).await.unwrap();
            if let Some(job) = jobs.into_iter().next() {
                return job;
            }
        }
    });
    assert_eq!(again.await.unwrap().id, gone.id);
}
