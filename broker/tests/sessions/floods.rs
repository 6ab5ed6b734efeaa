//! Clients that never pause: others have their turn nonetheless.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Actions;
use herald_broker::{
    Broker, DeniedAction, Host, Identity, Intake, Limits, Notification, Observe, SendRefusal,
    SendRequest,
};
use rstest::rstest;
use tokio::{
    io::{AsyncRead, ReadBuf},
    task::{JoinHandle, yield_now},
    time::{Duration, Instant},
};

use crate::{
    common::{
        encode::{Connect, V3, V5, packet, pingreq, props, publish, subscribe},
        hosts::{self, ORIGIN},
        inbox::{Inboxes, Log, notification},
    },
    setup::{SEND, ask, begin, connect, open},
    user::user,
};

/// How many flood at once.
const FLOODERS: usize = 8;

/// Pieces of work, packets or filters, that a session does before it lets others work; the runtime's own number.
const AT_A_TIME: usize = 128;

/// How often each flooder may have its turn before a PING is answered: the packet has to be read, its answer written.
const TURNS: usize = 10;

/// What each flooder would do.
const WORK: usize = 20 * AT_A_TIME * TURNS;

/// Counts what sessions do.
#[derive(Default)]
struct Work(AtomicUsize);

impl Observe for Work {
    fn denied(&self, _: DeniedAction<'_>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Intake for Work {
    fn send(&self, _: &Identity, _: SendRequest) -> BoxFuture<'static, Result<(), SendRefusal>> {
        self.0.fetch_add(1, Relaxed);
        async { Ok(()) }.boxed()
    }
}

/// Sends the same again and again, as fast as it is read.
struct Endless {
    unread: Vec<u8>,
    again: Vec<u8>,
    left: usize,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() && self.left > 0 {
            self.left -= 1;
            self.unread = self.again.clone();
        }
        if self.unread.is_empty() {
            return Poll::Pending;
        }
        let length = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..length]);
        self.unread.drain(..length);
        Poll::Ready(Ok(()))
    }
}

async fn start(work: &Arc<Work>) -> Broker {
    let limits = Limits {
        publishes_per_s: 0,
        ..Limits::default()
    };
    let host = Host {
        observe: work.clone(),
        ..hosts::host(work.clone())
    };
    let broker = Broker::start(limits, hosts::policy(Actions::Both), host);
    broker.await.expect("the router starts")
}

fn flood(broker: &Broker, version: u8, id: &'static str, packet: &[u8]) -> JoinHandle<()> {
    let connect = Connect {
        version,
        keep_alive: 0,
        client_id: id,
        ..Connect::new(version)
    };
    let stream = Endless {
        unread: connect.bytes(),
        again: packet.to_vec(),
        left: WORK,
    };
    let stream = tokio::io::join(stream, tokio::io::sink());
    let broker = broker.clone();
    tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(60);
        broker.serve(stream, ORIGIN, deadline).await;
    })
}

#[rstest]
#[tokio::test]
async fn a_ping_is_answered_after_a_few_slices_of_those_who_never_pause(
    #[values(V3, V5)] version: u8,
) {
    let denied: Vec<(String, u8)> = (0..250).map(|n| (format!("rooms/bob/{n}"), 0)).collect();
    let denied: Vec<(&str, u8)> = denied.iter().map(|(f, q)| (f.as_str(), *q)).collect();
    let taken = r#"{"body":"x"}"#;
    let floods = [
        ("sends", publish(version, 0, SEND, 0, &[], taken)),
        ("denied", publish(version, 0, "rooms/bob/1", 0, &[], "x")),
        ("filters", subscribe(version, 7, &[], &denied)),
        ("pings", pingreq()),
    ];
    for (what, packet) in floods {
        let work = Arc::<Work>::default();
        let broker = start(&work).await;
        let mut other = open(&broker, &connect("other", true, 0)).await;
        let ids = ["1", "2", "3", "4", "5", "6", "7", "8"];
        let flooders = ids.map(|id| flood(&broker, version, id, &packet));
        for _ in 0..20 {
            let before = work.0.load(Relaxed);
            assert_eq!(other.answers(0).await, Ok(vec![]));
            let done = work.0.load(Relaxed) - before;
            let most = FLOODERS * AT_A_TIME * TURNS;
            assert!(done <= most, "{what} of version {version}: {done}");
        }
        if what == "sends" {
            // They were at it all the time.
            assert!(work.0.load(Relaxed) > 0);
        }
        for flooder in flooders {
            flooder.abort();
        }
    }
}

