//! All that the store does.

use std::sync::Arc;
use std::time::Duration;

use herald_acl::{Actions, Effect, FilterTemplate, Role, Subject};
use herald_store::{
    Acknowledged, AuditFilter, CreateRule, CreateUser, DeadFilter, Delay, Job, NewSession,
    NewToken, Outcome, RetainedChange, RetainedMessage, RuleContent, RuleId, Scopes, Seq, Status,
    Store, Timestamp, TokenOrigin, UserId,
};

const LEASE: Duration = Duration::from_secs(30);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) async fn user(store: &Store, number: usize) -> UserId {
    let name = format!("user{number}").parse().unwrap();
    let created = store.create_user(&name, Role::User, "", at(0)).await;
    match created.unwrap() {
        CreateUser::Created(user) => user.id,
        CreateUser::Taken => panic!("{name} is taken"),
    }
}

async fn claim(store: &Store, count: usize) -> Vec<Job> {
    let mut jobs = vec![];
    while jobs.len() < count {
        jobs.extend(store.claim(10, LEASE, at(1)).await.unwrap());
    }
    jobs
}

/// Everything that happens to a message from its acceptance until it is forgotten.
pub(crate) async fn whole_way(store: &Store, users: &[UserId]) {
    store.release_all().await.unwrap();
    store.ahead_of_clock(at(0)).await.unwrap();
    let delay = Delay::Fixed { ms: 0 };
    store.set_delay(delay, false).await.unwrap();
    for user in users {
        let key = Some("key".to_owned());
        for key in [None, None, None, key.clone(), key] {
            store
                .accept(user, "hello".into(), key, at(0))
                .await
                .unwrap();
        }
    }
    let jobs = claim(store, 4 * users.len()).await;
    store.renew(&jobs[0], LEASE, at(2)).await.unwrap();
    let later = store.retry_later(&jobs[0], "late".into(), at(3), at(2));
    assert!(later.await.unwrap());
    let cancelled = store
        .remove_message(&jobs[0].user_id, &jobs[0].id, None, at(2))
        .await;
    cancelled.unwrap();
    for job in &jobs[1..] {
        let error = "dead".to_owned();
        let finished = store.finish(job, Outcome::Dead { error }, at(2)).await;
        finished.unwrap().unwrap();
    }
    store.retry(&jobs[1].id, at(3)).await.unwrap();
    store.put_back(&jobs[1], "out".into(), at(3)).await.unwrap();
    let of_one = DeadFilter {
        user: Some(users[0].clone()),
        ..DeadFilter::default()
    };
    store.retry_dead(&of_one, None, at(3)).await.unwrap();
    store.next_due().await.unwrap();
    store.counts().await.unwrap();
    store.oldest_due().await.unwrap();
    let mut acks = vec![];
    for user in users {
        let client = Arc::from("client");
        store.cursor(user, &client, Seq::NONE, at(3)).await.unwrap();
        store
            .set_cursor(user, &client, Seq(1), at(3))
            .await
            .unwrap();
        store.skip(user, &client, Seq(1), at(3)).await.unwrap();
        store.position(user).await.unwrap();
        let inbox = store.notifications(user, Seq::NONE, 10, 1000).await;
        inbox.unwrap();
        // Those under way are few, and all of an index.
        for status in Status::ALL.into_iter().filter(|s| *s != Status::Processing) {
            let status = Some(status);
            store.messages(user, status, None, 10).await.unwrap();
            for user in [None, Some(user)] {
                store.all_messages(status, user, None, 10).await.unwrap();
            }
        }
        store.messages(user, None, None, 10).await.unwrap();
        store.list_notifications(user, Seq::NONE, 10).await.unwrap();
        let numbers: Vec<_> = (1..9).map(|number| (user.clone(), Seq(number))).collect();
        let numbered = store.numbered_notifications(&numbers, 1000).await;
        assert!(!numbered.unwrap().items.is_empty());
        store.newest_numbers(users).await.unwrap();
        store.message(user, &jobs[0].id).await.unwrap();
        acks.push(Acknowledged {
            user: user.clone(),
            client_id: Some(client),
            up_to: Seq(2),
        });
    }
    store.failed_attempts(&jobs[0].id, 10).await.unwrap();
    for job in &jobs {
        let removed = store.remove_message(&job.user_id, &job.id, None, at(4));
        removed.await.unwrap();
    }
    store.acknowledge(&acks, at(4)).await.unwrap();
    store.prune(at(100)).await.unwrap();
    store.ping().await.unwrap();
}

