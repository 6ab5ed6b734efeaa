#![allow(dead_code, clippy::all)]
#[path = "../answers/client.rs"]
mod client;
#[path = "../common/mod.rs"]
mod common;
use client::{Answer, Client};
use common::{encode::*, hosts::*};
use herald_acl::*;
use herald_broker::{Broker, Revoked};
use std::time::Duration;

fn be(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}
fn conn(id: &'static str, clean: bool, expiry: u32) -> Connect {
    Connect {
        clean,
        client_id: id,
        properties: vec![number(0x11, &be(expiry))],
        ..Connect::new(V5)
    }
}
async fn until(mut f: impl FnMut() -> bool) {
    tokio::time::timeout(Duration::from_secs(20), async {
        while !f() {
            tokio::time::sleep(Duration::from_millis(5)).await
        }
    })
    .await
    .expect("until");
}
async fn open(b: &Broker, c: &Connect) -> (Client, Answer) {
    let mut k = Client::new(b, c.version);
    k.send(&c.bytes()).await;
    let a = k.next().await.unwrap().unwrap();
    (k, a)
}
fn will() -> Option<Will> {
    Some(Will {
        qos: 1,
        retain: false,
        topic: "users/alice/messages",
        properties: vec![number(0x18, &be(30))],
    })
}
async fn parked_with_will(b: &Broker, id: &'static str) {
    let (a, ack) = open(
        b,
        &Connect {
            will: will(),
            ..conn(id, true, 60)
        },
    )
    .await;
    assert_eq!(ack, Answer::Connack(0));
    drop(a);
    until(|| b.connected() == 0 && b.sessions() == 1).await;
}
fn alice() -> Username {
    Username::parse("alice").unwrap()
}

