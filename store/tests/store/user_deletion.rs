//! Deleting accounts.

use std::time::Duration;

use crate::common::{
    Db, at, begin_session, claim_one, delete, make_token, name, new_session, new_token, notify,
    processed, send, up_to, user,
};
use herald_acl::{Actions, Effect, FilterTemplate, Subject};
use herald_store::{
    Changed, CloseUser, CreateRule, RuleContent, Scopes, Seq, StoreError, UpdateUser, UserUpdate,
};

const BOTH: Scopes = Scopes {
    api: true,
    mqtt: true,
};

#[tokio::test]
async fn all_that_is_a_users_goes_with_the_account() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    notify(&store, &bob.id, 1).await;
    notify(&store, &ann.id, 2).await;
    let queued = send(&store, &ann.id, "queued", at(500)).await;
    begin_session(&store, &ann.id, "s", at(100), at(0)).await;
    let token = make_token(&store, &ann.id, "phone", BOTH, "t", None, at(0)).await;

    let deleted = delete(&store, &ann.id).await;
    assert_eq!(deleted, CloseUser::Closed);
    assert_eq!(store.user_by_name(&ann.username).await.unwrap(), None);
    assert!(store.session("s", at(1)).await.unwrap().is_none());
    assert!(store.token_by_hash("t", at(1)).await.unwrap().is_none());
    assert_eq!(store.token_owner(&token.id).await.unwrap(), None);
    assert_eq!(store.message(&ann.id, &queued.id).await.unwrap(), None);
    assert_eq!(store.next_due().await.unwrap(), None);
    let inbox = store.notifications(&ann.id, Seq::NONE, 10, 1000);
    assert_eq!(inbox.await.unwrap().items, []);
    let late = store.accept(&ann.id, "late".into(), None, at(1)).await;
    assert!(matches!(late, Err(StoreError::UnknownUser)));

    // Another user of the name begins with nothing; others lose nothing.
    let second = user(&store, "ann").await;
    assert_ne!(second.id, ann.id);
    assert_eq!(store.position(&second.id).await.unwrap().last, Seq::NONE);
    assert_eq!(store.position(&bob.id).await.unwrap().last, Seq(1));
    let again = delete(&store, &ann.id).await;
    assert_eq!(again, CloseUser::Unknown);
}

#[tokio::test]
async fn a_message_of_a_deleted_user_that_is_being_processed_ends_in_nothing() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    send(&store, &ann.id, "hello", at(0)).await;
    let job = claim_one(&store, at(0)).await;
    delete(&store, &ann.id).await;
    let finished = store.finish(&job, processed(), at(2)).await.unwrap();
    assert_eq!(finished, None);
    store
        .acknowledge(&[up_to(&ann.id, 1)], at(2))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_closed_account_is_of_no_use_and_keeps_its_name_until_it_is_removed() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    begin_session(&store, &ann.id, "s", at(100), at(0)).await;
    make_token(&store, &ann.id, "phone", BOTH, "t", None, at(0)).await;
    let closed = store.close_user(&ann.id, at(1)).await.unwrap();
    assert_eq!(closed, CloseUser::Closed);
    let found = store.user_by_name(&ann.username).await.unwrap().unwrap();
    assert!(found.disabled);
    assert!(store.session("s", at(1)).await.unwrap().is_none());
    assert!(store.token_by_hash("t", at(1)).await.unwrap().is_none());
    assert!(
        store
            .list_tokens(&ann.id, None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let changes = store.rights_changes(0).await.unwrap();
    let changed: Vec<_> = changes.into_iter().map(|change| change.changed).collect();
    assert_eq!(changed, [Changed::User(ann.username.clone())]);

    // It may be closed again, as after a crash.
    let closed = store.close_user(&ann.id, at(2)).await.unwrap();
    assert_eq!(closed, CloseUser::Closed);
    store.remove_user(&ann.id).await.unwrap();
    assert_eq!(store.user_by_name(&ann.username).await.unwrap(), None);
    // It is as well if somebody else was faster.
    store.remove_user(&ann.id).await.unwrap();
    assert_eq!(store.last_rights_change().await.unwrap(), 2);
}

#[tokio::test]
async fn an_account_with_very_much_in_it_is_removed_in_steps_while_others_write() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    notify(&store, &ann.id, 300).await;
    for _ in 0..300 {
        send(&store, &ann.id, "queued", at(0)).await;
    }
    store.close_user(&ann.id, at(1)).await.unwrap();
    let others = async {
        for _ in 0..20 {
            send(&store, &bob.id, "beside it", at(0)).await;
        }
    };
    let (removed, ()) = tokio::join!(store.empty_user(&ann.id), others);
    removed.unwrap();
    store.remove_user(&ann.id).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.queued, counts.processed), (20, 0));
    // What is claimed is the others'.
    let jobs = store.claim(100, Duration::from_secs(30), at(10)).await;
    let jobs = jobs.unwrap();
    assert!(!jobs.is_empty() && jobs.iter().all(|job| job.user_id == bob.id));
}

#[tokio::test]
async fn who_gets_the_name_next_does_not_get_the_rights() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    user(&store, "anna").await;
    let rule = |who: &str| RuleContent {
        subject: Subject::User(name(who)),
        actions: Actions::Both,
        effect: Effect::Allow,
        filter: FilterTemplate::parse("lamps/#").unwrap(),
        description: None,
    };
    let mut made = vec![];
    for who in ["ann", "anna"] {
        let CreateRule::Created(rule) = store.create_rule(rule(who), at(0)).await.unwrap() else {
            panic!("there is room");
        };
        made.push(rule.rule);
    }
    delete(&store, &ann.id).await;
    let rules = store.rules().await.unwrap();
    assert!(!rules.contains(&made[0]) && rules.contains(&made[1]));
    let changes = store.rights_changes(0).await.unwrap();
    let policies = changes.iter().filter(|c| c.changed == Changed::Policy);
    assert_eq!(policies.count(), 3);
}

#[tokio::test]
async fn an_account_that_is_being_deleted_is_not_opened_again() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    store.close_user(&ann.id, at(1)).await.unwrap();
    let open = UserUpdate {
        disabled: Some(false),
        password_hash: Some("new".into()),
        ..UserUpdate::default()
    };
    let refused = store.update_user(&ann.id, open, at(2)).await.unwrap();
    assert_eq!(refused, UpdateUser::Unknown);
    let found = store.user_by_name(&ann.username).await.unwrap().unwrap();
    assert!(found.disabled && found.password_hash == "hash");
    let token = new_token("late", BOTH, "late", None);
    let token = store.create_token(&ann.id, token, at(2)).await;
    assert!(matches!(token, Err(StoreError::UnknownUser)));
    let session = new_session("late", at(100));
    let session = store.create_session(&ann.id, session, at(2)).await;
    assert!(matches!(session, Err(StoreError::UnknownUser)));
}

#[tokio::test]
async fn an_account_that_was_not_closed_is_not_removed() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    store.remove_user(&ann.id).await.unwrap();
    assert_eq!(store.user_by_name(&ann.username).await.unwrap(), Some(ann));
}
