//! Which of several processes has the session of an MQTT client.

use futures_util::future::join_all;
use herald_store::{
    Departure, EndReason, Membership, MqttSession, NodeId, Ownership, SessionKey, Store, TakeOver,
    TakenOver, UserId,
};

use crate::common::{Db, at, user};

/// How many sessions a user may have in these tests.
const LIMIT: usize = 5;

async fn join(store: &Store, name: &str) -> (Membership, NodeId) {
    let mut membership = Membership::of(store).unwrap();
    let id = membership.join(name, "1.2.3", 0, None).await.unwrap();
    (membership, id)
}

/// Two processes that have joined, and a user.
pub(crate) struct Two {
    pub(crate) db: Db,
    pub(crate) other: Store,
    memberships: [(Membership, NodeId); 2],
    ann: UserId,
}

impl Two {
    pub(crate) async fn new() -> Self {
        let db = Db::new().await;
        let other = db.open_again().await;
        let memberships = [join(&db.store, "here").await, join(&other, "there").await];
        let ann = user(&db.store, "ann").await.id;
        // They do not say again that they are there.
        db.execute("UPDATE nodes SET lease_until = lease_until + 3600000")
            .await;
        Self {
            db,
            other,
            memberships,
            ann,
        }
    }

    pub(crate) fn key(&self, client_id: &str) -> SessionKey {
        SessionKey {
            user: self.ann.clone(),
            client_id: client_id.into(),
        }
    }

    pub(crate) fn take(&self, client_id: &str, number: i64) -> TakeOver {
        TakeOver {
            session: MqttSession {
                key: self.key(client_id),
                id: format!("{client_id}-{number:04}"),
                token_id: None,
                peer: Some("192.0.2.1:51724".into()),
                transport: "tls".into(),
                protocol: "5".into(),
                connected_at: at(number),
                keep_alive_s: 60,
            },
            number,
            clean: false,
            limit: LIMIT,
            here: 0,
            idle_here: false,
            will: None,
        }
    }

    pub(crate) fn departure(&self, client_id: &str, number: i64) -> Departure {
        Departure {
            key: self.key(client_id),
            number,
        }
    }

    /// The client ids of all sessions, each with the name of the node that has it.
    async fn listed(&self) -> Vec<(String, String)> {
        let page = self.db.store.list_mqtt_sessions(None, None, 100).await;
        let listed = page.unwrap().items.into_iter();
        listed
            .map(|one| (one.session.key.client_id.to_string(), one.node))
            .collect()
    }
}

pub(crate) async fn taken(store: &Store, take: TakeOver) -> Ownership {
    match store.take_over_session(take).await.unwrap() {
        TakenOver::Done(ownership) => ownership,
        other => panic!("{other:?}"),
    }
}

fn in_list(client_id: &str, node: &str) -> (String, String) {
    (client_id.to_owned(), node.to_owned())
}

/// Its clients may have gone to the others.
#[tokio::test]
async fn who_is_held_to_be_gone_takes_nothing_over() {
    let two = Two::new().await;
    taken(&two.other, two.take("phone", 40)).await;
    let over = "UPDATE nodes SET lease_until = 0 WHERE name = 'here'";
    two.db.execute(over).await;
    let refused = two.db.store.take_over_session(two.take("phone", 7)).await;
    assert_eq!(refused.unwrap(), TakenOver::CutOff);
    assert_eq!(two.other.session_ends(10).await.unwrap(), []);
    assert_eq!(two.listed().await, [in_list("phone", "there")]);
}

#[tokio::test]
async fn a_session_that_another_process_has_is_taken_over_and_ended_there() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    let first = taken(there, two.take("phone", 40)).await;
    assert_eq!((first.first_number, first.is_awaited), (40, false));
    let second = taken(here, two.take("phone", 7)).await;
    assert_eq!((second.first_number, second.is_awaited), (7, true));
    assert_eq!(second.tell, [there.process().clone()]);
    assert_eq!(two.listed().await, [in_list("phone", "here")]);
    assert!(here.is_session_awaited(&two.key("phone")).await.unwrap());

    assert_eq!(here.session_ends(10).await.unwrap(), []);
    let ends = there.session_ends(10).await.unwrap();
    assert_eq!(ends.len(), 1);
    let end = &ends[0];
    assert_eq!((&end.key, end.number), (&two.key("phone"), 40));
    assert_eq!(end.username.as_deref(), Some("ann"));
    assert_eq!(end.reason, EndReason::TakenOver);
    // What the old process lets go of is not its own any more.
    there
        .give_up_sessions(vec![two.departure("phone", 40)])
        .await
        .unwrap();
    assert_eq!(two.listed().await, [in_list("phone", "here")]);
    there.sessions_ended(&ends).await.unwrap();
    assert_eq!(there.session_ends(10).await.unwrap(), []);
    assert!(!here.is_session_awaited(&two.key("phone")).await.unwrap());

    // And back, anew.
    let mut again = two.take("phone", 41);
    again.clean = true;
    assert_eq!(taken(there, again).await.first_number, 41);
    let ends = here.session_ends(10).await.unwrap();
    assert_eq!(ends[0].reason, EndReason::BeganAnew);
}

