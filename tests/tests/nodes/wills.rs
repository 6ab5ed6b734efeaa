//! Wills of clients whose server is killed, stopped or cut off.

use std::{collections::BTreeMap, sync::Arc};

use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_tests::{
    Herald, Version,
    raw::{Connect, Property, Raw, Will},
    until,
};
use rstest::rstest;
use serde_json::json;

use crate::{database, other, ready};

/// Where wills are published.
const FILTER: &str = "broadcast/wills/+";

/// Two servers, and who hears what is published at the second.
struct Two {
    dies: Herald,
    stays: Herald,
    listener: Raw,
    /// What was heard, and how often.
    heard: BTreeMap<String, usize>,
    marks: usize,
}

impl Two {
    async fn start(database: &Arc<TestDatabase>) -> Self {
        let dies = other(database).await;
        let admin = dies.http("admin").await;
        admin.create_user("boss", "admin").await;
        let stays = other(database).await;
        let listener = Connect::of("admin").client_id("listener");
        let mut listener = Raw::connect_as(&stays, Version::V5, &listener).await;
        assert_eq!(listener.subscribe(FILTER).await, 1);
        let mut two = Self {
            dies,
            stays,
            listener,
            heard: BTreeMap::new(),
            marks: 0,
        };
        two.acquaint().await;
        two
    }

    /// Waits until the second server hears the first.
    async fn acquaint(&mut self) {
        let connect = Connect::of("admin").client_id("acquaint");
        let mut admin = Raw::connect_as(&self.dies, Version::V5, &connect).await;
        until("the servers to hear each other", async || {
            admin.publish("broadcast/wills/x", "do you hear me").await;
            self.take().await;
            (!self.heard.is_empty()).then_some(())
        })
        .await;
        admin.disconnect().await;
        self.mark().await;
        self.heard.clear();
    }

    /// Takes what has come by now.
    async fn take(&mut self) {
        for publish in self.listener.at_once().await {
            self.listener.finish(&publish).await;
            *self.heard.entry(publish.payload).or_default() += 1;
        }
    }

    /// Waits until this was heard.
    async fn hears(&mut self, payload: &str) {
        until(payload, async || {
            self.take().await;
            self.heard.contains_key(payload).then_some(())
        })
        .await;
    }

    /// Waits until what was published before at the second server is heard.
    async fn mark(&mut self) {
        self.marks += 1;
        let mark = format!("mark {}", self.marks);
        let connect = Connect::of("admin").client_id("mark");
        let mut admin = Raw::connect_as(&self.stays, Version::V5, &connect).await;
        assert_eq!(admin.publish("broadcast/wills/x", &mark).await, 0);
        self.hears(&mark).await;
        self.heard.remove(&mark);
        admin.disconnect().await;
    }

    /// All that was heard, but what comes after it.
    async fn all(&mut self) -> Vec<(String, usize)> {
        self.mark().await;
        std::mem::take(&mut self.heard).into_iter().collect()
    }
}

/// A client of this user whose will says what the client is called, and waits for so many seconds.
fn willing(username: &str, id: &str, delay: u32) -> Connect {
    let connect = match delay {
        0 => Connect::of(username),
        _ => Connect::kept(username),
    };
    connect.client_id(id).will_with(Will {
        topic: format!("broadcast/wills/{}", id.replace(' ', "-")),
        payload: id.into(),
        qos: 1,
        retain: false,
        properties: vec![Property::WillDelay(delay)],
    })
}

fn once(payloads: &[&str]) -> Vec<(String, usize)> {
    let mut all: Vec<_> = payloads.iter().map(|one| ((*one).to_owned(), 1)).collect();
    all.sort();
    all
}

/// Clients with wills that are due at once, and one whose will waits for so many seconds.
async fn clients(herald: &Herald, (waits, seconds): (&str, u32)) -> Vec<(Raw, Version)> {
    let mut clients = vec![];
    for (id, version, delay) in [
        ("v5", Version::V5, 0),
        ("v3", Version::V311, 0),
        (waits, Version::V5, seconds),
    ] {
        let connect = willing("admin", id, delay);
        clients.push((Raw::connect_as(herald, version, &connect).await, version));
    }
    clients
}

#[rstest]
#[tokio::test]
async fn the_wills_of_a_server_that_is_killed_are_heard_at_another(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut two = Two::start(&database).await;
    let _third = other(&database).await;
    let mut clients = vec![];
    for (id, version, delay) in [
        ("v5", Version::V5, 0),
        ("v3", Version::V311, 0),
        ("later", Version::V5, 2),
        ("last", Version::V5, 4),
        ("comes back", Version::V5, 3),
    ] {
        let connect = willing("admin", id, delay);
        clients.push(Raw::connect_as(&two.dies, version, &connect).await);
    }
    // In 3.1.1 a session that is kept.
    let mut kept = willing("admin", "kept", 0);
    kept.clean = false;
    clients.push(Raw::connect_as(&two.dies, Version::V311, &kept).await);
    let locked = willing("boss", "locked", 2);
    clients.push(Raw::connect_as(&two.dies, Version::V5, &locked).await);
    // It waits when the server dies.
    let waits = willing("admin", "waits", 30);
    let waits = Raw::connect_as(&two.dies, Version::V5, &waits).await;
    waits.cut().await;
    for version in Version::BOTH {
        let leaves = willing("admin", "leaves", 0);
        let leaves = Raw::connect_as(&two.dies, version, &leaves).await;
        leaves.disconnect().await;
    }
    // What it has said before is written by then.
    let admin = two.stays.http("admin").await;
    until("the one that left to be forgotten", async || {
        let all = admin.get("/admin/connections").await.expect(200);
        let all = all["items"].as_array().unwrap();
        let has_left = all.iter().all(|one| one["client_id"] != "leaves");
        let waits = all.iter().find(|one| one["client_id"] == "waits");
        (has_left && waits.unwrap()["connected"] == false).then_some(())
    })
    .await;
    two.dies.kill().await;
    let back = willing("admin", "comes back", 3);
    let _back = Raw::connect_as(&two.stays, Version::V5, &back).await;
    let boss = json!({"disabled": true});
    admin.patch("/admin/users/boss", &boss).await.expect(200);
    two.hears("last").await;
    let heard = two.all().await;
    assert_eq!(heard, once(&["v5", "v3", "kept", "later", "last"]));
}

#[rstest]
#[tokio::test]
async fn a_server_that_stops_leaves_the_wills_that_wait_and_no_others(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut two = Two::start(&database).await;
    let _clients = clients(&two.dies, ("moved", 2)).await;
    two.dies.stop().await;
    two.hears("moved").await;
    assert_eq!(two.all().await, once(&["moved"]));
}

#[rstest]
#[tokio::test]
async fn a_server_that_wakes_publishes_no_will_again(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut two = Two::start(&database).await;
    let mut clients = clients(&two.dies, ("later", 1)).await;
    two.dies.signal("STOP");
    for id in ["v5", "v3", "later"] {
        two.hears(id).await;
    }
    two.dies.signal("CONT");
    for (client, version) in &mut clients {
        let told = (*version == Version::V5).then_some(0x89);
        assert_eq!(client.ended().await, told);
    }
    until("/readyz to be well", async || {
        (ready(&two.dies).await.status == 200).then_some(())
    })
    .await;
    // The one that waited is due here by then, too.
    let later = willing("admin", "after that", 2);
    let later = Raw::connect_as(&two.dies, Version::V5, &later).await;
    later.cut().await;
    two.hears("after that").await;
    assert_eq!(two.all().await, once(&["v5", "v3", "later", "after that"]));
}
