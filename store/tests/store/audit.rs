//! Who did what, when, and from where.

use std::time::Duration;

use crate::common::{Db, at, delete, name, send, user};
use herald_acl::{Actions, Effect, FilterTemplate, Role, Subject};
use herald_store::{
    AuditEntry, AuditFilter, CreateRule, CreateUser, Delay, RuleContent, Status, Store, Timestamp,
    UpdateUser, UserUpdate,
};

fn entry(action: &'static str, actor: &str) -> AuditEntry {
    AuditEntry {
        at: at(5),
        action: action.into(),
        actor: Some(actor.into()),
        target: None,
        address: Some("192.0.2.1".into()),
        request_id: Some("r-1".into()),
        detail: Some("why".into()),
        count: 1,
    }
}

async fn all(store: &Store) -> Vec<AuditEntry> {
    let listed = store.audit(&AuditFilter::default(), None, 100).await;
    listed.unwrap().items.into_iter().map(|e| e.entry).collect()
}

#[tokio::test]
async fn a_change_is_recorded_if_it_is_made_and_not_if_it_is_refused() {
    let Db { store, dir: _dir } = Db::new().await;
    let create = entry("user.created", "root");
    let audited = store.audited(create.clone());
    let make = async || {
        let ann = name("ann");
        let made = audited.create_user(&ann, Role::Admin, "hash", at(0));
        made.await.unwrap()
    };
    let CreateUser::Created(ann) = make().await else {
        panic!("the name is free");
    };
    assert_eq!(make().await, CreateUser::Taken);
    let once = vec![create];
    assert_eq!(all(&store).await, once);

    let demote = UserUpdate {
        role: Some(Role::User),
        ..UserUpdate::default()
    };
    let audited = store.audited(entry("user.changed", "root"));
    let refused = audited.update_user(&ann.id, demote, at(1)).await.unwrap();
    assert_eq!(refused, UpdateUser::LastAdministrator);
    assert_eq!(all(&store).await, once);
}

#[tokio::test]
async fn what_is_made_is_the_target_unless_there_is_another() {
    let Db { store, dir: _dir } = Db::new().await;
    let rule = RuleContent {
        subject: Subject::Everyone,
        actions: Actions::Both,
        effect: Effect::Allow,
        filter: FilterTemplate::parse("lamps/#").unwrap(),
        description: None,
    };
    let audited = store.audited(entry("rule.created", "root"));
    let CreateRule::Created(made) = audited.create_rule(rule, at(0)).await.unwrap() else {
        panic!("there is room");
    };
    assert_eq!(all(&store).await[0].target, Some(made.rule.id));

    let target = Some("everyone".to_owned());
    let audited = store.audited(AuditEntry {
        target: target.clone(),
        ..entry("delay.changed", "root")
    });
    let delay = Delay::Fixed { ms: 1 };
    audited.set_delay(delay, false).await.unwrap();
    assert_eq!(all(&store).await[0].target, target);
}

#[tokio::test]
async fn what_takes_many_writes_is_recorded_once() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    for _ in 0..600 {
        send(&store, &ann.id, "hello", at(0)).await;
    }
    let audited = store.audited(entry("delay.changed", "root"));
    let moved = audited.set_delay(Delay::Fixed { ms: 9 }, true).await;
    assert_eq!(moved.unwrap(), 600);
    assert_eq!(all(&store).await.len(), 1);
    let queued = store.messages(&ann.id, Some(Status::Queued), None, 1).await;
    assert_eq!(queued.unwrap().items[0].run_at, at(9));
}

#[tokio::test]
async fn entries_are_listed_page_by_page_the_newest_first_and_by_what_they_say() {
    let Db { store, dir: _dir } = Db::new().await;
    let entries = [("a", "ann"), ("b", "ann"), ("a", "bob"), ("b", "bob")];
    let entries: Vec<_> = entries.map(|(action, who)| entry(action, who)).into();
    store.record_audit(entries.clone()).await.unwrap();
    let newest_first: Vec<_> = entries.iter().rev().cloned().collect();
    assert_eq!(all(&store).await, newest_first);

    let listed = async |action: Option<&str>, actor: Option<&str>| {
        let filter = AuditFilter {
            action: action.map(str::to_owned),
            actor: actor.map(str::to_owned),
        };
        let first = store.audit(&filter, None, 1).await.unwrap().items;
        let rest = store
            .audit(&filter, Some(&first[0].id), 10)
            .await
            .unwrap()
            .items;
        let all = first.into_iter().chain(rest);
        all.map(|e| e.entry).collect::<Vec<_>>()
    };
    let of =
        |indices: &[usize]| -> Vec<_> { indices.iter().map(|i| entries[*i].clone()).collect() };
    assert_eq!(listed(Some("a"), None).await, of(&[2, 0]));
    assert_eq!(listed(None, Some("bob")).await, of(&[3, 2]));
    assert_eq!(listed(Some("b"), Some("ann")).await, of(&[1]));
}

#[tokio::test]
async fn entries_outlive_their_users_and_go_by_age() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let many = vec![entry("a", "ann"); 1500];
    store.record_audit(many).await.unwrap();
    delete(&store, &ann.id).await;
    let hour = Duration::from_secs(60 * 60);
    let (then, later) = (
        Timestamp::from_millis(Timestamp::now().as_millis() - 3_600_000),
        Timestamp::now() + hour,
    );
    assert_eq!(store.prune_audit(then).await.unwrap(), 0);
    assert_eq!(store.prune_audit(later).await.unwrap(), 1500);
    assert_eq!(all(&store).await, []);
}

#[tokio::test]
async fn past_its_number_of_entries_the_audit_forgets_the_oldest() {
    let Db { store, dir: _dir } = Db::new().await;
    let entries: Vec<_> = (0..2500)
        .map(|n| AuditEntry {
            target: Some(format!("t{n}")),
            ..entry("tried", "ann")
        })
        .collect();
    for some in entries.chunks(500) {
        store.record_audit(some.to_vec()).await.unwrap();
    }
    assert_eq!(store.cut_audit(2500).await.unwrap(), 0);
    assert_eq!(store.cut_audit(10).await.unwrap(), 2490);
    let left: Vec<_> = all(&store).await;
    let left: Vec<_> = left
        .into_iter()
        .map(|entry| entry.target.unwrap())
        .collect();
    let newest: Vec<_> = (2490..2500).rev().map(|n| format!("t{n}")).collect();
    assert_eq!(left, newest);
    assert_eq!(store.cut_audit(10).await.unwrap(), 0);
}
