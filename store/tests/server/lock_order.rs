//! Rows are locked in one order, also where no queue is locked before: while a write waits for the first one, nobody is in the way
//! of others at those that come later. Two writes that locked the same in another order would be a deadlock.

use std::future::Future;

use futures_util::future::{join_all, try_join_all};
use herald_store::{DeadFilter, Job, MessageId, NewToken, Outcome, Scopes, TokenOrigin};

use crate::common::{
    Db, LEASE, at, begin_session, new_session, new_token, processed, send_many, up_to, user,
};
use crate::waiting::met;

/// Two messages that are claimed, that with the higher id first.
async fn claimed() -> (Db, [Job; 2]) {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    send_many(&db.store, &ann.id, 2).await;
    let mut jobs = db.store.claim(10, LEASE, at(9)).await.unwrap();
    jobs.sort_by(|one, other| other.id.cmp(&one.id));
    (db, jobs.try_into().unwrap())
}

/// The same, dead one after the other.
async fn dead() -> (Db, [Job; 2]) {
    let (db, jobs) = claimed().await;
    for (job, time) in jobs.iter().zip([10, 11]) {
        let error = "no".to_owned();
        let finished = db.store.finish(job, Outcome::Dead { error }, at(time));
        assert!(finished.await.unwrap().is_some());
    }
    (db, jobs)
}

fn locked(id: &MessageId) -> String {
    format!("SELECT id FROM messages WHERE id = '{id}' FOR UPDATE NOWAIT")
}

/// Does something that is to lock the message with the lower id first.
async fn in_order<T>(db: &Db, [high, low]: &[Job; 2], what: impl Future<Output = T>) -> T {
    met(db, &locked(&low.id), "messages", &locked(&high.id), what).await
}

#[tokio::test]
async fn leases_are_renewed_in_the_order_of_messages() {
    let (db, jobs) = claimed().await;
    let renewals = jobs.iter().map(|job| db.store.renew(job, LEASE, at(10)));
    let renewed = in_order(&db, &jobs, try_join_all(renewals)).await;
    assert_eq!(renewed.unwrap(), [true, true]);
    let until = at(10) + LEASE;
    assert_eq!(db.store.next_due().await.unwrap(), Some(until));
}

#[tokio::test]
async fn messages_end_in_their_order() {
    let (db, jobs) = claimed().await;
    let finishes = jobs.iter().map(|job| db.store.finish(job, processed(), at(10)));
    let finished = in_order(&db, &jobs, try_join_all(finishes)).await;
    assert!(finished.unwrap().iter().all(Option::is_some));
}

#[tokio::test]
async fn messages_are_marked_as_delivered_in_their_order() {
    let (db, jobs) = dead().await;
    let acknowledged = [up_to(&jobs[0].user_id, 2)];
    let acknowledge = db.store.acknowledge(&acknowledged, at(12));
    in_order(&db, &jobs, acknowledge).await.unwrap();
    let marked = "SELECT COUNT(*) FROM messages WHERE delivered_at IS NOT NULL";
    assert_eq!(db.count(marked).await, 2);
}

#[tokio::test]
async fn dead_messages_are_put_back_in_their_order() {
    let (db, jobs) = dead().await;
    let filter = DeadFilter::default();
    let retry = db.store.retry_dead(&filter, None, at(12));
    let retried = in_order(&db, &jobs, retry).await.unwrap();
    assert_eq!(retried.requeued.len(), 2);
}

#[tokio::test]
async fn leases_that_ran_out_are_taken_back_in_the_order_of_messages() {
    let (db, jobs) = claimed().await;
    // That with the higher id ran out first.
    assert!(db.store.renew(&jobs[1], LEASE, at(10)).await.unwrap());
    let claim = db.store.claim(10, LEASE, at(10) + LEASE);
    let claimed = in_order(&db, &jobs, claim).await.unwrap();
    assert_eq!(claimed.len(), 2);
}

/// Whoever signs in while an account is deleted does not have a session of that account when it waits for the rights.
#[tokio::test]
async fn ended_sessions_of_others_are_forgotten_after_the_change_of_rights() {
    let db = Db::new().await;
    let (ann, bob) = (user(&db.store, "ann").await, user(&db.store, "bob").await);
    begin_session(&db.store, &bob.id, "ended", at(5), at(0)).await;
    let begin = (0..100).map(async |n| {
        begin_session(&db.store, &ann.id, &format!("s{n}"), at(90), at(0)).await;
    });
    join_all(begin).await;
    // The first session is ended with its token as another begins: a change of rights.
    let sessions = db.store.list_sessions(&ann.id, None, 100, at(0)).await;
    let first = sessions.unwrap().items.pop().unwrap();
    let origin = TokenOrigin::Session(first.id);
    let token = NewToken {
        origin,
        ..new_token("mqtt", Scopes::default(), "t", None)
    };
    db.store.create_token(&ann.id, token, at(1)).await.unwrap();
    let rights = "SELECT value FROM counters WHERE name = 'rights' FOR UPDATE";
    let theirs = "SELECT id FROM sessions WHERE secret_hash = 'ended' FOR UPDATE NOWAIT";
    let begins = db.store.create_session(&ann.id, new_session("new", at(90)), at(9));
    met(&db, rights, "counters", theirs, begins).await.unwrap();
    assert_eq!(db.count("SELECT COUNT(*) FROM sessions").await, 100);
    assert_eq!(db.count("SELECT COUNT(*) FROM tokens").await, 0);
}
