//! Sessions of browsers.

use std::time::Duration;

use crate::common::{Db, at, begin_session, make_token, new_session, new_token, user};
use herald_store::{
    Changed, CreateToken, NewToken, Scopes, Session, StoreError, TokenOrigin, UserUpdate,
};

#[tokio::test]
async fn a_session_lasts_until_it_expires_or_is_ended() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    begin_session(&store, &ann.id, "hash", at(100), at(7)).await;
    let session = store.session("hash", at(99)).await.unwrap().unwrap();
    assert_eq!(session.secret_hash, "hash");
    assert_eq!(session.user, ann);
    assert_eq!(session.csrf_token, "csrf");
    assert_eq!(session.last_used_at, at(7));
    assert_eq!(session.expires_at, at(100));
    assert!(!format!("{session:?}").contains("csrf"));
    assert!(store.session("hash", at(100)).await.unwrap().is_none());
    assert!(store.session("other", at(99)).await.unwrap().is_none());

    let end = async || store.end_session(&ann.id, &session.id, at(9)).await;
    assert!(end().await.unwrap());
    assert!(store.session("hash", at(99)).await.unwrap().is_none());
    assert!(!end().await.unwrap());
}

#[tokio::test]
async fn sessions_that_have_ended_are_forgotten_when_another_begins() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    for (hash, expires_at, now) in [
        ("a", at(10), at(0)),
        ("b", at(20), at(0)),
        ("c", at(30), at(10)),
    ] {
        begin_session(&db.store, &ann.id, hash, expires_at, now).await;
    }
    assert_eq!(db.count("SELECT COUNT(*) FROM sessions").await, 2);
    let later = at(0) + Session::MAX_IDLE;
    begin_session(
        &db.store,
        &ann.id,
        "d",
        later + Duration::from_secs(1),
        later,
    )
    .await;
    assert_eq!(db.count("SELECT COUNT(*) FROM sessions").await, 1);
}

#[tokio::test]
async fn a_session_that_is_not_used_for_long_ends() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let idle = Session::MAX_IDLE;
    begin_session(&store, &ann.id, "s", at(0) + idle * 10, at(0)).await;
    assert!(store.session("s", at(-1) + idle).await.unwrap().is_some());
    assert!(store.session("s", at(0) + idle).await.unwrap().is_none());

    let session = store.session("s", at(1)).await.unwrap().unwrap();
    store.touch_session(&session, at(5));
    // Late news of an earlier use takes nothing away.
    store.touch_session(&session, at(3));
    store.ping().await.unwrap();
    let session = store.session("s", at(0) + idle).await.unwrap().unwrap();
    assert_eq!(session.last_used_at, at(5));
    assert!(store.session("s", at(5) + idle).await.unwrap().is_none());
    let listed = store.list_sessions(&ann.id, None, 10, at(5) + idle).await;
    assert!(listed.unwrap().items.is_empty());
    let listed = store.list_sessions(&ann.id, None, 10, at(4) + idle);
    assert_eq!(listed.await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_each_to_its_user() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    for (owner, hash) in [(&ann, "1"), (&bob, "2"), (&ann, "3"), (&ann, "4")] {
        begin_session(&store, &owner.id, hash, at(100), at(7)).await;
    }
    let first = store
        .list_sessions(&ann.id, None, 2, at(8))
        .await
        .unwrap()
        .items;
    let before = Some(&first[1].id);
    let rest = store
        .list_sessions(&ann.id, before, 2, at(8))
        .await
        .unwrap()
        .items;
    assert_eq!((first.len(), rest.len()), (2, 1));
    let oldest = &rest[0];
    assert!(first.iter().all(|newer| newer.id > oldest.id));
    assert_eq!(oldest.address, "192.0.2.1");
    assert_eq!(oldest.user_agent.as_deref(), Some("browser"));
    assert_eq!((oldest.created_at, oldest.expires_at), (at(7), at(100)));
    let own = store.session("1", at(8)).await.unwrap().unwrap();
    assert_eq!(own.id, oldest.id);

    // Nobody ends another's.
    assert!(!store.end_session(&bob.id, &own.id, at(8)).await.unwrap());
    assert!(store.session("1", at(8)).await.unwrap().is_some());
}

const MQTT: Scopes = Scopes {
    api: false,
    mqtt: true,
};

