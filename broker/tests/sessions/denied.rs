//! What the host is told of what clients may not do.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use herald_acl::{Action, Actions};
use herald_broker::{
    Authenticate, Broker, DeniedAction, Host, Identity, Limits, Login, LoginRefusal, Observe,
};
use parking_lot::Mutex;
use rstest::rstest;

use crate::{
    client::Answer::{Connack, Puback, Suback},
    common::{
        encode::{Connect, V3, V5, Will, number, publish, subscribe},
        hosts::{self, Hosts, PEER},
    },
    held::Held,
    setup::{SEND, ask, begin, connect, open, until},
};

/// Remembers what it is told, and who logs in.
#[derive(Default)]
struct Watching {
    denied: Mutex<Vec<(String, Action, String)>>,
    logins: Mutex<Vec<String>>,
}

impl Observe for Watching {
    fn denied(&self, denied: DeniedAction<'_>) {
        assert_eq!(denied.peer, PEER);
        let who = format!("{}/{}", denied.identity.username, denied.client_id);
        let denied = (who, denied.action, denied.topic.to_owned());
        self.denied.lock().push(denied);
    }
}

impl Authenticate for Watching {
    fn authenticate(&self, login: Login) -> BoxFuture<'static, Result<Identity, LoginRefusal>> {
        self.logins.lock().push(login.client_id.as_ref().into());
        Hosts.authenticate(login)
    }
}

impl Watching {
    fn denied(&self) -> Vec<(String, Action, String)> {
        std::mem::take(&mut *self.denied.lock())
    }
}

async fn watched(limits: Limits) -> (Broker, Arc<Watching>) {
    let watching = Arc::<Watching>::default();
    let host = Host {
        authenticate: watching.clone(),
        observe: watching.clone(),
        ..hosts::host(Arc::new(Held::new()))
    };
    let broker = Broker::start(limits, hosts::policy(Actions::Both), host);
    (broker.await.expect("the router starts"), watching)
}

fn phone(action: Action, topic: &str) -> (String, Action, String) {
    ("alice/phone".into(), action, topic.into())
}

#[rstest]
#[tokio::test]
async fn each_filter_and_topic_that_was_refused_is_told(#[values(V3, V5)] version: u8) {
    let (broker, watching) = watched(Limits::default()).await;
    let mut client = open(&broker, &Connect::new(version)).await;
    let filters = [("rooms/alice/#", 1), ("#", 1), ("$share/g/rooms/bob/+", 0)];
    client.send(&subscribe(version, 1, &[], &filters)).await;
    client.next().await.unwrap().unwrap();
    let topics = [
        "rooms/alice/1",
        "rooms/bob/1",
        "users/bob/messages",
        "$SYS/x",
    ];
    for topic in topics {
        client.send(&publish(version, 0, topic, 0, &[], "x")).await;
    }
    until(|| watching.denied.lock().len() == 5).await;
    assert_eq!(
        watching.denied(),
        [
            phone(Action::Subscribe, "#"),
            phone(Action::Subscribe, "$share/g/rooms/bob/+"),
            phone(Action::Publish, "rooms/bob/1"),
            phone(Action::Publish, "users/bob/messages"),
            phone(Action::Publish, "$SYS/x"),
        ]
    );
}

#[tokio::test]
async fn a_will_that_may_not_be_is_told_also_where_no_rule_can_allow_it() {
    let (broker, watching) = watched(Limits::default()).await;
    for topic in ["rooms/bob/1", "$SYS/x", "users/alice/notifications"] {
        let will = Some(Will {
            qos: 1,
            retain: false,
            topic,
            payload: "gone",
            properties: vec![],
        });
        let connect = Connect {
            will,
            ..Connect::new(V5)
        };
        let mut client = begin(&broker, &connect).await;
        assert_eq!(client.until_closed().await, Ok(vec![Connack(0x87)]));
        assert_eq!(watching.denied(), [phone(Action::Publish, topic)]);
    }
}

#[tokio::test]
async fn a_will_that_may_not_be_any_more_is_told_when_it_is_due() {
    let (broker, watching) = watched(Limits {
        max_session_expiry_s: 60,
        ..Limits::default()
    })
    .await;
    let will = Some(Will {
        qos: 1,
        retain: false,
        topic: "notice",
        payload: "gone",
        properties: vec![number(0x18, &[0, 0, 0, 30])],
    });
    let connect = Connect {
        will,
        ..connect("phone", true, 60)
    };
    drop(open(&broker, &connect).await);
    until(|| broker.connected() == 0 && broker.sessions() == 1).await;
    broker.set_policy(herald_acl::Policy::new(vec![]));
    let session = crate::live::only(&broker);
    assert!(broker.kick(&session.id).is_some());
    until(|| broker.sessions() == 0).await;
    assert_eq!(watching.denied(), [phone(Action::Publish, "notice")]);
}

#[tokio::test]
async fn what_is_refused_for_another_reason_is_not_told() {
    let (broker, watching) = watched(Limits {
        subscriptions_per_session: 1,
        ..Limits::default()
    })
    .await;
    let mut client = open(&broker, &connect("phone", true, 0)).await;
    let filters = [
        ("notice", 1),
        ("last", 1),
        ("a/#/b", 1),
        ("$share/g/users/alice/#", 1),
    ];
    let codes = vec![1, 0x97, 0x8F, 0x9E];
    let filters = subscribe(V5, 1, &[], &filters);
    assert_eq!(ask(&mut client, &filters).await, Suback(1, codes));
    let bad = publish(V5, 2, SEND, 1, &[], "no JSON");
    assert_eq!(ask(&mut client, &bad).await, Puback(1, 0x99));
    assert_eq!(watching.denied(), []);
}

#[tokio::test]
async fn a_login_says_what_the_client_calls_itself_or_is_called() {
    let (broker, watching) = watched(Limits::default()).await;
    for client_id in ["phone", ""] {
        open(&broker, &connect(client_id, true, 0)).await;
    }
    let stranger = Connect {
        username: "nobody",
        ..connect("stranger", true, 0)
    };
    let mut stranger = begin(&broker, &stranger).await;
    assert_eq!(stranger.until_closed().await, Ok(vec![Connack(0x87)]));
    let logins = watching.logins.lock().clone();
    assert_eq!((&*logins[0], &*logins[2]), ("phone", "stranger"));
    assert!(logins[1].starts_with("auto-"), "{logins:?}");
}
