//! Shared topics, where there are several servers.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use herald_test_databases::{CuttingProxy, DatabaseKind, TestDatabase};
use herald_test_servers::NatsServer;
use herald_tests::{
    Herald, Version,
    notified::{finish, inbox, notified, taken},
    raw::{Message, Raw},
    until,
};
use rstest::rstest;

use crate::{
    database,
    together::{acquaint, came, client, listener, three_with},
};

/// The topic of announcements, which administrators publish to and all read.
pub(super) const NEWS: &str = "broadcast/news";

/// What carries shared topics.
#[derive(Clone, Copy)]
enum Relay {
    Database,
    Nats,
}

/// Three servers that hear each other, with accounts, alice and bob, and the NATS server, if they have one.
async fn three_by(relay: Relay, database: &Arc<TestDatabase>) -> ([Herald; 3], Option<NatsServer>) {
    let nats = match relay {
        Relay::Database => None,
        Relay::Nats => Some(NatsServer::start().unwrap()),
    };
    let url = nats.as_ref().map(NatsServer::url).unwrap_or_default();
    let servers = three_with(database, &[("HERALD_CLUSTER__RELAY", &url)]).await;
    (servers, nats)
}

/// The next `n` messages.
pub(super) async fn heard(raw: &mut Raw, n: usize) -> Vec<String> {
    let mut all = vec![];
    for _ in 0..n {
        all.push(raw.take().await.payload);
    }
    all
}

