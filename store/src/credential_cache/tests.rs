use herald_acl::Role;

use super::*;
use crate::{Scopes, SessionId, TokenId, UserId};

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

fn user(username: &str) -> User {
    User {
        id: UserId::from_string(username),
        username: name(username),
        role: Role::User,
        password_hash: "hash".into(),
        disabled: false,
        created_at: Timestamp::from_millis(0),
    }
}

fn token(id: &str, owner: &str) -> (Token, User) {
    let token = Token {
        id: TokenId::from_string(id),
        name: "phone".into(),
        scopes: Scopes::default(),
        created_at: Timestamp::from_millis(0),
        expires_at: None,
        last_used_at: None,
    };
    (token, user(owner))
}

fn session(hash: &str, owner: &str) -> Session {
    Session {
        id: SessionId::from_string(format!("session {hash}")),
        secret_hash: hash.into(),
        user: user(owner),
        csrf_token: "csrf".into(),
        last_used_at: Timestamp::from_millis(0),
        expires_at: Timestamp::from_millis(100),
    }
}

fn credential(id: &str) -> Changed {
    Changed::Credential {
        owner: name("ann"),
        id: id.into(),
    }
}

fn change(id: i64, changed: Changed) -> RightsChange {
    RightsChange { id, changed }
}

/// A clock's time.
fn at(millis: u64) -> Moment {
    Moment::default().after(Duration::from_millis(millis))
}

/// One that knows of all changes up to the third, with tokens and sessions of two users, at the time 0.
fn full() -> CredentialCache {
    let cache = CredentialCache::new();
    cache.follow(3, &[], at(0));
    for (owner, id) in [("ann", "a"), ("ann", "b"), ("bob", "c")] {
        cache.keep_token(cache.look_up(), id, &token(id, owner), at(0));
        cache.keep_session(cache.look_up(), &session(id, owner), at(0));
    }
    assert_eq!(known(&cache, at(0)), ["a", "b", "c", "a", "b", "c"]);
    cache
}

/// The hashes of the tokens and then of the sessions that are known.
fn known(cache: &CredentialCache, now: Moment) -> Vec<&'static str> {
    let hashes = ["a", "b", "c"];
    let tokens = hashes
        .into_iter()
        .filter(|hash| cache.token(hash, now).is_some());
    let sessions = hashes
        .into_iter()
        .filter(|hash| cache.session(hash, now).is_some());
    tokens.chain(sessions).collect()
}

#[test]
fn what_is_remembered_is_what_was_found() {
    let cache = full();
    assert_eq!(cache.token("a", at(0)), Some(token("a", "ann")));
    assert!(cache.session("c", at(0)) == Some(session("c", "bob")));
    assert_eq!(cache.token("other", at(0)), None);
}

#[test]
fn nothing_is_answered_before_changes_were_read_or_when_that_is_long_ago() {
    let cache = CredentialCache::new();
    cache.keep_token(cache.look_up(), "a", &token("a", "ann"), at(0));
    assert_eq!(known(&cache, at(0)), [""; 0]);

    let cache = full();
    assert_eq!(known(&cache, at(749)).len(), 6);
    assert_eq!(known(&cache, at(750)), [""; 0]);
    // When they were asked for counts, not when the answer came.
    cache.follow(3, &[], at(600));
    assert_eq!(known(&cache, at(1349)).len(), 6);
    assert_eq!(known(&cache, at(1350)), [""; 0]);
    // A slow answer to an earlier question takes nothing away.
    cache.follow(3, &[], at(500));
    assert_eq!(known(&cache, at(1349)).len(), 6);
}

#[test]
fn what_a_change_may_end_is_forgotten_and_nothing_else() {
    for (changed, left) in [
        (credential("a"), &["b", "c", "a", "b", "c"][..]),
        (credential("session a"), &["a", "b", "c", "b", "c"]),
        (Changed::User(name("ann")), &["c", "c"]),
        (Changed::Password(name("ann")), &["c", "c"]),
        (Changed::Forgotten(name("bob")), &["a", "b", "a", "b"]),
        (Changed::Policy, &["a", "b", "c", "a", "b", "c"]),
    ] {
        let cache = full();
        cache.forget([&changed]);
        assert_eq!(known(&cache, at(0)), left, "by this process: {changed:?}");
        let cache = full();
        cache.follow(3, &[change(4, changed.clone())], at(0));
        assert_eq!(known(&cache, at(0)), left, "by another one: {changed:?}");
    }
}

