//! Servers behind HAProxy, as operators are told to set it up.

use std::{collections::BTreeSet, sync::Arc};

use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_tests::{
    Authority, HaProxy, Herald, Http, Mosquitto, Subscriber, Transport, Version, Way,
    notified::{Notified, inbox, parse},
    raw::{Connect, Raw},
    secured, until,
};
use reqwest::Method;
use serde_json::json;

use crate::database;

/// Three servers with one certificate, and an account, alice.
async fn three(database: &Arc<TestDatabase>, authority: &Authority) -> [Herald; 3] {
    let tls = authority.settings();
    let mut settings: Vec<_> = tls.iter().map(|(k, v)| (*k, v.as_str())).collect();
    // Longer than HAProxy takes to see it.
    settings.push(("HERALD_CLUSTER__DRAIN_S", "3"));
    let mut servers = [(); 3].map(|()| Herald::stopped_on_database(database, &settings));
    for herald in &mut servers {
        authority.vouch_for(herald);
        herald.begin().await;
    }
    let admin = servers[0].http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.create_user("alice", "user").await;
    servers
}

/// A client that comes back by itself when it has lost its connection, as applications do.
struct Client<'a> {
    way: Way,
    version: Version,
    address: &'a str,
    authority: &'a Authority,
    connect: Connect,
    raw: Raw,
    heard: Vec<Notified>,
}

impl<'a> Client<'a> {
    async fn start(
        id: &str,
        way: Way,
        version: Version,
        haproxy: &'a HaProxy,
        authority: &'a Authority,
    ) -> Self {
        let address = match way {
            Way::Tls => haproxy.mqtts(),
            Way::Wss => haproxy.https(),
        };
        let connect = Connect::kept("alice").client_id(id);
        let raw = Self::connected(way, version, address, authority, &connect).await;
        Self {
            way,
            version,
            address,
            authority,
            connect,
            raw,
            heard: vec![],
        }
    }

    async fn connected(
        way: Way,
        version: Version,
        address: &str,
        authority: &Authority,
        connect: &Connect,
    ) -> Raw {
        until("a connection", async || {
            let address = secured(way, address, &authority.ca()).await.ok()?;
            let mut raw = Raw::over(&address, version).await;
            if raw.try_login(connect).await != Some(0) {
                return None;
            }
            assert_eq!(raw.subscribe(&inbox("alice")).await, 1);
            Some(raw)
        })
        .await
    }

    /// Goes on until it has heard of the one with this number.
    async fn hear(&mut self, last: i64) {
        while self.heard.last().is_none_or(|(seq, _)| *seq != last) {
            match self.raw.take_unless_ended().await {
                Some(publish) => self.heard.push(parse(&publish.payload)),
                None => {
                    let Self {
                        way,
                        version,
                        address,
                        authority,
                        connect,
                        ..
                    } = self;
                    self.raw = Self::connected(*way, *version, address, authority, connect).await;
                }
            }
        }
    }
}

/// What it prints until it has heard of the one with this number. It comes back by itself, too.
async fn printed(subscriber: &mut Subscriber, heard: &mut Vec<Notified>, last: i64) {
    while heard.last().is_none_or(|(seq, _)| *seq != last) {
        heard.push(parse(&subscriber.message().await.payload));
    }
}

/// Whether the session of this client id is on this server: only its own knows how many filters it has.
async fn has(herald: &Herald, client_id: &str) -> bool {
    let admin = herald.http("admin").await;
    let listed = admin.get("/admin/connections?limit=100").await.expect(200);
    let listed = listed["items"].as_array().unwrap().iter();
    let mut own = listed.filter(|one| one["subscriptions"].is_number());
    own.any(|one| one["client_id"] == client_id)
}

/// The place of the server that has this client.
async fn place_of(servers: &[Option<Herald>], client_id: &str) -> usize {
    for (place, herald) in servers.iter().enumerate() {
        if let Some(herald) = herald
            && has(herald, client_id).await
        {
            return place;
        }
    }
    panic!("{client_id} is nowhere");
}

