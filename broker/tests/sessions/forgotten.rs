//! A user who is gone, and another who gets the name.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Actions;
use herald_broker::{
    Authenticate, Broker, Host, HostError, Identity, Limits, Login, LoginRefusal, Retain,
    RetainedChange, RetainedMessage,
};
use parking_lot::Mutex;

use crate::{
    client::{
        Answer::{Disconnect, Puback, Suback},
        Client,
    },
    common::{
        encode::{Connect, V5, Will, publish, subscribe},
        hosts::{self, Hosts},
        inbox::notification,
    },
    held::Held,
    live::all,
    setup::{alice, ask, connect, next, next_is, open, until},
};

/// Accounts that are deleted and made again, and what is kept for them.
#[derive(Default)]
struct Accounts {
    generation: AtomicU32,
    kept: Mutex<BTreeSet<String>>,
}

impl Authenticate for Accounts {
    fn authenticate(&self, login: Login) -> BoxFuture<'static, Result<Identity, LoginRefusal>> {
        let user_id = format!(
            "{}-{}",
            login.username,
            self.generation.load(Ordering::Relaxed)
        );
        let identity = Hosts.authenticate(login);
        let other_key = move |identity: Identity| Identity {
            user_id: user_id.as_str().into(),
            ..identity
        };
        async move { identity.await.map(other_key) }.boxed()
    }
}

impl Retain for Accounts {
    fn load(&self) -> BoxFuture<'static, Result<Vec<RetainedMessage>, HostError>> {
        async { Ok(vec![]) }.boxed()
    }

    fn save(&self, changes: Vec<RetainedChange>) -> BoxFuture<'static, Result<(), HostError>> {
        let mut kept = self.kept.lock();
        for change in changes {
            match change {
                RetainedChange::Set(message) => kept.insert(message.topic),
                RetainedChange::Clear { topic } => kept.remove(&topic),
            };
        }
        async { Ok(()) }.boxed()
    }
}

impl Accounts {
    /// What is retained and durable.
    fn kept(&self) -> Vec<String> {
        self.kept.lock().iter().cloned().collect()
    }

    /// Every name is another user's from now on.
    fn make_again(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }
}

async fn start() -> (Broker, Arc<Accounts>) {
    let accounts = Arc::<Accounts>::default();
    let limits = Limits {
        max_session_expiry_s: 60,
        ..Limits::default()
    };
    let host = Host {
        authenticate: accounts.clone(),
        retain: accounts.clone(),
        ..hosts::host(Arc::new(Held::new()))
    };
    let broker = Broker::start(limits, hosts::policy(Actions::Both), host);
    (broker.await.expect("the router starts"), accounts)
}

fn of(username: &'static str) -> Connect {
    Connect {
        username,
        ..connect("phone", true, 0)
    }
}

async fn retain(client: &mut Client, topic: &str) {
    let packet = publish(V5, 3, topic, 1, &[], topic);
    assert_eq!(ask(client, &packet).await, Puback(1, 0));
}

async fn listen(client: &mut Client, filter: &str) {
    let packet = subscribe(V5, 1, &[], &[(filter, 0)]);
    assert_eq!(ask(client, &packet).await, Suback(1, vec![0]));
}

