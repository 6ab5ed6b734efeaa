//! Several buses that send each other what is published, as servers do.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::SystemTime,
};

use herald_acl::Policy;
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::wire::PublishProperties;

/// Which servers there are, and how to reach them.
#[derive(Default)]
struct Street {
    queues: Mutex<BTreeMap<Arc<str>, Frames>>,
    /// Whether frames get lost.
    lossy: AtomicBool,
}

/// Takes frames, and whose they are, to a server.
type Frames = mpsc::UnboundedSender<(Arc<str>, Bytes)>;

/// The way of one server to the others.
struct Way {
    own: Arc<str>,
    street: Arc<Street>,
    /// Whoever waits until a frame is safe, waits for this.
    held: Mutex<Option<Vec<oneshot::Sender<()>>>>,
}

impl Neighbours for Way {
    fn are_there(&self) -> bool {
        self.street.queues.lock().len() > 1
    }

    fn send(&self, frame: Bytes, taken: Option<oneshot::Sender<()>>) {
        if self.street.lossy.load(Ordering::Relaxed) {
            return;
        }
        for (name, queue) in self.street.queues.lock().iter() {
            if *name != self.own {
                queue.send((self.own.clone(), frame.clone())).unwrap();
            }
        }
        match (&mut *self.held.lock(), taken) {
            (Some(held), Some(taken)) => held.push(taken),
            (None, Some(taken)) => drop(taken.send(())),
            (_, None) => {}
        }
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

struct Server {
    name: Arc<str>,
    bus: Arc<Bus>,
    way: Arc<Way>,
}

impl Street {
    /// Starts the servers with these names, which know each other.
    async fn of(names: &[&str]) -> (Arc<Self>, Vec<Server>) {
        let street = Arc::new(Self::default());
        let mut servers = vec![];
        for name in names {
            let name: Arc<str> = (*name).into();
            let way = Arc::new(Way {
                own: name.clone(),
                street: street.clone(),
                held: Mutex::default(),
            });
            let bus = Arc::new(bus_with(Some(way.clone())).await);
            let (queue, mut frames) = mpsc::unbounded_channel();
            street.queues.lock().insert(name.clone(), queue);
            let receiver = bus.clone();
            tokio::spawn(async move {
                while let Some((from, frame)) = frames.recv().await {
                    receiver.receive(&from, &frame).await;
                }
            });
            servers.push(Server { name, bus, way });
        }
        let all: HashSet<_> = servers.iter().map(|s| s.name.clone()).collect();
        for server in &servers {
            server.know(all.clone());
        }
        (street, servers)
    }
}

impl Server {
    fn know(&self, mut names: HashSet<Arc<str>>) {
        names.remove(&self.name);
        self.bus.know(names);
    }

    async fn publish(&self, topic: &str, payload: &str) {
        let handed = self.bus.publish(message(topic, payload)).await.unwrap();
        handed.done().await.unwrap();
    }

    /// Waits until the groups that match `topic` have so many members elsewhere.
    async fn counts(&self, topic: &str, count: usize) {
        let topic = TopicName::parse(topic).unwrap();
        timeout(LIMIT, async {
            while self.bus.subscriptions.read().elsewhere(&topic) != count {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("it is told");
    }
}

#[tokio::test]
async fn what_is_published_at_one_server_comes_to_those_who_subscribed_at_another_in_order() {
    let (_, servers) = Street::of(&["a", "b"]).await;
    let (_, here) = listener(&servers[0].bus, "a/#");
    let (_, there) = listener(&servers[1].bus, "a/#");
    let (_, other) = listener(&servers[1].bus, "b/#");
    let rich = Message {
        retain: true,
        properties: PublishProperties {
            content_type: Some("text/plain".into()),
            ..PublishProperties::default()
        },
        expires: Message::expiry(Some(60)),
        ..message("a/0", "0")
    };
    servers[0].bus.publish(rich).await.unwrap();
    let expected: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    for n in &expected[1..] {
        servers[0].publish(&format!("a/{n}"), n).await;
    }
    for got in [here, there] {
        let got = arrived(&got, |got| got.len() == expected.len()).await;
        assert_eq!(payloads(&got), expected);
        let first = &got[0].message;
        assert!(first.retain && !got[0].retained && !got[1].message.retain);
        let properties = first.properties_now();
        assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
        assert_eq!(properties.message_expiry, Some(60));
    }
    servers[1].publish("b/x", "back").await;
    assert_eq!(
        payloads(&arrived(&other, |got| !got.is_empty()).await),
        ["back"]
    );
}

#[tokio::test]
async fn members_of_a_group_on_several_servers_share_its_messages() {
    let (_, servers) = Street::of(&["a", "b", "c"]).await;
    let members = [0, 1, 1].map(|at| listener(&servers[at].bus, "$share/g/jobs/+"));
    servers[0].counts("jobs/x", 2).await;
    servers[2].counts("jobs/x", 3).await;
    for n in 0..30 {
        servers[2].publish("jobs/x", &n.to_string()).await;
    }
    let mut all = vec![];
    for (_, member) in &members {
        let got = arrived(member, |got| got.len() == 10).await;
        assert!(got.iter().all(Delivery::is_shared));
        all.extend(payloads(&got).iter().map(|n| n.parse::<u32>().unwrap()));
    }
    all.sort_unstable();
    assert_eq!(all, (0..30).collect::<Vec<_>>());
    // Who leaves what it cannot finish leaves it to another server, if there is nobody here.
    servers[0].publish("jobs/x", "left").await;
    let (at, left) = timeout(LIMIT, async {
        loop {
            let got = members.iter().map(|(_, member)| member.take());
            if let Some(left) = got
                .enumerate()
                .find_map(|(at, got)| Some((at, got.first()?.clone())))
            {
                return left;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let server = [0, 1, 1][at];
    for (of, (session, _)) in members.iter().enumerate() {
        if [0, 1, 1][of] == server {
            servers[server].bus.unsubscribe(*session, None);
        }
    }
    servers[server].bus.reassign(left, members[at].0);
    let rest = members
        .iter()
        .enumerate()
        .filter(|(of, _)| [0, 1, 1][*of] != server);
    let rest: Vec<_> = rest.map(|(_, (_, member))| member).collect();
    timeout(LIMIT, async {
        while !rest
            .iter()
            .any(|member| payloads(&member.take()) == ["left"])
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it goes to another");
}

#[tokio::test]
async fn a_server_that_is_gone_gets_nothing_and_one_that_missed_something_asks() {
    let (street, servers) = Street::of(&["a", "b"]).await;
    let _there = listener(&servers[1].bus, "$share/g/jobs");
    servers[0].counts("jobs", 1).await;
    servers[0].know(HashSet::new());
    servers[0].counts("jobs", 0).await;
    street.lossy.store(true, Ordering::Relaxed);
    let _other = listener(&servers[1].bus, "$share/g/jobs");
    servers[0].know([servers[1].name.clone()].into());
    street.lossy.store(false, Ordering::Relaxed);
    servers[0].bus.missed();
    servers[0].counts("jobs", 2).await;
}

#[tokio::test]
async fn a_publisher_is_answered_when_no_crash_can_lose_its_message() {
    let (_, servers) = Street::of(&["a", "b"]).await;
    *servers[0].way.held.lock() = Some(vec![]);
    let handed = servers[0].bus.publish(message("x", "1")).await.unwrap();
    let mut done = Box::pin(handed.done());
    let held = timeout(LIMIT, async {
        loop {
            assert!((&mut done).now_or_never().is_none());
            if let Some(taken) = servers[0].way.held.lock().as_mut().unwrap().pop() {
                return taken;
            }
            tokio::task::yield_now().await;
        }
    });
    held.await.unwrap().send(()).unwrap();
    done.await.unwrap();
    // Nor is it if the message is lost; at QoS 0 it may be.
    let lost = servers[0].bus.publish(message("x", "2")).await.unwrap();
    timeout(LIMIT, async {
        while servers[0].way.held.lock().as_mut().unwrap().pop().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(lost.done().await.is_err());
    let at_most_once = Message {
        qos: Qos::AtMostOnce,
        ..message("x", "3")
    };
    let handed = servers[0].bus.publish(at_most_once).await.unwrap();
    assert!(handed.is_done());
}

#[tokio::test]
async fn what_was_a_users_own_does_not_come_from_elsewhere_to_the_next_of_that_name() {
    let (_, servers) = Street::of(&["a", "b"]).await;
    let policy = Policy::builtin();
    let alice = Username::parse("alice").unwrap();
    servers[1].bus.forget(policy.own_topics(&alice), vec![]);
    let (_, next) = listener(&servers[1].bus, "responses/#");
    servers[0]
        .publish("responses/alice/1", "of the old one")
        .await;
    servers[0].publish("responses/bob/1", "of another").await;
    let got = arrived(&next, |got| !got.is_empty()).await;
    assert_eq!(payloads(&got), ["of another"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Wherever members come and go, a message that is published when all is told goes to one of each group.
    #[test]
    fn one_member_of_each_group_gets_each_message(
        changes in prop::collection::vec((0_usize..3, 0_usize..2, any::<bool>()), 1..24),
        publisher in 0_usize..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_, servers) = Street::of(&["a", "b", "c"]).await;
            let filters = ["$share/g/x", "$share/h/#"];
            let mut members: Vec<(usize, usize, SessionId, Arc<Recorder>)> = vec![];
            for (server, group, joins) in changes {
                let at = members.iter().position(|m| (m.0, m.1) == (server, group));
                match at {
                    Some(at) if !joins => {
                        let (_, _, session, _) = members.swap_remove(at);
                        servers[server].bus.unsubscribe(session, None);
                    }
                    _ => {
                        let (session, recorder) = listener(&servers[server].bus, filters[group]);
                        members.push((server, group, session, recorder));
                    }
                }
            }
            for (at, server) in servers.iter().enumerate() {
                let elsewhere = members.iter().filter(|m| m.0 != at).count();
                server.counts("x", elsewhere).await;
            }
            for n in 0..7 {
                servers[publisher].publish("x", &n.to_string()).await;
            }
            for group in 0..2 {
                let of_group: Vec<_> = members.iter().filter(|m| m.1 == group).collect();
                let mut got = vec![];
                timeout(LIMIT, async {
                    while !of_group.is_empty() && got.len() < 7 {
                        for (_, _, _, recorder) in &of_group {
                            got.extend(payloads(&recorder.take()).iter().map(|s| (*s).to_owned()));
                        }
                        tokio::task::yield_now().await;
                    }
                }).await.expect("each message comes");
                got.sort();
                let expected: Vec<_> = (0..7).map(|n| n.to_string()).collect();
                assert_eq!(got, if of_group.is_empty() { vec![] } else { expected });
            }
        });
    }
}
