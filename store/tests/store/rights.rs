//! What has changed of who may do what.

use crate::common::{Db, at, delete, make_token, name, user};
use herald_acl::{Actions, Effect, FilterTemplate, Role, Subject};
use herald_store::{
    Changed, CreateRule, CreateToken, CreateUser, NewToken, RightsChange, RuleContent, RuleId,
    Scopes, Store, StoreError, TokenId, TokenOrigin, UpdateUser, UserId, UserUpdate,
};

/// What has changed after `seen`, which is moved on.
async fn changed(store: &Store, seen: &mut i64) -> Vec<Changed> {
    let changes = store.rights_changes(*seen).await.unwrap();
    assert!(changes.is_sorted_by(|a, b| a.id < b.id), "{changes:?}");
    *seen = changes.last().map_or(*seen, |change| change.id);
    assert_eq!(store.last_rights_change().await.unwrap(), *seen);
    changes.into_iter().map(|change| change.changed).collect()
}

pub(crate) fn rule() -> RuleContent {
    RuleContent {
        subject: Subject::Everyone,
        actions: Actions::Both,
        effect: Effect::Deny,
        filter: FilterTemplate::parse("x").unwrap(),
        description: None,
    }
}

#[tokio::test]
async fn a_new_database_has_no_change_of_rights() {
    let Db { store, dir: _dir } = Db::new().await;
    assert_eq!(store.last_rights_change().await.unwrap(), 0);
    assert_eq!(store.rights_changes(0).await.unwrap(), []);
}

#[tokio::test]
async fn every_change_of_a_rule_is_recorded() {
    let Db { store, dir: _dir } = Db::new().await;
    let mut seen = 0;
    let CreateRule::Created(made) = store.create_rule(rule(), at(1)).await.unwrap() else {
        panic!("there are too many rules");
    };
    assert_eq!(changed(&store, &mut seen).await, [Changed::Policy]);
    let id = RuleId::from_string(made.rule.id);
    store.replace_rule(&id, rule(), at(2)).await.unwrap();
    assert_eq!(changed(&store, &mut seen).await, [Changed::Policy]);
    store.delete_rule(&id, at(3)).await.unwrap();
    assert_eq!(changed(&store, &mut seen).await, [Changed::Policy]);
    // What changes nothing is not recorded.
    store.delete_rule(&id, at(4)).await.unwrap();
    store.replace_rule(&id, rule(), at(4)).await.unwrap();
    assert_eq!(changed(&store, &mut seen).await, []);
}

#[tokio::test]
async fn a_revoked_token_is_recorded_with_its_owner() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    let scopes = Scopes {
        api: false,
        mqtt: true,
    };
    let token = make_token(&store, &ann.id, "phone", scopes, "hash", None, at(0)).await;
    let mut seen = 0;
    store.revoke_token(&bob.id, &token.id, at(1)).await.unwrap();
    let none = TokenId::new();
    store.revoke_token(&ann.id, &none, at(1)).await.unwrap();
    assert_eq!(changed(&store, &mut seen).await, []);
    store.revoke_token(&ann.id, &token.id, at(1)).await.unwrap();
    let revoked = Changed::Credential {
        owner: name("ann"),
        id: token.id.to_string(),
    };
    assert_eq!(changed(&store, &mut seen).await, [revoked]);
}

#[tokio::test]
async fn a_change_of_an_account_is_recorded() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    // Or ann could not stop being one.
    let root = name("root");
    let root = store.create_user(&root, Role::Admin, "hash", at(0)).await;
    root.unwrap();
    let mut seen = 0;
    let set = store.set_password(&ann.id, "new", None, at(1));
    assert!(set.await.unwrap());
    let password = Changed::Password(name("ann"));
    assert_eq!(
        changed(&store, &mut seen).await,
        std::slice::from_ref(&password)
    );

    let all = Changed::User(name("ann"));
    let updates = [
        (Some(Role::Admin), None, None, vec![all.clone()]),
        (Some(Role::Admin), Some(false), None, vec![]),
        (
            Some(Role::User),
            Some(true),
            Some("newer".to_owned()),
            vec![password, all.clone()],
        ),
    ];
    for (role, disabled, password_hash, expected) in updates {
        let update = UserUpdate {
            role,
            disabled,
            password_hash,
            keep_session: None,
            expected_hash: None,
        };
        store.update_user(&ann.id, update, at(2)).await.unwrap();
        assert_eq!(changed(&store, &mut seen).await, expected);
    }

    delete(&store, &ann.id).await;
    assert_eq!(changed(&store, &mut seen).await, [all]);
    delete(&store, &ann.id).await;
    let nobody = UserId::new();
    store.set_password(&nobody, "x", None, at(4)).await.unwrap();
    assert_eq!(changed(&store, &mut seen).await, []);
}

