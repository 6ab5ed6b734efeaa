//! What two servers do on one database at once. Each of these went wrong with statements that rely on being alone.

use std::collections::HashSet;

use futures_util::future::{join_all, try_join_all};
use herald_acl::Role;
use herald_store::{
    Accepted, CreateRule, Job, Seq, Store, StoreOptions, UpdateUser, UserId, UserUpdate,
};

use crate::common::{Db, LEASE, at, processed, send, user};
use crate::rights::rule;

/// Two servers and the users of one database.
async fn two(users: usize) -> (Db, [Store; 2], Vec<UserId>) {
    let db = Db::new().await;
    let stores = [db.open_again().await, db.open_again().await];
    let mut made = vec![];
    for number in 0..users {
        made.push(user(&db.store, &format!("user{number}")).await.id);
    }
    (db, stores, made)
}

/// Claims until nothing is left.
async fn claim_all(store: &Store) -> Vec<Job> {
    let mut jobs = vec![];
    let mut empty = 0;
    while empty < 3 {
        let claimed = store.claim(16, LEASE, at(1)).await.unwrap();
        // What the other has locked is passed over, and may be left.
        empty = if claimed.is_empty() { empty + 1 } else { 0 };
        jobs.extend(claimed);
    }
    jobs
}

#[tokio::test]
async fn no_message_is_claimed_twice_and_none_is_left() {
    let (_db, [one, other], users) = two(20).await;
    let sends = (0..600).map(|n| send(&one, &users[n % users.len()], "hello", at(0)));
    join_all(sends).await;
    let (mine, theirs) = tokio::join!(claim_all(&one), claim_all(&other));
    let rest = claim_all(&one).await;
    let jobs = [mine, theirs, rest].concat();
    let ids: HashSet<_> = jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!((jobs.len(), ids.len()), (600, 600));
}

/// A message that is accepted while its user's queue is claimed from has its turn.
#[tokio::test]
async fn nothing_is_stranded_between_sends_and_claims() {
    let (_db, [one, other], users) = two(2).await;
    let sends = async {
        for number in 0..200 {
            send(&one, &users[number % 2], "hello", at(0)).await;
        }
    };
    let claims = async {
        let mut claimed = 0;
        for _ in 0..200 {
            claimed += other.claim(4, LEASE, at(1)).await.unwrap().len();
        }
        claimed
    };
    let ((), claimed) = tokio::join!(sends, claims);
    assert_eq!(claimed + claim_all(&other).await.len(), 200);
}

#[tokio::test]
async fn numbers_of_an_inbox_have_no_gap_whoever_finishes() {
    let (_db, [one, other], users) = two(3).await;
    let sends = (0..300).map(|n| send(&one, &users[n % 3], "hello", at(0)));
    join_all(sends).await;
    let jobs = claim_all(&one).await;
    let finishes = jobs.iter().enumerate().map(|(number, job)| {
        let store = if number % 2 == 0 { &one } else { &other };
        store.finish(job, processed(), at(2))
    });
    let finished = try_join_all(finishes).await.unwrap();
    assert!(finished.iter().all(Option::is_some));
    for user in &users {
        let page = one.notifications(user, Seq::NONE, 200, usize::MAX).await;
        let numbers: Vec<_> = page.unwrap().items.iter().map(|item| item.seq.0).collect();
        assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn of_two_sends_with_one_key_one_is_new() {
    let (_db, stores, users) = two(1).await;
    for number in 0..30 {
        let key = format!("key-{number}");
        let accepts = stores
            .iter()
            .map(|store| store.accept(&users[0], "hello".into(), Some(key.clone()), at(0)));
        let accepted = try_join_all(accepts).await.unwrap();
        let new = accepted
            .iter()
            .filter(|one| matches!(one, Accepted::New(_)));
        assert_eq!(new.count(), 1, "{accepted:?}");
    }
}

#[tokio::test]
async fn nobody_has_more_waiting_than_is_allowed() {
    let (db, _, users) = two(1).await;
    let options = || StoreOptions {
        waiting_messages: 10,
        ..db.dir.options()
    };
    let stores = try_join_all([Store::open(options()), Store::open(options())]);
    let stores = stores.await.unwrap();
    let accepts = (0..60).map(|n| stores[n % 2].accept(&users[0], "hello".into(), None, at(0)));
    let accepted = try_join_all(accepts).await.unwrap();
    let new = accepted
        .iter()
        .filter(|one| matches!(one, Accepted::New(_)));
    assert_eq!(new.count(), 10);
}

#[tokio::test]
async fn one_administrator_is_left() {
    let (_db, [one, other], users) = two(2).await;
    let role = |role| UserUpdate {
        role: Some(role),
        ..UserUpdate::default()
    };
    for _ in 0..20 {
        for user in &users {
            one.update_user(user, role(Role::Admin), at(1))
                .await
                .unwrap();
        }
        let (mine, theirs) = tokio::join!(
            one.update_user(&users[0], role(Role::User), at(1)),
            other.update_user(&users[1], role(Role::User), at(1)),
        );
        let updates = [mine.unwrap(), theirs.unwrap()];
        let refused = updates
            .iter()
            .filter(|one| **one == UpdateUser::LastAdministrator);
        assert_eq!(refused.count(), 1, "{updates:?}");
    }
}

#[tokio::test]
async fn a_reader_of_the_changes_of_rights_misses_none() {
    let (db, stores, _) = two(0).await;
    // Before any is made: those that the reader does not wait for would never come.
    let (mut last, mut changes) = (db.store.last_rights_change().await.unwrap(), 0);
    let seen = async {
        while changes < 60 {
            for change in db.store.rights_changes(last).await.unwrap() {
                assert_eq!(change.id, last + 1);
                last = change.id;
                changes += 1;
            }
        }
    };
    let changes = (0..60).map(|number| stores[number % 2].create_rule(rule(), at(1)));
    // What fails has no change to be seen.
    let made = async { try_join_all(changes).await.unwrap() };
    let (made, ()) = tokio::join!(made, seen);
    assert!(made.iter().all(|one| matches!(one, CreateRule::Created(_))));
}