/// Sends, each on a connection of its own, and all are taken. The number of the last notification.
async fn send(alice: &Http, sent: &mut i64, times: usize) -> i64 {
    for _ in 0..times {
        *sent += 1;
        let body = json!({"body": sent.to_string()});
        let request = alice.api(Method::POST, "/messages").json(&body);
        let request = request.header("connection", "close");
        alice.send(request).await.expect(202);
    }
    *sent
}

#[tokio::test]
async fn clients_come_back_through_haproxy_when_a_server_is_taken_out_or_killed() {
    let Some(database) = database(DatabaseKind::Postgres).await else {
        return;
    };
    let authority = Authority::new();
    let servers = three(&database, &authority).await;
    let haproxy = HaProxy::start(&servers).await;
    let alice = servers[0].http("alice").await.by_way_of(haproxy.https());
    let tablet = Mosquitto::new(&servers[0], Version::V311, Transport::Tls, "alice");
    let (host, port) = haproxy.mqtts().split_once(':').unwrap();
    let tablet = tablet.args(&["-h", host, "-p", port, "-c", "-i", "tablet"]);
    let mut tablet = tablet.subscribe(&[&inbox("alice")]).await;
    let start =
        async |id, way, version| Client::start(id, way, version, &haproxy, &authority).await;
    let mut phone = start("phone", Way::Tls, Version::V5).await;
    let mut page = start("page", Way::Wss, Version::V5).await;
    let mut old_page = start("old page", Way::Wss, Version::V311).await;
    let (mut sent, mut on_tablet) = (0, vec![]);
    let mut servers = servers.map(Some);
    // Of connections that last, each server has as many as others.
    let of_phone = place_of(&servers, "phone").await;
    let of_tablet = place_of(&servers, "tablet").await;
    assert_ne!(of_phone, of_tablet);
    let last = send(&alice, &mut sent, 3).await;
    tokio::join!(
        phone.hear(last),
        page.hear(last),
        old_page.hear(last),
        printed(&mut tablet, &mut on_tablet, last)
    );

    // One is taken out. The tablet goes to the one that has no other client: mosquitto_sub ends with a connection that does not
    // end as TLS should, which is that of a server that is killed.
    let leaves = servers[of_tablet].take().unwrap();
    let drained = async {
        leaves.cli(&["drain"]).succeed().await;
    };
    let seen = async {
        send(&alice, &mut sent, 5).await;
        until("HAProxy to see it", async || {
            let log = haproxy.log();
            log.contains("DOWN, reason: Layer7 wrong status, code: 503")
                .then_some(())
        })
        .await;
        send(&alice, &mut sent, 5).await
    };
    let (last, ()) = tokio::join!(seen, drained);
    tokio::join!(
        phone.hear(last),
        page.hear(last),
        old_page.hear(last),
        printed(&mut tablet, &mut on_tablet, last)
    );

    // The other one of these is killed.
    let mut dies = servers[of_phone].take().unwrap();
    dies.kill().await;
    let last = send(&alice, &mut sent, 10).await;
    tokio::join!(
        phone.hear(last),
        page.hear(last),
        old_page.hear(last),
        printed(&mut tablet, &mut on_tablet, last)
    );
    for heard in [phone.heard, page.heard, old_page.heard, on_tablet] {
        complete(&heard, last);
    }
}

/// None is left out, none is another when it comes again, and each message was processed once.
fn complete(heard: &[Notified], last: i64) {
    let mut inbox: Vec<&Notified> = vec![];
    for one in heard {
        let place = usize::try_from(one.0).unwrap() - 1;
        match inbox.get(place) {
            Some(known) => assert_eq!(*known, one),
            None => {
                assert_eq!(place, inbox.len(), "dense: {heard:?}");
                inbox.push(one);
            }
        }
    }
    let bodies: BTreeSet<_> = inbox.iter().map(|(_, body)| body).collect();
    assert_eq!(bodies.len(), usize::try_from(last).unwrap());
    assert_eq!(inbox.len(), bodies.len(), "each once");
}
