//! Access tokens.

use crate::common::{Db, at, make_token, name, new_token, user};
use herald_store::{Changed, CreateToken, NewToken, Scopes, TokenId, TokenOrigin};

const BOTH: Scopes = Scopes {
    api: true,
    mqtt: true,
};

#[tokio::test]
async fn a_token_works_until_it_expires_or_is_revoked() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    let scopes = Scopes {
        api: false,
        mqtt: true,
    };
    let forever = make_token(&store, &ann.id, "phone", scopes, "h1", None, at(3)).await;
    let short = make_token(&store, &ann.id, "page", BOTH, "h2", Some(at(50)), at(3)).await;
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
        let token = make_token(&store, &owner.id, hash, BOTH, hash, None, at(0)).await;
        made.push(token);
    }
    let names = |tokens: &[herald_store::Token]| -> Vec<String> {
        tokens.iter().map(|token| token.name.clone()).collect()
    };
    let first = store.list_tokens(&ann.id, None, 2).await.unwrap().items;
    assert_eq!(names(&first), ["4", "3"]);
    let rest = store
        .list_tokens(&ann.id, Some(&first[1].id), 2)
        .await
        .unwrap()
        .items;
    assert_eq!(names(&rest), ["1"]);

    let all = store.list_all_tokens(None, 3).await.unwrap().items;
    let owners: Vec<_> = all.iter().map(|(owner, _)| owner.as_str()).collect();
    assert_eq!(owners, ["ann", "ann", "bob"]);
    let rest = store
        .list_all_tokens(Some(&all[2].1.id), 3)
        .await
        .unwrap()
        .items;
    assert_eq!(rest, [(name("ann"), made[0].clone())]);
}

#[tokio::test]
async fn tokens_that_have_ended_are_forgotten_when_their_owner_makes_another() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    for (owner, hash) in [(&ann, "a"), (&bob, "b")] {
        make_token(&store, &owner.id, "old", BOTH, hash, Some(at(10)), at(0)).await;
    }
    make_token(&store, &ann.id, "new", BOTH, "c", None, at(10)).await;
    assert_eq!(
        store
            .list_tokens(&ann.id, None, 10)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    assert_eq!(
        store
            .list_tokens(&bob.id, None, 10)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    assert_eq!(store.token_owner(&TokenId::new()).await.unwrap(), None);
}

#[tokio::test]
async fn when_a_token_was_last_used_is_noted() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let used = make_token(&store, &ann.id, "used", BOTH, "u", None, at(0)).await;
    make_token(&store, &ann.id, "unused", BOTH, "n", None, at(0)).await;
    store.touch_token(&used.id, "u", at(5));
    store.touch_token(&used.id, "u", at(3));
    store.touch_token(&TokenId::new(), "none", at(6));
    store.ping().await.unwrap();
    let listed = store.list_tokens(&ann.id, None, 10).await.unwrap().items;
    let last: Vec<_> = listed.iter().map(|token| token.last_used_at).collect();
    assert_eq!(last, [None, Some(at(5))]);
    let (found, _) = store.token_by_hash("u", at(9)).await.unwrap().unwrap();
    assert_eq!(found.last_used_at, Some(at(5)));
}

#[tokio::test]
async fn what_a_token_made_ends_with_it() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    let root = make_token(&store, &ann.id, "root", BOTH, "0", None, at(0)).await;
    let other = make_token(&store, &ann.id, "other", BOTH, "x", None, at(0)).await;
    let mut parent = root.id.clone();
    let mut made = vec![root.id.clone()];
    for hash in ["1", "2"] {
        let new = NewToken {
            origin: TokenOrigin::Token(parent),
            ..new_token("child", BOTH, hash, None)
        };
        match store
            .create_token(&ann.id, new.clone(), at(1))
            .await
            .unwrap()
        {
            CreateToken::Created(token) => parent = token.id,
            refused => panic!("{refused:?}"),
        }
        made.push(parent.clone());
        // Nobody makes one from another's.
        let foreign = NewToken {
            token_hash: "f".into(),
            ..new
        };
        let foreign = store.create_token(&bob.id, foreign, at(1)).await.unwrap();
        assert_eq!(foreign, CreateToken::OriginEnded);
    }
    assert!(store.revoke_token(&ann.id, &root.id, at(2)).await.unwrap());
    let left = store.list_tokens(&ann.id, None, 10).await.unwrap().items;
    assert_eq!(left, [other]);
    let changes = store.rights_changes(0).await.unwrap();
    let recorded: Vec<_> = changes.into_iter().map(|change| change.changed).collect();
    assert_eq!(recorded.len(), 3);
    for token in made {
        let (owner, id) = (ann.username.clone(), token.to_string());
        assert!(recorded.contains(&Changed::Credential { owner, id }));
    }
}

#[tokio::test]
async fn a_user_has_no_more_than_so_many_tokens() {
    let db = Db::new().await;
    let ann = user(&db.store, "ann").await;
    let insert = "INSERT INTO tokens (id, user_id, name, scope_api, scope_mqtt, token_hash, created_at)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100)
        SELECT 'id' || a.n || '.' || b.n, (SELECT id FROM users), 'many', 1, 0, 'hash' || a.n || '.' || b.n, 0
        FROM n a CROSS JOIN n b WHERE b.n <= 10";
    db.execute(insert).await;
    let new = new_token("one more", BOTH, "h", None);
    let made = db.store.create_token(&ann.id, new, at(1)).await.unwrap();
    assert_eq!(made, CreateToken::TooMany);
}

#[tokio::test]
async fn tokens_that_were_made_one_by_another_are_few() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let mut last = make_token(&store, &ann.id, "0", BOTH, "0", None, at(0)).await;
    let derive = async |from: &TokenId, hash: &str| {
        let token = NewToken {
            origin: TokenOrigin::Token(from.clone()),
            ..new_token(hash, BOTH, hash, None)
        };
        store.create_token(&ann.id, token, at(0)).await.unwrap()
    };
    let mut depth = 1;
    loop {
        match derive(&last.id, &format!("d{depth}")).await {
            CreateToken::Created(token) => last = token,
            refused => {
                assert_eq!(refused, CreateToken::TooDeep);
                break;
            }
        }
        depth += 1;
        assert!(depth < 100, "nothing bounds the chain");
    }
    assert!(depth >= 4);
}

#[tokio::test]
async fn revoking_what_made_very_many_tokens_tells_of_each() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let first = make_token(&store, &ann.id, "first", BOTH, "first", None, at(0)).await;
    for n in 0..500 {
        let hash = format!("h{n}");
        let token = NewToken {
            origin: TokenOrigin::Token(first.id.clone()),
            ..new_token(&hash, BOTH, &hash, None)
        };
        let made = store.create_token(&ann.id, token, at(0)).await.unwrap();
        assert!(matches!(made, CreateToken::Created(_)));
    }
    let before = store.last_rights_change().await.unwrap();
    assert!(store.revoke_token(&ann.id, &first.id, at(9)).await.unwrap());
    let changes = store.rights_changes(before).await.unwrap();
    let recorded: std::collections::HashSet<_> = changes
        .into_iter()
        .map(|change| match change.changed {
            Changed::Credential { id, .. } => id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(recorded.len(), 501);
    assert!(
        store
            .list_tokens(&ann.id, None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}