#[tokio::test]
async fn a_new_user_of_the_name_gets_nothing_of_what_is_retained_and_others_keep_theirs() {
    let (broker, accounts) = start().await;
    let mut old = open(&broker, &of("alice")).await;
    let mut bob = open(&broker, &of("bob")).await;
    retain(&mut old, "rooms/alice").await;
    retain(&mut old, "rooms/alice/door").await;
    retain(&mut old, "notice").await;
    retain(&mut bob, "rooms/bob/alice").await;
    let mut root = open(&broker, &of("root")).await;
    listen(&mut root, "rooms/#").await;
    for topic in ["rooms/alice", "rooms/alice/door", "rooms/bob/alice"] {
        next_is(&mut root, topic).await;
    }

    accounts.make_again();
    broker.forget_user(&alice()).await.unwrap();
    assert_eq!(accounts.kept(), ["notice", "rooms/bob/alice"]);
    assert_eq!(old.until_closed().await, Ok(vec![Disconnect(0x87)]));
    let mut new = open(&broker, &of("alice")).await;
    listen(&mut new, "rooms/alice/#").await;
    assert_eq!(new.answers(0).await, Ok(vec![]));
    listen(&mut bob, "rooms/bob/#").await;
    next_is(&mut bob, "rooms/bob/alice").await;
    // Whoever subscribed was told nothing.
    assert_eq!(root.answers(0).await, Ok(vec![]));

    // What the new one retains is its own.
    let own = publish(V5, 3, "rooms/alice/new", 1, &[], "new");
    let both = [ask(&mut new, &own).await, next(&mut new).await];
    assert!(both.contains(&Puback(1, 0)), "{both:?}");
    assert_eq!(accounts.kept().len(), 3);
}

#[tokio::test]
async fn the_sessions_of_the_old_user_end_without_a_last_word() {
    let (broker, accounts) = start().await;
    let will = Some(Will {
        qos: 1,
        retain: true,
        topic: "rooms/alice/will",
        payload: "secret",
        properties: vec![],
    });
    let kept = Connect {
        will: will.clone(),
        properties: connect("", true, 60).properties,
        client_id: "kept",
        ..of("alice")
    };
    let mut kept_one = open(&broker, &kept).await;
    let mut other = open(
        &broker,
        &Connect {
            will,
            ..of("alice")
        },
    )
    .await;
    let _bob = open(&broker, &of("bob")).await;
    accounts.make_again();
    broker.forget_user(&alice()).await.unwrap();
    for client in [&mut kept_one, &mut other] {
        assert_eq!(client.until_closed().await, Ok(vec![Disconnect(0x87)]));
    }
    until(|| broker.sessions() == 1).await;
    assert_eq!(all(&broker)[0].username.as_ref(), "bob");
    assert!(accounts.kept().is_empty());
}

#[tokio::test]
async fn a_new_user_of_the_name_shares_no_session_no_inbox_and_no_place_in_a_list() {
    let (broker, accounts) = start().await;
    let mut old = open(&broker, &connect("phone", true, 60)).await;
    listen(&mut old, "users/alice/#").await;
    let old_id = all(&broker)[0].id.clone();
    // The old one's sessions are still there: nobody has said that it is gone.
    accounts.make_again();
    let mut new = open(&broker, &connect("phone", false, 60)).await;
    let ids: Vec<_> = all(&broker).into_iter().map(|s| s.id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], old_id);
    assert_eq!(all(&broker)[1].subscriptions, 0);
    listen(&mut new, "users/alice/#").await;
    for seq in 1..=hosts::NEWEST {
        next_is(&mut new, &format!(r#"{{"seq":{seq}}}"#)).await;
    }
    // A message of the old one's that ends late.
    broker.notify("alice-0", &alice(), &notification(7));
    assert_eq!(new.answers(0).await, Ok(vec![]));
    assert!(broker.kick(&old_id).is_some());
    until(|| broker.sessions() == 1).await;
    assert_eq!(new.answers(0).await, Ok(vec![]));
}

#[tokio::test]
async fn a_new_user_of_the_name_is_told_nothing_of_the_old_ones_messages() {
    let (broker, accounts) = start().await;
    let mut old = open(&broker, &of("alice")).await;
    listen(&mut old, "users/alice/progress").await;
    accounts.make_again();
    let other = Connect {
        client_id: "tablet",
        ..of("alice")
    };
    let mut new = open(&broker, &other).await;
    listen(&mut new, "users/alice/progress").await;
    broker.publish_progress("alice-0", &alice(), || "of the old one".into());
    next_is(&mut old, "of the old one").await;
    broker.publish_progress("alice-1", &alice(), || "of the new one".into());
    next_is(&mut new, "of the new one").await;
    for client in [&mut old, &mut new] {
        assert_eq!(client.answers(0).await, Ok(vec![]));
        assert_eq!(client.answers(0).await, Ok(vec![]));
    }
}