#[rstest]
#[tokio::test]
async fn what_is_published_at_one_server_is_heard_at_all_in_order(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
    #[values(Relay::Database, Relay::Nats)] relay: Relay,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let (servers, _nats) = three_by(relay, &database).await;
    let mut listeners = vec![];
    for herald in &servers {
        for version in Version::BOTH {
            let name = if version == Version::V5 {
                "alice"
            } else {
                "bob"
            };
            listeners.push(listener(herald, version, name, "broadcast/#").await);
        }
    }
    // One that is longer than a notification of PostgreSQL among them.
    let large = "ä".repeat(60_000);
    let bodies: Vec<_> = (0..20)
        .map(|n| format!("{n}{}", if n == 7 { &large } else { "" }))
        .collect();
    for (at, herald) in servers.iter().enumerate() {
        let version = [Version::V5, Version::V311, Version::V5][at];
        let mut admin = client(herald, version, "admin").await;
        for (n, body) in bodies.iter().enumerate() {
            let message = Message::new(NEWS, body).qos([1, 2, 1][n % 3]);
            assert_eq!(admin.deliver(&message).await, 0);
        }
        for listener in &mut listeners {
            assert!(heard(listener, bodies.len()).await == bodies, "in order");
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_group_has_members_at_several_servers(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
    #[values(Relay::Database, Relay::Nats)] relay: Relay,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let (servers, _nats) = three_by(relay, &database).await;
    let group = format!("$share/readers/{NEWS}");
    let mut first = listener(&servers[0], Version::V5, "alice", &group).await;
    let mut second = listener(&servers[1], Version::V311, "alice", &group).await;
    // Another user's is another group.
    let mut bobs = listener(&servers[1], Version::V5, "bob", &group).await;
    let mut admin = client(&servers[2], Version::V5, "admin").await;
    let mut number = 0;
    let mut publish = async || {
        number += 1;
        admin.publish(NEWS, &number.to_string()).await;
        number
    };
    // Until it is known at the third server that there are three members.
    until("all members to be known", async || {
        publish().await;
        let mut all = vec![];
        for raw in [&mut first, &mut second, &mut bobs] {
            all.push(came(raw).await.len());
        }
        (all.iter().sum::<usize>() == 2).then_some(())
    })
    .await;
    let mut expected = BTreeSet::new();
    for _ in 0..40 {
        expected.insert(publish().await.to_string());
    }
    let mut all = [vec![], vec![], vec![]];
    until("all to be heard", async || {
        for (raw, heard) in [&mut first, &mut second, &mut bobs]
            .into_iter()
            .zip(&mut all)
        {
            for publish in raw.at_once().await {
                raw.finish(&publish).await;
                // What came late of before does not count.
                heard.extend(
                    expected
                        .contains(&publish.payload)
                        .then_some(publish.payload),
                );
            }
        }
        (all.iter().map(Vec::len).sum::<usize>() >= 80).then_some(())
    })
    .await;
    let [of_first, of_second, of_bob] = all;
    assert!(
        !of_first.is_empty() && !of_second.is_empty(),
        "both have turns"
    );
    assert_eq!(of_first.len() + of_second.len(), 40);
    assert_eq!(
        of_first
            .into_iter()
            .chain(of_second)
            .collect::<BTreeSet<_>>(),
        expected
    );
    assert_eq!(of_bob.into_iter().collect::<BTreeSet<_>>(), expected);
    // All is one member's, once the other has gone.
    came(&mut bobs).await;
    first.disconnect().await;
    until("the other member to be forgotten", async || {
        for _ in 0..4 {
            publish().await;
        }
        came(&mut bobs).await;
        (came(&mut second).await.len() >= 4).then_some(())
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn a_response_is_heard_by_whom_it_is_for_wherever_that_is(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
    #[values(Relay::Database, Relay::Nats)] relay: Relay,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let (servers, _nats) = three_by(relay, &database).await;
    let mut alice = listener(&servers[1], Version::V5, "alice", "responses/alice/#").await;
    let mut bob = client(&servers[1], Version::V5, "bob").await;
    for filter in ["responses/alice/#", "responses/#", "#"] {
        assert_eq!(bob.subscribe(filter).await, 0x87);
    }
    bob.subscribe("responses/bob/#").await;
    let mut admin = client(&servers[0], Version::V5, "admin").await;
    for name in ["alice", "bob"] {
        let topic = format!("responses/{name}/1");
        assert_eq!(admin.publish(&topic, name).await, 0);
    }
    assert_eq!(heard(&mut alice, 1).await, ["alice"]);
    assert_eq!(heard(&mut bob, 1).await, ["bob"]);
    for raw in [&mut alice, &mut bob] {
        assert_eq!(raw.at_once().await, []);
    }
}

#[rstest]
#[tokio::test]
async fn progress_and_copies_come_from_whichever_server_has_them(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
    #[values(Relay::Database, Relay::Nats)] relay: Relay,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let (servers, _nats) = three_by(relay, &database).await;
    let mut observers = vec![];
    let mut followers = vec![];
    for herald in &servers {
        observers.push(listener(herald, Version::V5, "admin", "users/+/notifications").await);
        followers.push(listener(herald, Version::V5, "alice", "users/alice/progress").await);
    }
    let mut bob = listener(&servers[0], Version::V5, "bob", "users/bob/progress").await;
    let alice = servers[2].http("alice").await;
    // They have told each other what they want once it comes.
    until("all to follow", async || {
        finish(&alice, &["look"]).await;
        let came = followers.iter_mut().map(Raw::at_once);
        let came = join_all(came).await;
        came.iter().all(|came| !came.is_empty()).then_some(())
    })
    .await;
    for raw in followers.iter_mut().chain(&mut observers) {
        raw.at_once().await;
    }
    let id = finish(&alice, &["one"]).await;
    for raw in &mut observers {
        until("the copy", async || {
            let copies = raw.at_once().await;
            copies
                .iter()
                .any(|copy| copy.payload.contains(&id))
                .then_some(())
        })
        .await;
    }
    for raw in &mut followers {
        until("the progress", async || {
            let progress = raw.at_once().await;
            progress
                .iter()
                .any(|progress| progress.payload.contains(&id))
                .then_some(())
        })
        .await;
    }
    assert_eq!(bob.at_once().await, []);
}

#[rstest]
#[tokio::test]
async fn who_was_cut_off_from_the_others_hears_them_again(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut first = Herald::stopped_on_database(&database, &[]);
    first.begin().await;
    first.http("admin").await.create_user("alice", "user").await;
    let proxy = CuttingProxy::start(kind, database.url()).await;
    let settings = [("HERALD_DATABASE__URL", proxy.url())];
    let mut second = Herald::stopped_on_database(&database, &settings);
    second.begin().await;
    let servers = [first, second];
    acquaint(&servers).await;
    let mut pairs = vec![];
    for (here, there) in [(0, 1), (1, 0)] {
        let admin = client(&servers[here], Version::V5, "admin").await;
        let topic = format!("broadcast/{here}");
        let alice = listener(&servers[there], Version::V5, "alice", &topic).await;
        pairs.push((topic, admin, alice));
    }
    for round in 0..3 {
        proxy.cut_all();
        for (topic, admin, alice) in &mut pairs {
            let again = format!("round {round}");
            until("it to be heard again", async || {
                // It is refused while it cannot be sent.
                admin.publish(topic, &again).await;
                came(alice).await.contains(&again).then_some(())
            })
            .await;
        }
    }
    // Nor has the inbox lost anything by it.
    let alice = servers[0].http("alice").await;
    finish(&alice, &["one"]).await;
    let mut phone = listener(&servers[1], Version::V5, "alice", &inbox("alice")).await;
    assert_eq!(taken(&mut phone, 1).await, [notified(1, "one")]);
}