/// Everything that happens to what an administrator sets.
pub(crate) async fn settings(store: &Store, user: &UserId) {
    store.delay().await.unwrap();
    let own = Some(Delay::Fixed { ms: 1 });
    store.set_user_delay(user, own, false).await.unwrap();
    store.user_delay(user).await.unwrap();
    store.pause().await.unwrap();
    store.is_paused().await.unwrap();
    store.resume().await.unwrap();
    let name = "user0".parse().unwrap();
    store.user_by_name(&name).await.unwrap();
    store.stored_bytes(&[user]).await.unwrap();
    store.begin_epoch().await.unwrap();
    store.inbox_progress().await.unwrap();
}

/// Everything that happens to access rules, and to what is retained.
pub(crate) async fn rules_and_retained(store: &Store) {
    let content = RuleContent {
        subject: Subject::Everyone,
        actions: Actions::Both,
        effect: Effect::Allow,
        filter: FilterTemplate::parse("lamps/#").unwrap(),
        description: None,
    };
    let created = store.create_rule(content.clone(), at(1)).await.unwrap();
    let CreateRule::Created(created) = created else {
        panic!("there is room")
    };
    let id = RuleId::from_string(created.rule.id);
    store.rule(&id).await.unwrap();
    store.replace_rule(&id, content, at(2)).await.unwrap();
    store.rules().await.unwrap();
    for after in [None, Some(&id)] {
        store.list_rules(after, 10).await.unwrap();
    }
    store.delete_rule(&id, at(3)).await.unwrap();
    store.rights_changes(0).await.unwrap();
    store.last_rights_change().await.unwrap();

    let lamp = RetainedMessage {
        topic: "lamp".into(),
        payload: "on".into(),
        attributes: String::new(),
        expires_at: None,
    };
    let topic = lamp.topic.clone();
    let changes = vec![RetainedChange::Set(lamp), RetainedChange::Clear { topic }];
    store.save_retained(changes).await.unwrap();
    store.retained(at(4)).await.unwrap();
    store.last_retained_change().await.unwrap();
    store.retained_since(0).await.unwrap();
    store.retained_of(&["lamp"]).await.unwrap();
    store.forget_expired_retained(at(5)).await.unwrap();
}

/// Everything that happens to what somebody signs in with, and to the account in the end.
pub(crate) async fn signed_in(store: &Store, user: &UserId) {
    let session = NewSession {
        password_hash: String::new(),
        secret_hash: "session".into(),
        csrf_token: "csrf".into(),
        address: "192.0.2.1".into(),
        user_agent: None,
        expires_at: at(100),
    };
    store.create_session(user, session, at(1)).await.unwrap();
    let session = store.session("session", at(2)).await.unwrap().unwrap();
    store.touch_session(&session, at(3));
    store.list_sessions(user, None, 10, at(3)).await.unwrap();
    let origins = [TokenOrigin::Owner, TokenOrigin::Session(session.id.clone())];
    for (origin, hash) in origins.into_iter().zip(["own", "session's"]) {
        let token = NewToken {
            name: "token".into(),
            scopes: Scopes::default(),
            token_hash: hash.into(),
            expires_at: Some(at(100)),
            origin,
        };
        store.create_token(user, token, at(3)).await.unwrap();
        let (token, _) = store.token_by_hash(hash, at(4)).await.unwrap().unwrap();
        store.touch_token(&token.id, hash, at(4));
        if hash == "own" {
            store.revoke_token(user, &token.id, at(5)).await.unwrap();
        }
    }
    store.list_tokens(user, None, 10).await.unwrap();
    store.list_all_tokens(None, 10).await.unwrap();
    store.list_users(None, 10).await.unwrap();
    store.end_session(user, &session.id, at(6)).await.unwrap();
    for action in [None, Some("a".to_owned())] {
        for actor in [None, Some("ann".to_owned())] {
            let action = action.clone();
            let filter = AuditFilter { action, actor };
            store.audit(&filter, None, 10).await.unwrap();
        }
    }
    store.prune_audit(at(7)).await.unwrap();
    store.list_user_delays(None, 10).await.unwrap();
    store.close_user(user, at(8)).await.unwrap();
    store.empty_user(user).await.unwrap();
    store.remove_user(user).await.unwrap();
}
