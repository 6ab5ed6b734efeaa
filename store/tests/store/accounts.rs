//! Accounts, sessions, tokens and the delay.

use std::time::Duration;

use crate::common::{Db, at, name, send, user};
use herald_acl::Role;
use herald_store::{CreateUser, Delay, DelayError, Scopes, Status, StoreError, TokenId, UserId};

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
        let page = store.list_users(seen.last(), 2).await.unwrap();
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
        store
            .create_session(&owner.id, session, "csrf", at(100), at(0))
            .await
            .unwrap();
    }
    store
        .create_token(&ann.id, "phone", BOTH, "t1", None, at(0))
        .await
        .unwrap();

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
async fn a_session_lasts_until_it_expires_or_is_ended() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    store
        .create_session(&ann.id, "hash", "csrf", at(100), at(7))
        .await
        .unwrap();
    let session = store.session("hash", at(99)).await.unwrap().unwrap();
    assert_eq!(session.secret_hash, "hash");
    assert_eq!(session.user, ann);
    assert_eq!(session.csrf_token, "csrf");
    assert_eq!(session.created_at, at(7));
    assert_eq!(session.expires_at, at(100));
    assert!(!format!("{session:?}").contains("csrf"));
    assert!(store.session("hash", at(100)).await.unwrap().is_none());
    assert!(store.session("other", at(99)).await.unwrap().is_none());

    assert!(store.delete_session("hash").await.unwrap());
    assert!(store.session("hash", at(99)).await.unwrap().is_none());
    assert!(!store.delete_session("hash").await.unwrap());
}

#[tokio::test]
async fn sessions_that_have_ended_are_forgotten_when_another_begins() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    for (hash, expires_at, now) in [
        ("a", at(10), at(0)),
        ("b", at(20), at(0)),
        ("c", at(30), at(10)),
    ] {
        store
            .create_session(&ann.id, hash, "csrf", expires_at, now)
            .await
            .unwrap();
    }
    assert!(!store.delete_session("a").await.unwrap());
    assert!(store.delete_session("b").await.unwrap());
    assert!(store.delete_session("c").await.unwrap());
}

#[tokio::test]
async fn no_account_no_session_and_no_token() {
    let Db { store, dir: _dir } = Db::new().await;
    let nobody = UserId::new();
    let session = store
        .create_session(&nobody, "hash", "csrf", at(100), at(0))
        .await;
    assert!(matches!(session, Err(StoreError::UnknownUser)));
    let token = store
        .create_token(&nobody, "phone", BOTH, "hash", None, at(0))
        .await;
    assert!(matches!(token, Err(StoreError::UnknownUser)));
}

#[tokio::test]
async fn a_token_works_until_it_expires_or_is_revoked() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    let scopes = Scopes {
        api: false,
        mqtt: true,
    };
    let forever = store
        .create_token(&ann.id, "phone", scopes, "h1", None, at(3))
        .await
        .unwrap();
    let short = store
        .create_token(&ann.id, "page", BOTH, "h2", Some(at(50)), at(3))
        .await
        .unwrap();
    assert_eq!(forever.name, "phone");
    assert_eq!(forever.scopes, scopes);
    assert_eq!(forever.created_at, at(3));
    assert_eq!(forever.expires_at, None);

    let late = at(1_000_000);
    let found = store.token_by_hash("h1", late).await.unwrap();
    assert_eq!(found, Some((forever.clone(), ann.clone())));
    let found = store.token_by_hash("h2", at(49)).await.unwrap();
    assert_eq!(found, Some((short.clone(), ann.clone())));
    assert_eq!(store.token_by_hash("h2", at(50)).await.unwrap(), None);
    assert_eq!(store.token_by_hash("h3", at(0)).await.unwrap(), None);

    assert_eq!(
        store.token_owner(&short.id).await.unwrap().as_ref(),
        Some(&ann)
    );
    assert!(
        !store
            .revoke_token(&bob.id, &forever.id, at(9))
            .await
            .unwrap()
    );
    assert!(
        store
            .revoke_token(&ann.id, &forever.id, at(9))
            .await
            .unwrap()
    );
    assert!(
        !store
            .revoke_token(&ann.id, &forever.id, at(9))
            .await
            .unwrap()
    );
    assert_eq!(store.token_by_hash("h1", at(0)).await.unwrap(), None);
    assert_eq!(store.token_owner(&forever.id).await.unwrap(), None);
}

#[tokio::test]
async fn tokens_are_listed_page_by_page_the_newest_first() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    let mut made = Vec::new();
    for (hash, owner) in [("1", &ann), ("2", &bob), ("3", &ann), ("4", &ann)] {
        let token = store
            .create_token(&owner.id, hash, BOTH, hash, None, at(0))
            .await
            .unwrap();
        made.push(token);
    }
    let names = |tokens: &[herald_store::Token]| -> Vec<String> {
        tokens.iter().map(|token| token.name.clone()).collect()
    };
    let first = store.list_tokens(&ann.id, None, 2).await.unwrap();
    assert_eq!(names(&first), ["4", "3"]);
    let rest = store
        .list_tokens(&ann.id, Some(&first[1].id), 2)
        .await
        .unwrap();
    assert_eq!(names(&rest), ["1"]);

    let all = store.list_all_tokens(None, 3).await.unwrap();
    let owners: Vec<_> = all.iter().map(|(owner, _)| owner.as_str()).collect();
    assert_eq!(owners, ["ann", "ann", "bob"]);
    let rest = store.list_all_tokens(Some(&all[2].1.id), 3).await.unwrap();
    assert_eq!(rest, [(name("ann"), made[0].clone())]);
}

#[tokio::test]
async fn tokens_that_have_ended_are_forgotten_when_their_owner_makes_another() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    for (owner, hash) in [(&ann, "a"), (&bob, "b")] {
        store
            .create_token(&owner.id, "old", BOTH, hash, Some(at(10)), at(0))
            .await
            .unwrap();
    }
    store
        .create_token(&ann.id, "new", BOTH, "c", None, at(10))
        .await
        .unwrap();
    assert_eq!(store.list_tokens(&ann.id, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.list_tokens(&bob.id, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.token_owner(&TokenId::new()).await.unwrap(), None);
}

#[tokio::test]
async fn a_disabled_user_has_no_session_and_no_token() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    db.store
        .create_session(&ann.id, "s", "csrf", at(100), at(0))
        .await
        .unwrap();
    db.store
        .create_token(&ann.id, "phone", BOTH, "t", None, at(0))
        .await
        .unwrap();
    crate::common::execute(&db.file(), "UPDATE users SET disabled = 1").await;
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
    crate::common::execute(&db.file(), "DELETE FROM settings").await;
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
