use std::{net::IpAddr, time::Duration};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use futures_util::future::join_all;
use herald_acl::{Role, Username};
use herald_api::{AccountError, TokenRequest, TokenScope};
use herald_store::{Scopes, Timestamp, TokenOrigin, UserId};

use crate::client::{Herald, PASSWORD};

const API: Scopes = Scopes {
    api: true,
    mqtt: false,
};

fn request(name: &str, ttl: Option<Duration>) -> TokenRequest<'_> {
    TokenRequest {
        name,
        scopes: API,
        ttl,
        not_after: None,
        origin: TokenOrigin::Owner,
    }
}

/// A hash of [`PASSWORD`] with the least that Argon2 can do.
fn weak_hash() -> String {
    let weak = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, weak);
    weak.hash_password(PASSWORD.as_bytes()).unwrap().to_string()
}

#[tokio::test]
async fn the_first_start_seeds_an_administrator_with_a_known_password() {
    let herald = Herald::start().await;
    let accounts = &herald.accounts;
    assert!(!accounts.default_password_stands().await.unwrap());
    assert!(accounts.seed().await.unwrap());
    assert!(!accounts.seed().await.unwrap());
    assert!(accounts.default_password_stands().await.unwrap());
    let admin = accounts.verify("admin", "admin").await.unwrap().unwrap();
    assert_eq!(admin.role, Role::Admin);

    assert!(accounts.set_password(&admin.id, PASSWORD).await.unwrap());
    assert!(!accounts.default_password_stands().await.unwrap());
}

#[tokio::test]
async fn a_server_with_accounts_is_not_seeded() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    assert!(!herald.accounts.seed().await.unwrap());
}

#[tokio::test]
async fn a_new_password_counts_at_once_and_ends_browser_sessions() {
    let herald = Herald::start().await;
    let browser = herald.browser("alice").await;
    let accounts = &herald.accounts;
    let alice = accounts.verify("alice", PASSWORD).await.unwrap().unwrap();
    let short = accounts.set_password(&alice.id, "short").await;
    assert!(matches!(short, Err(AccountError::PasswordLength)));
    assert!(
        accounts
            .set_password(&alice.id, "battery staple")
            .await
            .unwrap()
    );
    assert!(accounts.verify("alice", PASSWORD).await.unwrap().is_none());
    let new = accounts.verify("alice", "battery staple").await.unwrap();
    assert!(new.is_some());
    browser
        .get("/api/v1/auth/session")
        .send()
        .await
        .expect_problem(401, "unauthenticated");
    let nobody = accounts.set_password(&UserId::new(), PASSWORD).await;
    assert!(!nobody.unwrap());
}

#[tokio::test]
async fn a_name_can_be_taken_once() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    let name = Username::parse("alice").unwrap();
    let again = herald
        .accounts
        .create_user(name, PASSWORD, Role::User)
        .await;
    assert!(matches!(again, Err(AccountError::Taken)));
}

#[tokio::test]
async fn a_throttled_address_does_not_lock_out_others() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    let accounts = &herald.accounts;
    let mallory: IpAddr = "192.0.2.1".parse().unwrap();
    for _ in 0..10 {
        let wrong = accounts.login("alice", "wrong horse", mallory).await;
        assert!(wrong.unwrap().is_none());
    }
    let refused = accounts.login("alice", PASSWORD, mallory).await;
    assert!(matches!(refused, Err(AccountError::Throttled { .. })));
    let elsewhere = "192.0.2.2".parse().unwrap();
    let alice = accounts.login("alice", PASSWORD, elsewhere).await;
    assert!(alice.unwrap().is_some());
}