/// An inbox without end, and how often it was read.
#[derive(Default)]
struct Long(AtomicUsize);

impl Log for Long {
    fn newest(&self) -> i64 {
        i64::MAX
    }

    /// Takes longer than a session may work at a time.
    fn read(&self, _: &Identity, after: i64, limit: usize) -> Vec<Notification> {
        self.0.fetch_add(1, Relaxed);
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(2) {}
        let left = (after + 1)..=self.newest();
        left.take(limit).map(notification).collect()
    }
}

/// What is delivered at QoS 0 waits for nothing: there is always more to send, and room for it.
#[tokio::test]
async fn a_session_that_only_sends_gives_way() {
    let inbox = Arc::<Long>::default();
    let (limits, work) = (Limits::default(), Arc::<Work>::default());
    let inboxes = Arc::new(Inboxes(inbox.clone()));
    let broker = hosts::broker_with(limits, Actions::Both, work, inboxes).await;
    let mut other = open(&broker, &connect("other", true, 0)).await;
    let follow = subscribe(V5, 1, &[], &[("users/alice/notifications", 0)]);
    let client = Endless {
        unread: [Connect::new(V5).bytes(), follow].concat(),
        again: vec![],
        left: 0,
    };
    let stream = tokio::io::join(client, tokio::io::sink());
    let deadline = Instant::now() + Duration::from_secs(60);
    let sending = tokio::spawn(broker.serve(stream, ORIGIN, deadline));
    while inbox.0.load(Relaxed) == 0 {
        yield_now().await;
    }
    assert_eq!(other.answers(0).await, Ok(vec![]));
    // One each time; the runtime by itself would let others work after as many as this.
    let reads = inbox.0.load(Relaxed);
    assert!(reads < AT_A_TIME / 2, "{reads}");
    sending.abort();
}

/// However many filters a packet has, each is answered, and only so many are looked at.
#[rstest]
#[case(V3, 0x80)]
#[case(V5, 0x97)]
#[tokio::test]
async fn filters_beyond_a_bound_are_refused_unseen(#[case] version: u8, #[case] code: u8) {
    let work = Arc::<Work>::default();
    let broker = start(&work).await;
    let mut client = open(&broker, &Connect::new(version)).await;
    let filters = [("rooms/bob/1", 0); 300];
    client.send(&subscribe(version, 7, &[], &filters)).await;
    let answer = client.next().await.unwrap();
    let Some(crate::client::Answer::Suback(7, codes)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(codes.len(), 300);
    let refused = if version == V5 { 0x87 } else { 0x80 };
    assert_eq!(codes[..256], [refused; 256]);
    assert_eq!(codes[256..], [code; 44]);
    assert_eq!(work.0.load(Relaxed), 256);
}

/// What it costs to parse a packet is the number of its parts, whatever its length.
#[tokio::test]
async fn a_packet_of_very_many_parts_ends_the_connection_unparsed() {
    let work = Arc::<Work>::default();
    let broker = start(&work).await;
    let many = vec![user("", ""); 1025];
    let filters = vec![("a", 0); 16 * 1024 + 1];
    for (version, bytes) in [
        (V5, publish(V5, 2, "notice", 1, &many, "x")),
        (V5, subscribe(V5, 1, &many, &[("notice", 0)])),
        (V5, packet(0xE0, &[&[4], &props(&many)])),
        (V5, packet(0x62, &[&[0, 1, 0], &props(&many)])),
        (V5, packet(0x40, &[&[0, 1, 0], &props(&many)])),
        (V5, subscribe(V5, 1, &[], &filters)),
        (V3, subscribe(V3, 1, &[], &filters)),
    ] {
        let mut client = open(&broker, &Connect::new(version)).await;
        client.send(&bytes).await;
        let expected = match version {
            V5 => vec![crate::client::Answer::Disconnect(0x97)],
            _ => vec![],
        };
        assert_eq!(client.until_closed().await, Ok(expected), "{:x}", bytes[0]);
    }
    // So many are taken, to be refused by themselves.
    let mut client = open(&broker, &Connect::new(V5)).await;
    let fewer = publish(V5, 2, "notice", 1, &many[..1024], "x");
    let answer = ask(&mut client, &fewer).await;
    assert_eq!(answer, crate::client::Answer::Puback(1, 0x97));

    let mut client = begin(
        &broker,
        &Connect {
            properties: many,
            ..Connect::new(V5)
        },
    )
    .await;
    assert_eq!(client.until_closed().await, Ok(vec![]));
    assert_eq!(work.0.load(Relaxed), 0);
}
