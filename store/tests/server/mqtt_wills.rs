//! Wills of MQTT clients whose process may be gone: each is published by one process.

use std::time::Duration;

use futures_util::future::join_all;
use herald_store::{ClaimedWill, LostWill, MqttWill, Store, TakeOver};

use crate::mqtt_sessions::{Two, taken};

/// What holds the process of `other` to be gone.
const GONE: &str = "UPDATE nodes SET lease_until = 0 WHERE name = 'there'";

impl Two {
    /// A takeover with a will.
    fn willing(&self, client_id: &str, number: i64) -> TakeOver {
        TakeOver {
            will: Some(MqttWill {
                delay: Duration::from_secs(30),
                text: format!("{client_id} is gone"),
            }),
            limit: 10_000,
            ..self.take(client_id, number)
        }
    }

    /// The lost will of `client_id`, as the other process has it.
    async fn claim(&self, client_id: &str, number: i64) -> Option<ClaimedWill> {
        let (key, process) = (self.key(client_id), self.other.process());
        let claimed = self.db.store.claim_will(&key, number, Some(process));
        claimed.await.unwrap()
    }
}

/// All lost wills, read page by page.
async fn lost(store: &Store) -> Vec<LostWill> {
    let mut all: Vec<LostWill> = vec![];
    loop {
        let after = all.last().map(|last| &last.key);
        let page = store.lost_wills(after, 2).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn ids(all: &[LostWill]) -> Vec<&str> {
    all.iter().map(|will| &*will.key.client_id).collect()
}

#[tokio::test]
async fn a_will_is_lost_with_its_process_and_claimed_once() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
        taken(there, two.willing(id, number as i64)).await;
    }
    taken(there, two.take("without", 9)).await;
    taken(here, two.willing("own", 1)).await;
    there.wills_wait(vec![two.departure("b", 5)]).await.unwrap();
    assert_eq!(lost(here).await, []);
    assert_eq!(two.claim("a", 0).await, None, "its process is there");
    two.db.execute(GONE).await;
    let all = lost(here).await;
    assert_eq!(ids(&all), ["a", "b", "c"]);
    assert_eq!(all[0].delay, Duration::from_secs(30));
    assert_eq!(all[0].process, *there.process());
    let gone: Vec<_> = all.iter().map(|will| will.gone_at.is_some()).collect();
    assert_eq!(gone, [false, true, false]);
    assert_eq!(two.claim("a", 1).await, None, "another takeover");
    let claims = (0..8).map(|_| two.claim("a", 0));
    let claimed = join_all(claims).await.into_iter().flatten();
    let claimed: Vec<_> = claimed.collect();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].text, "a is gone");
    assert_eq!(claimed[0].username, "ann");
    assert_eq!(claimed[0].peer.as_deref(), Some("192.0.2.1:51724"));
    assert_eq!(ids(&lost(here).await), ["b", "c"]);
    // The process itself, if it is back, finds what is left.
    let own = there.claim_will(&two.key("a"), 0, None).await.unwrap();
    assert_eq!(own, None);
    let own = there.claim_will(&two.key("b"), 5, None).await.unwrap();
    assert!(own.is_some());
}

#[tokio::test]
async fn whose_client_is_back_has_no_will_but_that_of_the_new_connection() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    for id in ["without", "with", "again"] {
        taken(there, two.willing(id, 1)).await;
    }
    there
        .wills_wait(vec![two.departure("again", 1)])
        .await
        .unwrap();
    taken(here, two.take("without", 7)).await;
    taken(here, two.willing("with", 8)).await;
    let mut again = two.willing("again", 2);
    again.will.as_mut().unwrap().text = "a later one".into();
    taken(there, again).await;
    // Those of before are not meant.
    let late = ["with", "again"].map(|id| two.departure(id, 1));
    there.settle_wills(late.to_vec()).await.unwrap();
    let own = there.claim_will(&two.key("again"), 1, None).await.unwrap();
    assert_eq!(own, None);
    two.db.execute(GONE).await;
    let all = lost(here).await;
    assert_eq!(ids(&all), ["again"]);
    assert_eq!((all[0].number, all[0].gone_at), (2, None));
    let claimed = two.claim("again", 2).await.unwrap();
    assert_eq!(claimed.text, "a later one");
    let own = here.own_wills(None, 10).await.unwrap();
    assert_eq!(own, [two.departure("with", 8)]);
}

#[tokio::test]
async fn who_has_lost_the_right_to_be_there_has_no_will() {
    let two = Two::new().await;
    let there = &two.other;
    let take = |id: &str, token: Option<&str>| {
        let mut take = two.willing(id, 1);
        take.session.token_id = token.map(Into::into);
        take
    };
    let change = "INSERT INTO rights_changes (id, kind, username, token_id, at)
        SELECT value, 'password', 'ann', NULL, 0 FROM counters WHERE name = 'rights'";
    let count = "UPDATE counters SET value = value + 1 WHERE name = 'rights'";
    taken(there, take("password", None)).await;
    taken(there, take("token", Some("t"))).await;
    two.db.execute(count).await;
    two.db.execute(change).await;
    taken(there, take("later", None)).await;
    two.db.execute(GONE).await;
    for (id, is_published) in [("password", false), ("token", true), ("later", true)] {
        assert_eq!(two.claim(id, 1).await.is_some(), is_published, "{id}");
    }
    let disabled = "UPDATE users SET disabled = 1";
    for (id, change) in [("locked", disabled), ("deleted", "DELETE FROM users")] {
        let live = "UPDATE nodes SET lease_until = started_at + 3600000 WHERE name = 'there'";
        two.db.execute(live).await;
        taken(there, take(id, None)).await;
        two.db.execute(change).await;
        two.db.execute(GONE).await;
        assert_eq!(two.claim(id, 1).await, None);
        assert_eq!(lost(&two.db.store).await, [], "it is not looked at again");
    }
}

#[tokio::test]
async fn who_stops_takes_back_in_steps_what_does_not_wait() {
    let two = Two::new().await;
    let (here, there) = (&two.db.store, &two.other);
    let many = (1..=600).map(|number| format!("client-{number:03}"));
    let many: Vec<_> = many.collect();
    join_all(many.iter().map(|id| taken(there, two.willing(id, 1)))).await;
    taken(here, two.willing("own", 1)).await;
    let waits = vec![two.departure("client-300", 1)];
    there.wills_wait(waits).await.unwrap();
    there.forget_own_wills().await.unwrap();
    two.db.execute(GONE).await;
    assert_eq!(ids(&lost(here).await), ["client-300"]);
}
