//! Accounts and the delay.

use std::time::Duration;

use crate::common::{Db, at, begin_session, make_token, name, new_session, new_token, send, user};
use herald_acl::Role;
use herald_store::{CreateUser, Delay, DelayError, Scopes, Status, StoreError, UserId};

const BOTH: Scopes = Scopes {
    api: true,
    mqtt: true,
};

#[tokio::test]
async fn an_account_is_found_by_its_name_and_by_its_id() {
    let Db { store, dir: _dir } = Db::new().await;
    let created = store
        .create_user(&name("ann"), Role::Admin, "$argon2id$x", at(5))
        .await
        .unwrap();
    let CreateUser::Created(ann) = created else {
        panic!("{created:?}");
    };
    assert_eq!(ann.role, Role::Admin);
    assert_eq!(ann.created_at, at(5));
    assert!(!ann.disabled);
    assert_eq!(
        store.user_by_name(&name("ann")).await.unwrap().as_ref(),
        Some(&ann)
    );
    assert_eq!(store.user_by_name(&name("bob")).await.unwrap(), None);
}

#[tokio::test]
async fn a_name_belongs_to_the_first_who_takes_it() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let again = store
        .create_user(&name("ann"), Role::Admin, "other", at(1))
        .await;
    assert_eq!(again.unwrap(), CreateUser::Taken);
    assert_eq!(store.user_by_name(&ann.username).await.unwrap(), Some(ann));
    assert_eq!(store.count_users().await.unwrap(), 1);
}

#[tokio::test]
async fn accounts_are_listed_page_by_page_in_order_of_their_names() {
    let Db { store, dir: _dir } = Db::new().await;
    for username in ["eve", "bob", "ann", "dan", "cat"] {
        user(&store, username).await;
    }
    let mut seen = Vec::new();
    loop {
        let page = store.list_users(seen.last(), 2).await.unwrap().items;
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|user| user.username));
    }
    assert_eq!(seen, ["ann", "bob", "cat", "dan", "eve"].map(name));
    assert_eq!(store.count_users().await.unwrap(), 5);
}

#[tokio::test]
async fn the_password_hash_is_not_shown_when_debugging() {
    let Db { store, dir: _dir } = Db::new().await;
    store
        .create_user(&name("ann"), Role::User, "s3cret", at(0))
        .await
        .unwrap();
    let ann = store.user_by_name(&name("ann")).await.unwrap();
    assert!(!format!("{ann:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_no_token() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    for (owner, session) in [(&ann, "a1"), (&ann, "a2"), (&bob, "b1")] {
        begin_session(&store, &owner.id, session, at(100), at(0)).await;
    }
    make_token(&store, &ann.id, "phone", BOTH, "t1", None, at(0)).await;

    assert!(
        store
            .set_password(&ann.id, "new", Some("a2"), at(1))
            .await
            .unwrap()
    );
    let changed = store.user_by_name(&ann.username).await.unwrap().unwrap();
    assert_eq!(changed.password_hash, "new");
    assert!(store.session("a1", at(1)).await.unwrap().is_none());
    assert!(store.session("a2", at(1)).await.unwrap().is_some());
    assert!(store.session("b1", at(1)).await.unwrap().is_some());
    assert!(store.token_by_hash("t1", at(1)).await.unwrap().is_some());

    assert!(
        store
            .set_password(&ann.id, "newer", None, at(1))
            .await
            .unwrap()
    );
    assert!(store.session("a2", at(1)).await.unwrap().is_none());
    assert!(
        !store
            .set_password(&UserId::new(), "x", None, at(1))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn no_account_no_session_and_no_token() {
    let Db { store, dir: _dir } = Db::new().await;
    let nobody = UserId::new();
    let session = store
        .create_session(&nobody, new_session("hash", at(100)), at(0))
        .await;
    assert!(matches!(session, Err(StoreError::UnknownUser)));
    let token = store
        .create_token(&nobody, new_token("phone", BOTH, "hash", None), at(0))
        .await;
    assert!(matches!(token, Err(StoreError::UnknownUser)));
}

#[tokio::test]
async fn a_disabled_user_has_no_session_and_no_token() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    begin_session(&db.store, &ann.id, "s", at(100), at(0)).await;
    make_token(&db.store, &ann.id, "phone", BOTH, "t", None, at(0)).await;
    db.execute("UPDATE users SET disabled = 1").await;
    assert!(
        db.store
            .user_by_name(&ann.username)
            .await
            .unwrap()
            .unwrap()
            .disabled
    );
    assert!(db.store.session("s", at(1)).await.unwrap().is_none());
    assert!(db.store.token_by_hash("t", at(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn messages_wait_a_second_until_another_delay_is_set() {
    let db = Db::new().await;
    db.execute("DELETE FROM settings").await;
    let ann = user(&db.store, "ann").await;
    assert_eq!(db.store.delay().await.unwrap(), Delay::Fixed { ms: 1000 });
    let message = send(&db.store, &ann.id, "hello", at(0)).await;
    assert_eq!(message.run_at, at(1000));

    let delay = Delay::Uniform {
        min_ms: 10,
        max_ms: 20,
    };
    assert_eq!(db.store.set_delay(delay, false).await.unwrap(), 0);
    assert_eq!(db.store.delay().await.unwrap(), delay);
    let message = send(&db.store, &ann.id, "hello", at(0)).await;
    assert!(at(10) <= message.run_at && message.run_at <= at(20));
}

#[tokio::test]
async fn a_delay_that_cannot_be_used_is_not_set() {
    let Db { store, dir: _dir } = Db::new().await;
    let ms = Delay::MAX_MS + 1;
    let set = store.set_delay(Delay::Fixed { ms }, true).await;
    assert!(matches!(
        set,
        Err(StoreError::Delay(DelayError::TooLong { .. }))
    ));
    assert_eq!(store.delay().await.unwrap(), Delay::Fixed { ms: 0 });
}

#[tokio::test]
async fn a_delay_can_be_applied_to_what_is_queued_and_only_to_that() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let taken = send(&store, &ann.id, "taken", at(0)).await;
    store.claim(1, Duration::from_secs(1), at(0)).await.unwrap();
    let mut queued = Vec::new();
    for created in 0..50 {
        queued.push(send(&store, &ann.id, "queued", at(created)).await);
    }

    let fixed = Delay::Fixed { ms: 500 };
    assert_eq!(store.set_delay(fixed, true).await.unwrap(), 50);
    for message in &queued {
        let moved = store.message(&ann.id, &message.id).await.unwrap().unwrap();
        assert_eq!(
            moved.run_at,
            message.created_at + Duration::from_millis(500)
        );
        assert_eq!(moved.status, Status::Queued);
    }

    let uniform = Delay::Uniform {
        min_ms: 100,
        max_ms: 103,
    };
    assert_eq!(store.set_delay(uniform, true).await.unwrap(), 50);
    let mut waits = Vec::new();
    for message in &queued {
        let moved = store.message(&ann.id, &message.id).await.unwrap().unwrap();
        waits.push(moved.run_at.as_millis() - moved.created_at.as_millis());
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 1, "all waits are the same: {waits:?}");
    assert!(
        waits.iter().all(|wait| (100..=103).contains(wait)),
        "{waits:?}"
    );

    let untouched = store.message(&ann.id, &taken.id).await.unwrap().unwrap();
    assert_eq!(untouched.run_at, at(0));
}