#[test]
fn what_was_looked_up_before_it_was_forgotten_does_not_count() {
    let cache = full();
    for forget in [
        |cache: &CredentialCache| cache.forget([&credential("d"), &credential("session d")]),
        |cache: &CredentialCache| cache.forget([&Changed::User(name("ann"))]),
        |cache: &CredentialCache| cache.forget_all(),
    ] {
        let look_up = cache.look_up();
        forget(&cache);
        cache.keep_token(look_up, "d", &token("d", "ann"), at(0));
        cache.keep_session(look_up, &session("d", "ann"), at(0));
        assert_eq!(cache.token("d", at(0)), None);
        assert!(cache.session("d", at(0)).is_none());
        cache.keep_token(cache.look_up(), "d", &token("d", "ann"), at(0));
        cache.keep_session(cache.look_up(), &session("d", "ann"), at(0));
        assert!(cache.token("d", at(0)).is_some());
        assert!(cache.session("d", at(0)).is_some());
    }
    // Whoever changes meanwhile is no matter.
    let look_up = cache.look_up();
    cache.forget([&Changed::User(name("bob"))]);
    cache.keep_token(look_up, "d", &token("d", "ann"), at(0));
    assert!(cache.token("d", at(0)).is_some());
}

#[test]
fn all_is_forgotten_rather_than_too_much_remembered_of_what_was() {
    let cache = full();
    for number in 0..ROOM {
        cache.forget([&credential(&number.to_string())]);
    }
    assert_eq!(known(&cache, at(0)).len(), 6);
    cache.forget([&credential("one more")]);
    assert_eq!(known(&cache, at(0)), [""; 0]);
    assert_eq!(cache.state().forgotten.len(), 1);
}

#[test]
fn all_is_forgotten_if_a_change_may_have_been_missed() {
    let cache = full();
    cache.follow(4, &[], at(0));
    assert_eq!(known(&cache, at(0)), [""; 0]);

    let cache = full();
    cache.stop();
    assert_eq!(known(&cache, at(0)), [""; 0]);
    cache.keep_token(cache.look_up(), "a", &token("a", "ann"), at(0));
    cache.follow(3, &[], at(0));
    assert_eq!(known(&cache, at(0)), [""; 0]);

    // They were not asked for in time.
    let cache = full();
    cache.follow(3, &[], at(750));
    assert_eq!(known(&cache, at(750)), [""; 0]);

    // What was known already is read again.
    let cache = full();
    cache.follow(
        1,
        &[change(2, Changed::Policy), change(3, Changed::Policy)],
        at(0),
    );
    assert_eq!(known(&cache, at(0)).len(), 6);
}

#[test]
fn it_is_read_again_after_a_while() {
    let cache = full();
    for asked in (0..60_000).step_by(500) {
        cache.follow(3, &[], at(asked));
    }
    assert_eq!(known(&cache, at(59_999)).len(), 6);
    assert_eq!(known(&cache, at(60_000)), [""; 0]);
}

#[test]
fn a_use_is_remembered() {
    let cache = full();
    cache.touch_token("a", Timestamp::from_millis(7));
    cache.touch_session("a", Timestamp::from_millis(8));
    let (token, _) = cache.token("a", at(0)).unwrap();
    assert_eq!(token.last_used_at, Some(Timestamp::from_millis(7)));
    let session = cache.session("a", at(0)).unwrap();
    assert_eq!(session.last_used_at, Timestamp::from_millis(8));
}

#[test]
fn only_so_many_are_remembered() {
    let cache = full();
    for number in 0..ROOM * 2 {
        let hash = number.to_string();
        cache.keep_token(cache.look_up(), &hash, &token(&hash, "ann"), at(0));
        cache.keep_session(cache.look_up(), &session(&hash, "ann"), at(0));
    }
    let state = cache.state();
    assert!(
        state.tokens.len() <= ROOM + ROOM / 100,
        "{}",
        state.tokens.len()
    );
    assert!(
        state.sessions.len() <= ROOM + ROOM / 100,
        "{}",
        state.sessions.len()
    );
}

#[test]
fn a_transaction_that_ends_forgets_what_it_may_have_ended() {
    let cache = Arc::new(full());
    let mut ending = Ending::new(Arc::clone(&cache));
    ending.add(&[credential("a")]);
    assert_eq!(known(&cache, at(0)).len(), 6);
    drop(ending);
    assert_eq!(known(&cache, at(0)), ["b", "c", "a", "b", "c"]);
}