#[tokio::test]
async fn right_passwords_are_never_throttled_however_many_come_at_once() {
    let herald = Herald::start().await;
    let office: IpAddr = "192.0.2.1".parse().unwrap();
    // Quickly checked.
    let hash = weak_hash();
    let names: Vec<String> = (0..50).map(|n| format!("u{n}")).collect();
    for name in &names {
        let name = Username::parse(name).unwrap();
        let created = herald
            .store
            .create_user(&name, Role::User, &hash, Timestamp::now());
        created.await.unwrap();
    }
    let one = std::iter::repeat_n(&names[0], 200);
    let many = names.iter();
    for names in [one.collect::<Vec<_>>(), many.collect()] {
        let logins = names.iter().map(async |name| {
            loop {
                // A slow machine has the right to be busy, and to be asked again.
                match herald.accounts.login(name, PASSWORD, office).await {
                    Err(AccountError::Busy) => {}
                    answer => break answer,
                }
            }
        });
        for (user, name) in join_all(logins).await.into_iter().zip(&names) {
            assert_eq!(user.unwrap().unwrap().username.as_str(), *name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_guesses_exceed_the_limit_by_no_more_than_are_computed_at_once() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    let mallory: IpAddr = "192.0.2.1".parse().unwrap();
    let guesses: Vec<_> = (0..60)
        .map(|_| {
            let accounts = herald.accounts.clone();
            tokio::spawn(async move { accounts.login("alice", "wrong horse", mallory).await })
        })
        .collect();
    let mut looked_at = 0;
    for guess in join_all(guesses).await {
        match guess.unwrap() {
            Ok(user) => {
                assert!(user.is_none());
                looked_at += 1;
            }
            Err(error) => assert!(matches!(error, AccountError::Throttled { .. }), "{error}"),
        }
    }
    assert!((10..=12).contains(&looked_at), "{looked_at}");
}

#[tokio::test]
async fn a_new_password_cannot_look_like_a_token() {
    let herald = Herald::start().await;
    let alice = herald.user("alice").await;
    let accounts = &herald.accounts;
    let bob = Username::parse("bob").unwrap();
    let created = accounts
        .create_user(bob, "hrld_horse", Role::User)
        .await
        .unwrap_err();
    assert!(created.to_string().contains("hrld_"), "{created}");
    let changed = accounts.set_password(&alice.id, "hrld_horse").await;
    assert!(matches!(changed, Err(AccountError::PasswordLooksLikeToken)));
    let unchanged = accounts.verify("alice", PASSWORD).await.unwrap();
    assert!(unchanged.is_some());
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_say_until_it_expires() {
    let herald = Herald::start().await;
    let alice = herald.user("alice").await;
    let accounts = &herald.accounts;
    let issued = accounts
        .issue_token(&alice.id, request("script", None))
        .await
        .unwrap();
    assert!(!format!("{issued:?}").contains(&issued.secret));
    let check = |scope| accounts.check_token(&issued.secret, scope);
    let (token, user) = check(TokenScope::Api).await.unwrap().unwrap();
    assert_eq!((token, user.id), (issued.token.clone(), alice.id.clone()));
    assert!(check(TokenScope::Mqtt).await.unwrap().is_none());

    let ended = accounts
        .issue_token(&alice.id, request("ended", Some(Duration::ZERO)))
        .await
        .unwrap();
    let ended = accounts.check_token(&ended.secret, TokenScope::Api).await;
    assert!(ended.unwrap().is_none());
    for wrong in ["", "hrld_", "hrld_x", &issued.secret["hrld_".len()..]] {
        let found = accounts.check_token(wrong, TokenScope::Api).await.unwrap();
        assert!(found.is_none(), "{wrong}");
    }
}

#[tokio::test]
async fn a_sign_in_hashes_a_password_with_the_parameters_of_today() {
    let herald = Herald::start().await;
    let name = Username::parse("alice").unwrap();
    let weak = weak_hash();
    let created = herald
        .store
        .create_user(&name, Role::User, &weak, Timestamp::now());
    created.await.unwrap();
    let hash = async || {
        let alice = herald.store.user_by_name(&name).await.unwrap().unwrap();
        alice.password_hash
    };
    let alice = herald.sign_in("alice").await;
    assert!(hash().await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    // It is the same password: nothing ends, and signing in goes on.
    let session = alice.get("/api/v1/auth/session").send().await;
    session.expect(200);
    let strong = hash().await;
    herald.login("alice", PASSWORD).await.expect(200);
    assert_eq!(hash().await, strong);
    herald.login("alice", "wrong horse").await.expect(401);
}