#[tokio::test]
async fn t1_a_session_that_is_being_taken_up_is_not_evicted() {
    let b = broker2(2).await;
    parked_with_will(&b, "a1").await;
    let (mut kb, ack) = open(&b, &conn("b", true, 0)).await;
    assert_eq!(ack, Answer::Connack(0));
    let mut a2 = Client::new(&b, V5);
    a2.send(&conn("a1", true, 0).bytes()).await;
    until(|| started("slow-a1") == 1).await;
    let (mut c, ack) = open(&b, &conn("c", true, 0)).await;
    println!("c: {ack:?}");
    gate("slow-a1").add_permits(1);
    println!("a2: {:?}", a2.next().await);
    println!(
        "a2 alive: {:?}; sessions {} connected {}",
        a2.answers(0).await,
        b.sessions(),
        b.connected()
    );
    b.revoke(&alice(), &Revoked::User);
    println!("b: {:?}; c: {:?}", kb.next().await, c.next().await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let alive = a2.answers(0).await;
    println!("a2 after revoke: {alive:?}");
    a2.send(&publish(V5, 2, "notice", 9, &[], "x")).await;
    println!("a2 publishes: {:?}", a2.next().await);
    assert!(alive.is_err(), "the revoked session lives on");
}

#[tokio::test]
async fn t2_a_revocation_while_the_old_will_is_published_is_not_lost() {
    let b = broker2(5).await;
    parked_with_will(&b, "a2").await;
    let mut a2 = Client::new(&b, V5);
    a2.send(&conn("a2", true, 0).bytes()).await;
    until(|| started("slow-a2") == 1).await;
    b.revoke(&alice(), &Revoked::User);
    gate("slow-a2").add_permits(1);
    println!("a2: {:?}", a2.next().await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let alive = a2.answers(0).await;
    println!("after revoke: {alive:?}");
    assert!(alive.is_err(), "the revoked session lives on");
}

#[tokio::test]
async fn t3_a_new_session_has_no_qos_2_identifiers_of_the_old() {
    let b = broker2(5).await;
    let (mut k1, _) = open(&b, &conn("q", true, 0)).await;
    k1.send(&publish(
        V5,
        4,
        "users/alice/messages",
        5,
        &[],
        r#"{"body":"slow-q"}"#,
    ))
    .await;
    until(|| started("slow-q") == 1).await;
    let mut k2 = Client::new(&b, V5);
    k2.send(&conn("q", false, 60).bytes()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    gate("slow-q").add_permits(1);
    println!("k2: {:?}", k2.next().await);
    drop(k2);
    until(|| b.connected() == 0).await;
    let (mut k3, ack) = open(&b, &conn("q", false, 60)).await;
    println!("k3: {ack:?}");
    k3.send(&publish(
        V5,
        4,
        "users/alice/messages",
        5,
        &[],
        r#"{"body":"new-q"}"#,
    ))
    .await;
    println!("k3: {:?}", k3.next().await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(started("new-q"), 1, "acknowledged, and never stored");
}

fn without_notice() -> Policy {
    let rule = |id: &str, subject, actions, filter: &str| Rule {
        id: id.into(),
        subject,
        actions,
        effect: Effect::Allow,
        filter: FilterTemplate::parse(filter).unwrap(),
    };
    Policy::new(vec![
        rule("inbox", Subject::Everyone, Actions::Subscribe, "users/%u/#"),
        rule(
            "notice",
            Subject::Role(Role::Admin),
            Actions::Both,
            "notice",
        ),
    ])
}

#[tokio::test]
async fn t4_what_is_published_while_one_may_not_have_it_does_not_come_later() {
    let b = broker2(5).await;
    let (mut k1, _) = open(&b, &conn("o", true, 60)).await;
    k1.send(&subscribe(V5, 1, &[], &[("notice", 1)])).await;
    println!("{:?}", k1.next().await);
    drop(k1);
    until(|| b.connected() == 0).await;
    b.set_policy(without_notice());
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let (mut r, _) = open(
        &b,
        &Connect {
            username: "root",
            ..conn("r", true, 0)
        },
    )
    .await;
    r.send(&publish(V5, 2, "notice", 1, &[], "secret of then"))
        .await;
    println!("{:?}", r.next().await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    b.set_policy(policy(Actions::Both));
    let (mut k2, ack) = open(&b, &conn("o", false, 60)).await;
    println!("{ack:?}");
    let got = tokio::time::timeout(Duration::from_secs(1), k2.next()).await;
    println!("{got:?}");
    assert!(got.is_err(), "it came");
}

struct Flood {
    first: Vec<u8>,
    more: Vec<u8>,
    until: std::time::Instant,
}
impl tokio::io::AsyncRead for Flood {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if !self.first.is_empty() {
            let f = std::mem::take(&mut self.first);
            buf.put_slice(&f);
        } else if std::time::Instant::now() < self.until {
            buf.put_slice(&self.more);
        }
        std::task::Poll::Ready(Ok(()))
    }
}
impl tokio::io::AsyncWrite for Flood {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        b: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::task::Poll::Ready(Ok(b.len()))
    }
    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn t5_a_token_expires_under_a_client_that_never_pauses() {
    let b = broker2(5).await;
    let first = Connect {
        username: "tok",
        ..conn("t", true, 0)
    }
    .bytes();
    let more = publish(V5, 0, "last", 0, &[], "x").repeat(50);
    let start = std::time::Instant::now();
    let flood = Flood {
        first,
        more,
        until: start + Duration::from_secs(4),
    };
    let bb = b.clone();
    tokio::spawn(async move {
        bb.serve(
            flood,
            PEER,
            tokio::time::Instant::now() + Duration::from_secs(5),
        )
        .await
    })
    .await
    .unwrap();
    println!("served for {:?}", start.elapsed());
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "the token expired after 0.3 s"
    );
}

#[tokio::test]
async fn t6_one_copy_though_a_filter_is_subscribed_again() {
    let b = broker2(5).await;
    let c = Connect {
        properties: vec![number(0x21, &[0, 1])],
        ..conn("s", true, 0)
    };
    let (mut s, _) = open(&b, &c).await;
    s.send(&subscribe(
        V5,
        1,
        &[],
        &[("rooms/alice/x", 2), ("rooms/alice/#", 2)],
    ))
    .await;
    println!("t6 {:?}", s.next().await);
    let (mut p, _) = open(&b, &conn("p", true, 0)).await;
    p.send(&publish(V5, 2, "rooms/alice/x", 1, &[], "once"))
        .await;
    println!("t6 {:?}", p.next().await);
    println!("t6 first {:?}", s.next().await);
    s.send(&subscribe(V5, 2, &[], &[("rooms/alice/x", 2 | 0x20)]))
        .await;
    println!("t6 {:?}", s.next().await);
    s.send(&ack(0x40, 1)).await;
    let again = tokio::time::timeout(Duration::from_secs(1), s.next()).await;
    println!("t6 again {again:?}");
    assert!(again.is_err());
}

#[tokio::test]
async fn t8_no_will_of_a_user_who_lost_the_right_before_it_was_published() {
    let b = broker2(5).await;
    let (mut bob, _) = open(
        &b,
        &Connect {
            username: "bob",
            ..conn("bob", true, 0)
        },
    )
    .await;
    bob.send(&subscribe(V5, 1, &[], &[("notice", 1)])).await;
    println!("t8 {:?}", bob.next().await);
    let w = Some(Will {
        qos: 1,
        retain: false,
        topic: "notice",
        properties: vec![],
    });
    let (mut a, _) = open(
        &b,
        &Connect {
            will: w,
            ..conn("w", true, 0)
        },
    )
    .await;
    a.send(&publish(
        V5,
        2,
        "users/alice/messages",
        5,
        &[],
        r#"{"body":"slow-w"}"#,
    ))
    .await;
    until(|| started("slow-w") == 1).await;
    drop(a);
    tokio::time::sleep(Duration::from_millis(300)).await;
    b.revoke(&alice(), &Revoked::User);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    gate("slow-w").add_permits(1);
    let got = tokio::time::timeout(Duration::from_secs(1), bob.next()).await;
    println!("t8 {got:?}");
    assert!(got.is_err(), "the will came");
}

#[tokio::test]
async fn t9_what_waits_for_a_member_that_leaves_its_group_goes_to_another() {
    let b = broker2(5).await;
    let one = Connect {
        properties: vec![number(0x21, &[0, 1])],
        ..conn("m1", true, 0)
    };
    let (mut m1, _) = open(&b, &one).await;
    let (mut m2, _) = open(&b, &conn("m2", true, 0)).await;
    for m in [&mut m1, &mut m2] {
        m.send(&subscribe(V5, 1, &[], &[("$share/g/notice", 1)]))
            .await;
        println!("t9 {:?}", m.next().await);
    }
    let (mut p, _) = open(&b, &conn("p9", true, 0)).await;
    for i in 1..=6 {
        p.send(&publish(V5, 2, "notice", i, &[], "job")).await;
        p.next().await.unwrap();
    }
    m1.next().await.unwrap();
    for _ in 0..3 {
        m2.next().await.unwrap();
    }
    m1.send(&unsubscribe(V5, 2, &["$share/g/notice"])).await;
    println!("t9 {:?}", m1.next().await);
    m1.send(&ack(0x40, 1)).await;
    let more = tokio::time::timeout(Duration::from_secs(1), m2.next()).await;
    let m1s = tokio::time::timeout(Duration::from_secs(1), m1.next()).await;
    println!(
        "t9 m2 {more:?} m1 {m1s:?} dropped {}",
        b.metrics().shared_dropped.get()
    );
    assert!(more.is_ok(), "two jobs are lost");
}

#[tokio::test]
async fn t10_sys_values_that_wait_are_bounded() {
    let b = broker2(5).await;
    let one = Connect {
        username: "root",
        properties: vec![number(0x21, &[0, 1])],
        ..conn("r1", true, 0)
    };
    let (mut r, _) = open(&b, &one).await;
    r.send(&subscribe(V5, 1, &[], &[("notice", 1)])).await;
    r.next().await.unwrap();
    let (mut p, _) = open(&b, &conn("p10", true, 0)).await;
    p.send(&publish(V5, 2, "notice", 1, &[], "x")).await;
    p.next().await.unwrap();
    println!("t10 {:?}", r.next().await.unwrap().is_some());
    for id in 2..7 {
        r.send(&subscribe(V5, id, &[], &vec![("$SYS/herald/#", 0); 7_000]))
            .await;
        r.next().await.unwrap();
    }
    r.send(&ack(0x40, 1)).await;
    let mut n = 0;
    while let Ok(Ok(Some(_))) = tokio::time::timeout(Duration::from_secs(2), r.next()).await {
        n += 1;
        if n > 100_000 {
            break;
        }
    }
    println!("t10 waited: {n}");
    assert!(n < 2000);
}

#[tokio::test]
async fn t11_a_connack_that_does_not_fit_ends_no_session() {
    let b = broker2(5).await;
    let (mut k, _) = open(&b, &conn("x", true, 60)).await;
    k.send(&subscribe(V5, 1, &[], &[("notice", 1)])).await;
    k.next().await.unwrap();
    drop(k);
    until(|| b.connected() == 0).await;
    println!("t11 before {}", b.sessions());
    let mut k = Client::new(&b, V5);
    let c = Connect {
        properties: vec![number(0x11, &be(60)), number(0x27, &be(5))],
        ..conn("x", false, 60)
    };
    k.send(&c.bytes()).await;
    println!("t11 {:?} sessions {}", k.next().await, b.sessions());
    assert_eq!(b.sessions(), 1);
}
