//! Access rules.

use crate::common::{Db, at, name};
use herald_acl::{Actions, Effect, FilterTemplate, Policy, Role, Rule, Subject};
use herald_store::{
    CreateRule, MAX_RULES, RuleContent, RuleId, Store, StoreError, StoredRule, Timestamp,
};
use rstest::rstest;

fn content(subject: Subject, actions: Actions, effect: Effect, filter: &str) -> RuleContent {
    RuleContent {
        subject,
        actions,
        effect,
        filter: FilterTemplate::parse(filter).unwrap(),
        description: Some(format!("about {filter}")),
    }
}

fn lamp() -> RuleContent {
    let bob = Subject::User(name("bob"));
    content(bob, Actions::Both, Effect::Allow, "lamps/%u/#")
}

async fn create(store: &Store, content: RuleContent) -> StoredRule {
    match store.create_rule(content, at(5)).await.unwrap() {
        CreateRule::Created(rule) => rule,
        CreateRule::TooMany => panic!("there are too many rules"),
    }
}

fn id(rule: &StoredRule) -> RuleId {
    RuleId::from_string(rule.rule.id.as_str())
}

#[tokio::test]
async fn a_new_database_has_the_built_in_rules() {
    let Db { store, dir: _dir } = Db::new().await;
    let mut builtin = Policy::builtin_rules();
    builtin.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(store.rules().await.unwrap(), builtin);
    for stored in store.list_rules(None, 100).await.unwrap().items {
        assert!(stored.description.is_some(), "{stored:?}");
        let age = Timestamp::now().as_millis() - stored.created_at.as_millis();
        assert!((0..3_600_000).contains(&age), "{stored:?}");
    }
}

#[tokio::test]
async fn a_rule_is_made_found_replaced_and_deleted() {
    let Db { store, dir: _dir } = Db::new().await;
    let made = create(&store, lamp()).await;
    assert_eq!(made.created_at, at(5));
    assert_eq!(made.rule.filter.as_str(), "lamps/%u/#");
    let found = store.rule(&id(&made)).await.unwrap();
    assert_eq!(found, Some(made.clone()));

    let admins = Subject::Role(Role::Admin);
    let deny = RuleContent {
        description: None,
        ..content(admins, Actions::Publish, Effect::Deny, "$SYS/%%/x")
    };
    let replaced = store
        .replace_rule(&id(&made), deny.clone(), at(6))
        .await
        .unwrap();
    let expected = StoredRule {
        rule: Rule {
            id: made.rule.id.clone(),
            subject: deny.subject,
            actions: deny.actions,
            effect: deny.effect,
            filter: deny.filter,
        },
        description: None,
        created_at: at(5),
    };
    assert_eq!(replaced.as_ref(), Some(&expected));
    assert_eq!(store.rule(&id(&made)).await.unwrap(), Some(expected));

    assert!(store.delete_rule(&id(&made), at(6)).await.unwrap());
    assert!(!store.delete_rule(&id(&made), at(6)).await.unwrap());
    assert_eq!(store.rule(&id(&made)).await.unwrap(), None);
    let gone = store.replace_rule(&id(&made), lamp(), at(6)).await.unwrap();
    assert_eq!(gone, None);
}

#[tokio::test]
async fn every_subject_action_and_effect_is_kept() {
    let Db { store, dir: _dir } = Db::new().await;
    for subject in [
        Subject::Everyone,
        Subject::Role(Role::User),
        Subject::Role(Role::Admin),
        Subject::User(name("nobody-yet")),
    ] {
        for actions in [Actions::Publish, Actions::Subscribe, Actions::Both] {
            for effect in [Effect::Allow, Effect::Deny] {
                let made = create(&store, content(subject.clone(), actions, effect, "a")).await;
                let found = store.rule(&id(&made)).await.unwrap();
                assert_eq!(found, Some(made));
            }
        }
    }
}

#[tokio::test]
async fn the_built_in_rules_can_be_changed_and_deleted_and_do_not_come_back() {
    let db = Db::new().await;
    let inbox = RuleId::from_string("builtin-inbox");
    let replaced = db.store.replace_rule(&inbox, lamp(), at(6)).await.unwrap();
    assert!(replaced.is_some());
    for rule in Policy::builtin_rules() {
        if rule.id != inbox.as_str() {
            let id = RuleId::from_string(rule.id);
            assert!(db.store.delete_rule(&id, at(6)).await.unwrap());
        }
    }
    db.store.close().await;
    let left = db
        .open_again()
        .await
        .list_rules(None, 10)
        .await
        .unwrap()
        .items;
    assert_eq!(left, [replaced.unwrap()]);
}

#[tokio::test]
async fn rules_are_listed_page_by_page() {
    let Db { store, dir: _dir } = Db::new().await;
    for _ in 0..3 {
        create(&store, lamp()).await;
    }
    let mut seen: Vec<StoredRule> = Vec::new();
    loop {
        let after = seen.last().map(id);
        let page = store.list_rules(after.as_ref(), 2).await.unwrap().items;
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    let all: Vec<_> = seen.into_iter().map(|stored| stored.rule).collect();
    assert_eq!(all, store.rules().await.unwrap());
    assert_eq!(all.len(), 3 + Policy::builtin_rules().len());
}

#[tokio::test]
async fn there_are_no_more_rules_than_can_be_looked_at() {
    let Db { store, dir: _dir } = Db::new().await;
    let room = MAX_RULES as usize - Policy::builtin_rules().len();
    for _ in 0..room {
        create(&store, lamp()).await;
    }
    let refused = store.create_rule(lamp(), at(5)).await.unwrap();
    assert_eq!(refused, CreateRule::TooMany);
    let inbox = RuleId::from_string("builtin-inbox");
    assert!(store.delete_rule(&inbox, at(6)).await.unwrap());
    create(&store, lamp()).await;
    assert_eq!(store.rules().await.unwrap().len(), MAX_RULES as usize);
}

#[rstest]
#[case::filter("UPDATE acl_rules SET filter = 'users/%x' WHERE id = 'builtin-inbox'")]
#[case::username(
    "UPDATE acl_rules SET subject_kind = 'user', subject = 'No Name' WHERE id = 'builtin-inbox'"
)]
#[case::role(
    "UPDATE acl_rules SET subject_kind = 'role', subject = 'owner' WHERE id = 'builtin-inbox'"
)]
#[tokio::test]
async fn a_rule_that_was_edited_into_none_is_an_error_that_names_it(#[case] edit: &'static str) {
    let db = Db::new().await;
    db.execute(edit).await;
    let error = db.store.rules().await.unwrap_err();
    assert!(matches!(error, StoreError::InvalidRule { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("builtin-inbox"), "{text}");
    // It can be mended.
    let inbox = RuleId::from_string("builtin-inbox");
    db.store.replace_rule(&inbox, lamp(), at(6)).await.unwrap();
    db.store.rules().await.unwrap();
}