#[tokio::test]
async fn an_order_of_before_does_not_stand_for_a_later_takeover() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    taken(there, two.take("phone", 40)).await;
    taken(here, two.take("phone", 7)).await;
    let ends = there.session_ends(10).await.unwrap();
    taken(there, two.take("phone", 41)).await;
    taken(here, two.take("phone", 8)).await;
    // The first one was followed only now.
    there.sessions_ended(&ends).await.unwrap();
    let ends = there.session_ends(10).await.unwrap();
    assert_eq!(ends[0].number, 41);
    assert!(here.is_session_awaited(&two.key("phone")).await.unwrap());
}

#[tokio::test]
async fn of_two_that_take_over_at_once_one_has_it_and_the_other_is_told() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    for round in 1..=20 {
        let both = tokio::join!(
            taken(here, two.take("phone", round)),
            taken(there, two.take("phone", round)),
        );
        let listed = two.listed().await;
        assert_eq!(listed.len(), 1, "{listed:?}");
        let (winner, loser) = match listed[0].1.as_str() {
            "here" => (&both.0, there),
            _ => (&both.1, here),
        };
        assert!(winner.is_awaited && winner.tell.contains(loser.process()));
        let ends = loser.session_ends(10).await.unwrap();
        assert_eq!((ends.len(), ends[0].number), (1, round));
        for store in [here, there] {
            let ends = store.session_ends(10).await.unwrap();
            store.sessions_ended(&ends).await.unwrap();
        }
    }
}

#[tokio::test]
async fn however_many_come_at_once_a_user_has_no_more_sessions_than_allowed() {
    let two = Two::new().await;
    let all = (1..=30).map(|number| {
        let store = if number % 2 == 0 { &two.db.store } else { &two.other };
        // What a process has itself it counts itself.
        let take = TakeOver {
            limit: 1,
            ..two.take(&format!("client-{number}"), number)
        };
        store.take_over_session(take)
    });
    join_all(all).await;
    let listed = two.listed().await;
    let nodes: std::collections::BTreeSet<_> = listed.iter().map(|(_, node)| node).collect();
    assert_eq!(nodes.len(), 1, "whoever was first: {listed:?}");

    let db = &two.db;
    db.execute("DELETE FROM mqtt_sessions").await;
    for (number, store) in [(1, &db.store), (2, &two.other), (3, &two.other)] {
        let here = usize::from(number == 3);
        let mut take = two.take(&format!("client-{number}"), number);
        (take.limit, take.here) = (2, here);
        let taken = store.take_over_session(take).await.unwrap();
        assert_eq!(taken == TakenOver::TooMany, number == 3, "{taken:?}");
    }
}

#[tokio::test]
async fn a_session_without_a_connection_makes_room_for_one_elsewhere() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    let limited = |client_id, number| TakeOver {
        limit: 2,
        ..two.take(client_id, number)
    };
    taken(there, limited("phone", 1)).await;
    taken(there, limited("tablet", 2)).await;
    let refused = here.take_over_session(limited("watch", 3)).await.unwrap();
    assert_eq!(refused, TakenOver::TooMany);
    // What was taken over later is not meant.
    for (number, fits) in [(1, false), (2, true)] {
        let gone = vec![two.departure("tablet", number)];
        there.disconnect_sessions(gone).await.unwrap();
        let listed = there.mqtt_session("tablet-0002").await.unwrap().unwrap();
        assert_eq!(listed.session.peer.is_none(), fits);
        let output = here.take_over_session(limited("watch", 3)).await.unwrap();
        assert_eq!(output != TakenOver::TooMany, fits);
    }
    let mut listed = two.listed().await;
    listed.sort();
    assert_eq!(listed, [in_list("phone", "there"), in_list("watch", "here")]);
    let ends = there.session_ends(10).await.unwrap();
    assert_eq!(ends[0].key, two.key("tablet"));
    assert_eq!(ends[0].reason, EndReason::MadeRoom);
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_of_all_processes_that_are_there() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    let bob = user(here, "bob").await.id;
    let mut of_bob = two.take("phone", 2);
    of_bob.session.key.user = bob.clone();
    of_bob.session.id = "q".into();
    of_bob.session.token_id = Some("token".into());
    taken(here, two.take("phone", 1)).await;
    taken(there, two.take("tablet", 1)).await;
    taken(there, of_bob.clone()).await;
    let first = here.list_mqtt_sessions(None, None, 2).await.unwrap();
    let ids: Vec<_> = first.items.iter().map(|one| &*one.session.id).collect();
    assert_eq!((ids, first.more), (vec!["phone-0001", "q"], true));
    assert_eq!(first.items[1].session, of_bob.session);
    assert_eq!(first.items[1].process, *there.process());
    let rest = here.list_mqtt_sessions(None, Some("q"), 2).await.unwrap();
    assert_eq!(rest.items[0].session.id, "tablet-0001");
    assert!(!rest.more);
    let bobs = here.list_mqtt_sessions(Some("bob"), None, 9).await.unwrap();
    assert_eq!((bobs.items.len(), &*bobs.items[0].username), (1, "bob"));
    assert_eq!(here.mqtt_sessions_elsewhere(&two.ann).await.unwrap(), 1);
    assert_eq!(there.mqtt_sessions_elsewhere(&bob).await.unwrap(), 0);
    assert_eq!(here.mqtt_sessions_elsewhere(&bob).await.unwrap(), 1);
    assert_eq!(here.mqtt_session("none").await.unwrap(), None);
    assert_eq!(here.mqtt_session("a\0").await.unwrap(), None);

    two.db
        .execute("UPDATE nodes SET lease_until = 0 WHERE name = 'there'")
        .await;
    assert_eq!(two.listed().await, [in_list("phone", "here")]);
    assert_eq!(here.mqtt_session("q").await.unwrap(), None);
    assert_eq!(here.mqtt_sessions_elsewhere(&bob).await.unwrap(), 0);
}