#[tokio::test]
async fn what_another_process_changes_is_read_too() {
    let db = Db::new().await;
    let other = db.open_again().await;
    other.create_rule(rule(), at(1)).await.unwrap();
    let changes = db.store.rights_changes(0).await.unwrap();
    let expected = RightsChange {
        id: 1,
        changed: Changed::Policy,
    };
    assert_eq!(changes, [expected]);
}

/// Makes as many changes as are kept, numbered from 1.
const FILL: &str =
    "INSERT INTO rights_changes (id, kind, at)
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
    SELECT 1 + a.i + 100 * b.i + 10000 * c.i, 'policy', 0 FROM n a CROSS JOIN n b CROSS JOIN n c WHERE c.i < 10;
    UPDATE counters SET value = 100000 WHERE name = 'rights'";

#[tokio::test]
async fn old_changes_are_forgotten_and_reading_them_says_so() {
    let db = Db::new().await;
    db.execute(FILL).await;
    assert_eq!(db.store.rights_changes(0).await.unwrap().len(), 100_000);
    db.store.create_rule(rule(), at(1)).await.unwrap();
    let kept = db.store.rights_changes(1).await.unwrap();
    assert_eq!(kept.len(), 100_000);
    assert_eq!(kept.first().map(|change| change.id), Some(2));
    let missed = db.store.rights_changes(0).await;
    assert!(matches!(missed, Err(StoreError::RightsForgotten)));
}

#[tokio::test]
async fn numbers_follow_one_another_and_what_is_refused_takes_none() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, root) = (user(&store, "ann").await, name("root"));
    let CreateUser::Created(root) = store
        .create_user(&root, Role::Admin, "hash", at(0))
        .await
        .unwrap()
    else {
        panic!("the name is free")
    };
    while let CreateRule::Created(_) = store.create_rule(rule(), at(1)).await.unwrap() {}
    let rules = store.last_rights_change().await.unwrap();
    let last_administrator = UserUpdate {
        disabled: Some(true),
        ..UserUpdate::default()
    };
    let refused = store.update_user(&root.id, last_administrator, at(2)).await;
    assert_eq!(refused.unwrap(), UpdateUser::LastAdministrator);
    let (mut chain, mut last) = (vec![], TokenOrigin::Owner);
    for hash in ["a", "b", "c"] {
        let token = NewToken {
            name: "token".into(),
            scopes: Scopes::default(),
            token_hash: hash.into(),
            expires_at: None,
            origin: last.clone(),
        };
        let made = store.create_token(&ann.id, token, at(3)).await.unwrap();
        let CreateToken::Created(token) = made else {
            panic!("{made:?}")
        };
        last = TokenOrigin::Token(token.id.clone());
        chain.push(token.id);
    }
    store.revoke_token(&ann.id, &chain[0], at(4)).await.unwrap();
    store
        .set_password(&ann.id, "new", None, at(5))
        .await
        .unwrap();
    let changes = store.rights_changes(0).await.unwrap();
    let numbers = changes.iter().map(|change| change.id);
    assert!(numbers.eq(1..=rules + 4));
}

#[tokio::test]
async fn a_change_that_is_missing_is_noticed() {
    let db = Db::new().await;
    for _ in 0..3 {
        db.store.create_rule(rule(), at(1)).await.unwrap();
    }
    db.execute("DELETE FROM rights_changes WHERE id = 1").await;
    let missed = db.store.rights_changes(0).await;
    assert!(matches!(missed, Err(StoreError::RightsForgotten)));
    assert_eq!(db.store.rights_changes(1).await.unwrap().len(), 2);
}

/// A database that is older than what was read of it, as after a failover, will give the same numbers again.
#[tokio::test]
async fn changes_that_the_database_has_lost_are_noticed() {
    let db = Db::new().await;
    for _ in 0..3 {
        db.store.create_rule(rule(), at(1)).await.unwrap();
    }
    assert_eq!(db.store.rights_changes(3).await.unwrap(), []);
    db.execute(
        "DELETE FROM rights_changes WHERE id = 3;
        UPDATE counters SET value = 2 WHERE name = 'rights'",
    )
    .await;
    let lost = db.store.rights_changes(3).await;
    assert!(matches!(lost, Err(StoreError::RightsForgotten)), "{lost:?}");
    db.store.create_rule(rule(), at(2)).await.unwrap();
    assert_eq!(db.store.rights_changes(2).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_number_is_not_used_again() {
    let db = Db::new().await;
    db.store.create_rule(rule(), at(1)).await.unwrap();
    db.execute("DELETE FROM rights_changes").await;
    db.store.create_rule(rule(), at(1)).await.unwrap();
    assert_eq!(db.store.rights_changes(1).await.unwrap()[0].id, 2);
}