fn of_session(session: &Session, hash: &str) -> NewToken {
    NewToken {
        origin: TokenOrigin::Session(session.id.clone()),
        ..new_token("browser", MQTT, hash, Some(at(60)))
    }
}

#[tokio::test]
async fn the_tokens_that_a_session_needs_are_not_listed_and_end_with_it() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    begin_session(&store, &ann.id, "s", at(100), at(0)).await;
    let session = store.session("s", at(1)).await.unwrap().unwrap();
    let new = of_session(&session, "t");
    let CreateToken::Created(token) = store.create_token(&ann.id, new, at(1)).await.unwrap() else {
        panic!("it can be made");
    };
    make_token(&store, &ann.id, "phone", MQTT, "other", None, at(1)).await;
    assert!(store.token_by_hash("t", at(2)).await.unwrap().is_some());
    let listed = store.list_tokens(&ann.id, None, 10).await.unwrap().items;
    assert_eq!((listed.len(), listed[0].name.as_str()), (1, "phone"));

    store
        .end_session(&ann.id, &session.id, at(2))
        .await
        .unwrap();
    assert!(store.token_by_hash("t", at(2)).await.unwrap().is_none());
    assert!(store.token_by_hash("other", at(2)).await.unwrap().is_some());
    let changes = store.rights_changes(0).await.unwrap();
    let ended: Vec<_> = changes.into_iter().map(|change| change.changed).collect();
    let credential = |id: String| Changed::Credential {
        owner: ann.username.clone(),
        id,
    };
    let expected = [session.id.to_string(), token.id.to_string()];
    assert_eq!(ended, expected.map(credential));
    let late = of_session(&session, "late");
    let late = store.create_token(&ann.id, late, at(3)).await.unwrap();
    assert_eq!(late, CreateToken::OriginEnded);
}

#[tokio::test]
async fn a_new_password_ends_the_tokens_of_the_sessions_that_it_ends() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    for hash in ["kept", "ended"] {
        begin_session(&store, &ann.id, hash, at(100), at(0)).await;
        let session = store.session(hash, at(1)).await.unwrap().unwrap();
        let token = of_session(&session, hash);
        store.create_token(&ann.id, token, at(1)).await.unwrap();
    }
    let changed = store.set_password(&ann.id, "new", Some("kept"), at(2));
    assert!(changed.await.unwrap());
    assert!(store.token_by_hash("kept", at(3)).await.unwrap().is_some());
    assert!(store.token_by_hash("ended", at(3)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_has_its_last_tokens_and_a_user_the_last_sessions() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    for n in 0..101 {
        begin_session(&db.store, &ann.id, &format!("s{n}"), at(100), at(0)).await;
    }
    assert_eq!(db.count("SELECT COUNT(*) FROM sessions").await, 100);
    assert!(db.store.session("s0", at(1)).await.unwrap().is_none());
    let session = db.store.session("s1", at(1)).await.unwrap().unwrap();
    for n in 0..33 {
        let token = of_session(&session, &format!("t{n}"));
        let made = db.store.create_token(&ann.id, token, at(1)).await.unwrap();
        assert!(matches!(made, CreateToken::Created(_)));
    }
    assert_eq!(db.count("SELECT COUNT(*) FROM tokens").await, 32);
    assert!(db.store.token_by_hash("t0", at(1)).await.unwrap().is_none());
    // The first session, and the first token.
    assert_eq!(db.store.last_rights_change().await.unwrap(), 2);
}

#[tokio::test]
async fn no_session_begins_on_a_password_that_has_changed_or_an_account_that_is_disabled() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let begin = async || {
        let session = new_session("s", at(100));
        store.create_session(&ann.id, session, at(1)).await
    };
    let disable = async |disabled: bool| {
        let update = UserUpdate {
            disabled: Some(disabled),
            ..UserUpdate::default()
        };
        store.update_user(&ann.id, update, at(1)).await.unwrap();
    };
    disable(true).await;
    assert!(matches!(begin().await, Err(StoreError::UnknownUser)));
    disable(false).await;
    let changed = store.set_password(&ann.id, "new", None, at(1)).await;
    assert!(changed.unwrap());
    assert!(matches!(begin().await, Err(StoreError::UnknownUser)));
    assert!(store.session("s", at(2)).await.unwrap().is_none());
}