#[tokio::test]
async fn an_administrator_ends_a_session_of_another_process() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    taken(there, two.take("phone", 40)).await;
    let phone = two.key("phone");
    let own = there.order_session_end(&phone, EndReason::Kicked).await;
    assert_eq!(own.unwrap(), None, "its own it ends itself");
    let ordered = here.order_session_end(&phone, EndReason::Kicked).await;
    assert_eq!(ordered.unwrap().as_ref(), Some(there.process()));
    let ends = there.session_ends(10).await.unwrap();
    assert_eq!((ends[0].number, ends[0].reason), (40, EndReason::Kicked));
    let none = here
        .order_session_end(&two.key("tablet"), EndReason::Kicked)
        .await;
    assert_eq!(none.unwrap(), None);
}

#[tokio::test]
async fn sessions_of_a_process_that_is_gone_are_nobodys_and_forgotten_in_steps() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    let many = |number| TakeOver {
        limit: 10_000,
        ..two.take(&format!("client-{number}"), number)
    };
    join_all((1..=600).map(|number| taken(there, many(number)))).await;
    taken(here, many(1)).await;
    assert_eq!(here.forget_lost_sessions().await.unwrap(), 0);
    two.db
        .execute("UPDATE nodes SET lease_until = 0 WHERE name = 'there'")
        .await;
    // Whose lease has ended is not waited for, and counts for nothing.
    let ownership = taken(here, two.take("client-2", 2)).await;
    assert_eq!((ownership.is_awaited, ownership.elsewhere), (false, 0));
    assert_eq!(here.forget_lost_sessions().await.unwrap(), 0, "it may come back");
    assert!(here.inherit(&two.memberships[1].1).await.unwrap().is_some());
    assert_eq!(here.forget_lost_sessions().await.unwrap(), 598);
    let own = here.own_mqtt_sessions(None, 10).await.unwrap();
    let own: Vec<_> = own.iter().map(|one| &*one.key.client_id).collect();
    assert_eq!(own, ["client-1", "client-2"]);
    assert_eq!(there.session_ends(10).await.unwrap(), [], "with the rest");
}

#[tokio::test]
async fn who_joins_again_has_the_sessions_that_nobody_has_taken_over() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    for number in 1..=3 {
        taken(there, two.take(&format!("client-{number}"), number)).await;
    }
    two.db
        .execute("UPDATE nodes SET lease_until = 0 WHERE name = 'there'")
        .await;
    taken(here, two.take("client-2", 1)).await;
    let Two {
        memberships: [_, (mut membership, before)],
        ..
    } = two;
    let again = membership.join("there", "1.2.3", 0, Some(&before)).await;
    assert_ne!(again.unwrap(), before);
    let first = there.own_mqtt_sessions(None, 1).await.unwrap();
    let behind = there.own_mqtt_sessions(Some(&first[0].key), 9).await.unwrap();
    let own: Vec<_> = first.iter().chain(&behind).collect();
    let own: Vec<_> = own.iter().map(|o| (&*o.key.client_id, o.first_number)).collect();
    assert_eq!(own, [("client-1", 1), ("client-3", 3)]);
}
