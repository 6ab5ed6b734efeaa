//! What is known of tokens and sessions without a read, and when it is not any more.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use herald_acl::Role;
use herald_store::{Scopes, Store, UserId, UserUpdate};

use crate::common::{Db, at, begin_session, delete, make_token, user};

const API: Scopes = Scopes {
    api: true,
    mqtt: false,
};

/// The changes of rights are read, as a running server does.
async fn follow(store: &Store) {
    let last = store.last_rights_change().await.unwrap();
    store.rights_changes(last).await.unwrap();
}

async fn knows_token(store: &Store, hash: &str) -> bool {
    store.known_token(hash, at(2)).await.unwrap().is_some()
}

async fn knows_session(store: &Store, hash: &str) -> bool {
    store.known_session(hash, at(2)).await.unwrap().is_some()
}

async fn set(store: &Store, user: &UserId, update: UserUpdate) {
    store.update_user(user, update, at(2)).await.unwrap();
}

/// A user with a token and a session that are remembered.
async fn remembered(store: &Store, name: &str) -> UserId {
    let user = user(store, name).await.id;
    make_token(store, &user, "phone", API, name, None, at(0)).await;
    begin_session(store, &user, name, at(100), at(0)).await;
    follow(store).await;
    assert!(knows_token(store, name).await);
    assert!(knows_session(store, name).await);
    user
}

/// Nothing is read as long as the changes of rights are, of which there are none: the rows may be gone.
#[tokio::test]
async fn what_was_looked_up_lately_is_known_without_a_read() {
    let db = Db::new().await;
    remembered(&db.store, "ann").await;
    // A machine that is slow may need some.
    for attempt in 1.. {
        db.execute("UPDATE sessions SET csrf_token = 'other'").await;
        follow(&db.store).await;
        knows_session(&db.store, "ann").await;
        db.execute("UPDATE sessions SET csrf_token = 'unread'")
            .await;
        let session = db.store.known_session("ann", at(2)).await.unwrap();
        if session.unwrap().csrf_token != "unread" {
            break;
        }
        assert!(attempt < 20, "it is read each time");
    }
    for attempt in 1.. {
        db.execute("UPDATE tokens SET name = 'other'").await;
        follow(&db.store).await;
        knows_token(&db.store, "ann").await;
        db.execute("UPDATE tokens SET name = 'unread'").await;
        let found = db.store.known_token("ann", at(2)).await.unwrap();
        if found.unwrap().0.name != "unread" {
            break;
        }
        assert!(attempt < 20, "it is read each time");
    }
}

#[tokio::test]
async fn what_ends_by_this_process_is_not_known_from_then_on() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = remembered(&store, "ann").await;
    let (token, _) = store.known_token("ann", at(2)).await.unwrap().unwrap();
    assert!(store.revoke_token(&ann, &token.id, at(2)).await.unwrap());
    assert!(!knows_token(&store, "ann").await);
    let session = store.known_session("ann", at(2)).await.unwrap().unwrap();
    assert!(store.end_session(&ann, &session.id, at(2)).await.unwrap());
    assert!(!knows_session(&store, "ann").await);

    let bob = remembered(&store, "bob").await;
    let promote = UserUpdate {
        role: Some(Role::Admin),
        ..UserUpdate::default()
    };
    set(&store, &bob, promote).await;
    let (_, user) = store.known_token("bob", at(2)).await.unwrap().unwrap();
    assert_eq!(user.role, Role::Admin);
    let session = store.known_session("bob", at(2)).await.unwrap().unwrap();
    assert_eq!(session.user.role, Role::Admin);
    let changed = store.set_password(&bob, "new", None, at(2)).await;
    assert!(changed.unwrap());
    assert!(knows_token(&store, "bob").await);
    assert!(!knows_session(&store, "bob").await);

    let eve = remembered(&store, "eve").await;
    let disable = UserUpdate {
        disabled: Some(true),
        ..UserUpdate::default()
    };
    set(&store, &eve, disable).await;
    assert!(!knows_token(&store, "eve").await);
    assert!(!knows_session(&store, "eve").await);

    let dan = remembered(&store, "dan").await;
    delete(&store, &dan).await;
    assert!(!knows_token(&store, "dan").await);
    assert!(!knows_session(&store, "dan").await);
}

#[tokio::test]
async fn what_another_process_ends_is_not_known_once_its_changes_are_read() {
    let db = Db::new().await;
    let (here, elsewhere) = (&db.store, db.open_again().await);
    let ann = remembered(here, "ann").await;
    let (token, _) = here.known_token("ann", at(2)).await.unwrap().unwrap();
    let session = here.known_session("ann", at(2)).await.unwrap().unwrap();
    let before = here.last_rights_change().await.unwrap();
    elsewhere
        .revoke_token(&ann, &token.id, at(2))
        .await
        .unwrap();
    elsewhere
        .end_session(&ann, &session.id, at(2))
        .await
        .unwrap();
    here.rights_changes(before).await.unwrap();
    assert!(!knows_token(here, "ann").await);
    assert!(!knows_session(here, "ann").await);
}

/// What makes room for a new session is told, too.
#[tokio::test]
async fn a_session_that_makes_room_is_not_known_from_then_on() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = remembered(&store, "ann").await;
    for number in 0..100 {
        assert!(knows_session(&store, "ann").await, "{number}");
        let hash = format!("later {number}");
        begin_session(&store, &ann, &hash, at(100), at(1)).await;
    }
    assert!(!knows_session(&store, "ann").await);
}

/// A time that has come counts, whatever is remembered.
#[tokio::test]
async fn what_is_over_is_not_known() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    make_token(&store, &ann, "phone", API, "t", Some(at(50)), at(0)).await;
    begin_session(&store, &ann, "s", at(50), at(0)).await;
    follow(&store).await;
    for (time, is_known) in [(at(49), true), (at(50), false)] {
        let token = store.known_token("t", time).await.unwrap();
        assert_eq!(token.is_some(), is_known);
        let session = store.known_session("s", time).await.unwrap();
        assert_eq!(session.is_some(), is_known);
    }
}

/// Look-ups that began before the end must not remember what they found.
#[tokio::test]
async fn nothing_is_known_after_its_end_however_many_ask_meanwhile() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    for round in 0..20 {
        let hash = format!("t{round}");
        let token = make_token(&store, &ann, "phone", API, &hash, None, at(0)).await;
        follow(&store).await;
        let has_ended = AtomicBool::new(false);
        let ask = async || {
            loop {
                let was_over = has_ended.load(Ordering::SeqCst);
                let is_known = knows_token(&store, &hash).await;
                assert!(!(was_over && is_known), "in round {round}");
                if was_over {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let end = async {
            store.revoke_token(&ann, &token.id, at(2)).await.unwrap();
            has_ended.store(true, Ordering::SeqCst);
        };
        tokio::join!(end, join_all((0..8).map(|_| ask())));
    }
}
