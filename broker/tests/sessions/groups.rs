//! Shared subscriptions whose members come and go.

use herald_acl::{Actions, Policy, Subject};
use herald_broker::Broker;

use crate::{
    client::{
        Answer::{Puback, Suback, Unsuback},
        Client,
    },
    common::{
        encode::{Connect, V5, ack, publish, subscribe, unsubscribe},
        hosts::{allow, policy},
    },
    setup::{all_had_a_turn, ask, connect, connect_one_by_one, next, open, published, start},
};

const GROUP: &str = "$share/g/notice";

/// A session of `username` in the group, at QoS 0.
async fn member(broker: &Broker, username: &'static str) -> Client {
    let connect = Connect {
        username,
        ..connect("member", true, 0)
    };
    let mut member = open(broker, &connect).await;
    let join = subscribe(V5, 1, &[], &[(GROUP, 0)]);
    assert_eq!(ask(&mut member, &join).await, Suback(1, vec![0]));
    member
}

/// Publishes `numbers`, and waits until the members have them.
async fn announce(broker: &Broker, numbers: &str) {
    let mut boss = open(broker, &connect("boss", true, 0)).await;
    let all = subscribe(V5, 1, &[], &[("notice", 0)]);
    assert_eq!(ask(&mut boss, &all).await, Suback(1, vec![0]));
    for n in numbers.chars() {
        let job = publish(V5, 0, "notice", 0, &[], &n.to_string());
        boss.send(&job).await;
        assert_eq!(self::job(&mut boss).await, n);
    }
}

/// All that has come by now.
async fn jobs(client: &mut Client) -> String {
    client.send(&subscribe(V5, 9, &[], &[("last", 0)])).await;
    let mut jobs = String::new();
    loop {
        let next = next(client).await;
        match published(&next) {
            Some(packet) => jobs.extend(packet.last().map(|n| char::from(*n))),
            None => return jobs,
        }
    }
}

#[tokio::test]
async fn a_group_is_of_one_user_unless_a_rule_opens_it() {
    let (broker, _intake) = start(5).await;
    let mut alice = member(&broker, "alice").await;
    let mut bob = member(&broker, "bob").await;
    announce(&broker, "123").await;
    assert_eq!(jobs(&mut alice).await, "123");
    assert_eq!(jobs(&mut bob).await, "123");

    // It opens for those who are there, too.
    let open = allow("crew", &Subject::Everyone, Actions::Subscribe, GROUP);
    let notice = allow("notice", &Subject::Everyone, Actions::Both, "notice");
    let last = allow("last", &Subject::Everyone, Actions::Both, "last");
    broker.set_policy(Policy::new(vec![open, notice, last]));
    all_had_a_turn(&broker).await;
    announce(&broker, "456789").await;
    let (of_alice, of_bob) = (jobs(&mut alice).await, jobs(&mut bob).await);
    assert_eq!((of_alice.len(), of_bob.len()), (3, 3));
    let mut all: Vec<char> = [of_alice, of_bob].concat().chars().collect();
    all.sort_unstable();
    assert_eq!(all, ['4', '5', '6', '7', '8', '9']);

    broker.set_policy(policy(Actions::Both));
    all_had_a_turn(&broker).await;
    announce(&broker, "12").await;
    assert_eq!(jobs(&mut alice).await, "12");
    assert_eq!(jobs(&mut bob).await, "12");
}

#[tokio::test]
async fn a_rule_about_a_group_lets_its_members_have_what_they_may_not_have_alone() {
    let (broker, _intake) = start(5).await;
    let open = allow("crew", &Subject::Everyone, Actions::Subscribe, GROUP);
    let last = allow("last", &Subject::Everyone, Actions::Both, "last");
    broker.set_policy(Policy::new(vec![open, last]));
    let mut alice = member(&broker, "alice").await;
    for filter in ["notice", "$share/other/notice"] {
        let alone = subscribe(V5, 2, &[], &[(filter, 0)]);
        assert_eq!(ask(&mut alice, &alone).await, Suback(2, vec![0x87]));
    }
}

/// The number that the next packet ends with.
async fn job(client: &mut Client) -> char {
    let next = next(client).await;
    let packet = published(&next).and_then(<[u8]>::last);
    char::from(*packet.expect("a job comes"))
}

#[tokio::test]
async fn what_waits_for_a_member_that_leaves_its_group_goes_to_another() {
    let (broker, _intake) = start(5).await;
    let mut leaves = open(&broker, &connect_one_by_one("leaves")).await;
    let mut stays = open(&broker, &connect("stays", true, 0)).await;
    for member in [&mut leaves, &mut stays] {
        let join = subscribe(V5, 1, &[], &[("$share/g/notice", 1)]);
        assert_eq!(ask(member, &join).await, Suback(1, vec![1]));
    }
    let mut boss = open(&broker, &connect("boss", true, 0)).await;
    for n in 1..=6 {
        let job = publish(V5, 2, "notice", n, &[], &n.to_string());
        assert_eq!(ask(&mut boss, &job).await, Puback(n, 0));
    }
    let mut done = vec![job(&mut leaves).await];
    for _ in 0..3 {
        done.push(job(&mut stays).await);
    }

    let leave = unsubscribe(V5, 2, &["$share/g/notice"]);
    assert_eq!(ask(&mut leaves, &leave).await, Unsuback(2, vec![0]));
    leaves.send(&ack(0x40, 1)).await;
    for _ in 0..2 {
        done.push(job(&mut stays).await);
    }
    done.sort_unstable();
    assert_eq!(done, ['1', '2', '3', '4', '5', '6']);
    assert_eq!(broker.metrics().shared_dropped.get(), 0);
    // Twice, as what there is room for is sent behind the answer.
    for _ in 0..2 {
        assert_eq!(leaves.answers(0).await, Ok(vec![]));
    }
}
