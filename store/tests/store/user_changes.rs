//! Changes of accounts.

use crate::common::{Db, at, begin_session, delete, make_token, name, user};
use herald_acl::Role;
use herald_store::{CloseUser, CreateUser, Scopes, Store, UpdateUser, User, UserId, UserUpdate};

const BOTH: Scopes = Scopes {
    api: true,
    mqtt: true,
};

async fn admin(store: &Store, username: &str) -> User {
    let username = name(username);
    let created = store.create_user(&username, Role::Admin, "hash", at(0));
    match created.await.unwrap() {
        CreateUser::Created(user) => user,
        CreateUser::Taken => panic!("{username} is taken"),
    }
}

fn role(role: Role) -> UserUpdate {
    UserUpdate {
        role: Some(role),
        ..UserUpdate::default()
    }
}

fn disabled(disabled: bool) -> UserUpdate {
    UserUpdate {
        disabled: Some(disabled),
        ..UserUpdate::default()
    }
}

async fn update(store: &Store, user: &User, update: UserUpdate) -> UpdateUser {
    store.update_user(&user.id, update, at(1)).await.unwrap()
}

#[tokio::test]
async fn what_is_asked_for_changes_and_nothing_else() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    let same = update(&store, &ann, UserUpdate::default()).await;
    assert_eq!(same, UpdateUser::Updated(ann.clone()));
    let all = UserUpdate {
        role: Some(Role::Admin),
        disabled: Some(true),
        password_hash: Some("new".into()),
        keep_session: None,
        expected_hash: None,
    };
    let expected = User {
        role: Role::Admin,
        disabled: true,
        password_hash: "new".into(),
        ..ann.clone()
    };
    let updated = update(&store, &ann, all).await;
    assert_eq!(updated, UpdateUser::Updated(expected.clone()));
    let found = store.user_by_name(&ann.username).await.unwrap();
    assert_eq!(found, Some(expected));
    let untouched = store.user_by_name(&bob.username).await.unwrap();
    assert_eq!(untouched, Some(bob));
    let nobody = UserId::new();
    let unknown = store.update_user(&nobody, role(Role::User), at(1)).await;
    assert_eq!(unknown.unwrap(), UpdateUser::Unknown);
}

#[tokio::test]
async fn disabling_ends_sessions_for_good_and_stops_tokens_meanwhile() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    begin_session(&store, &ann.id, "s", at(100), at(0)).await;
    make_token(&store, &ann.id, "phone", BOTH, "t", None, at(0)).await;
    update(&store, &ann, disabled(true)).await;
    assert!(store.session("s", at(1)).await.unwrap().is_none());
    assert!(store.token_by_hash("t", at(1)).await.unwrap().is_none());
    update(&store, &ann, disabled(false)).await;
    assert!(store.session("s", at(1)).await.unwrap().is_none());
    assert!(store.token_by_hash("t", at(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn the_last_administrator_who_can_sign_in_stays_one() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (admin(&store, "ann").await, admin(&store, "bob").await);
    user(&store, "carol").await;
    let demoted = update(&store, &bob, role(Role::User)).await;
    assert!(matches!(demoted, UpdateUser::Updated(_)));
    let refused = UpdateUser::LastAdministrator;
    for change in [
        role(Role::User),
        disabled(true),
        UserUpdate {
            password_hash: Some("x".into()),
            ..disabled(true)
        },
    ] {
        assert_eq!(update(&store, &ann, change).await, refused);
    }
    let deleted = delete(&store, &ann.id).await;
    assert_eq!(deleted, CloseUser::LastAdministrator);
    let found = store.user_by_name(&ann.username).await.unwrap();
    assert_eq!(found.as_ref(), Some(&ann), "nothing has changed");
    assert_eq!(store.last_rights_change().await.unwrap(), 1);

    // An administrator who cannot sign in does not count.
    update(&store, &bob, role(Role::Admin)).await;
    update(&store, &bob, disabled(true)).await;
    assert_eq!(update(&store, &ann, disabled(true)).await, refused);
    update(&store, &bob, disabled(false)).await;
    let deleted = delete(&store, &ann.id).await;
    assert_eq!(deleted, CloseUser::Closed);
}

#[tokio::test]
async fn of_two_administrators_who_remove_each_other_at_once_one_stays() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (admin(&store, "ann").await, admin(&store, "bob").await);
    let (a, b) = tokio::join!(
        store.close_user(&ann.id, at(1)),
        store.update_user(&bob.id, role(Role::User), at(1)),
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    let refused = (
        a == CloseUser::LastAdministrator,
        b == UpdateUser::LastAdministrator,
    );
    assert_ne!(refused.0, refused.1, "{a:?} {b:?}");
}

#[tokio::test]
async fn a_password_is_hashed_anew_only_if_it_has_not_changed() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    begin_session(&store, &ann.id, "s", at(100), at(0)).await;
    let rehash = async |old, new| store.rehash_password(&ann.id, old, new).await.unwrap();
    let hash = async || {
        let found = store.user_by_name(&ann.username).await.unwrap();
        found.unwrap().password_hash
    };
    rehash("hash", "better").await;
    assert_eq!(hash().await, "better");
    rehash("hash", "late").await;
    assert_eq!(hash().await, "better");
    assert!(store.session("s", at(1)).await.unwrap().is_some());
    assert_eq!(store.last_rights_change().await.unwrap(), 0);
}

#[tokio::test]
async fn a_password_that_is_not_the_expected_one_any_more_is_not_overwritten() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let reset = store.set_password(&ann.id, "reset", None, at(1)).await;
    assert!(reset.unwrap());
    let own = UserUpdate {
        password_hash: Some("own".into()),
        expected_hash: Some(ann.password_hash.clone()),
        ..UserUpdate::default()
    };
    assert_eq!(
        update(&store, &ann, own.clone()).await,
        UpdateUser::PasswordChanged
    );
    let expected_hash = Some("reset".to_owned());
    let own = UserUpdate {
        expected_hash,
        ..own
    };
    assert!(matches!(
        update(&store, &ann, own).await,
        UpdateUser::Updated(_)
    ));
}
