//! Takeovers, decided without a database.

use super::*;
use crate::Timestamp;

const LIMIT: usize = 3;

fn key(client_id: &str) -> SessionKey {
    SessionKey {
        user: UserId::from_string("ann"),
        client_id: client_id.into(),
    }
}

fn take(client_id: &str, number: i64) -> TakeOver {
    TakeOver {
        session: MqttSession {
            key: key(client_id),
            id: format!("run-{number}"),
            token_id: None,
            peer: Some("192.0.2.1:1883".into()),
            transport: "tcp".into(),
            protocol: "5".into(),
            connected_at: Timestamp::from_millis(0),
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

fn process(name: &str) -> ProcessId {
    ProcessId::from_string(name)
}

/// A session of a process that is there, with a connection.
fn row(client_id: &str, name: &str, number: i64) -> Row {
    Row {
        key: key(client_id),
        process: process(name),
        number,
        first_number: number,
        is_connected: true,
        is_live: true,
    }
}

fn facts(rows: Vec<Row>) -> Facts {
    Facts {
        sessions: HashMap::from([(UserId::from_string("ann"), rows)]),
        ..Facts::default()
    }
}

/// Decided by the process `here`.
fn here(all: &[TakeOver], facts: Facts) -> Decision {
    decide(&all.iter().collect::<Vec<_>>(), &process("here"), facts)
}

fn done(output: &TakenOver) -> &Ownership {
    match output {
        TakenOver::Done(ownership) => ownership,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_cut_off_takes_nothing() {
    let mut facts = facts(vec![row("phone", "there", 3)]);
    facts.is_cut_off = true;
    let decision = here(&[take("phone", 7), take("tablet", 8)], facts);
    let outputs = vec![TakenOver::CutOff; 2];
    let nothing = Decision {
        outputs,
        ..Decision::default()
    };
    assert_eq!(decision, nothing);
}

#[test]
fn one_that_nobody_has_is_taken() {
    let decision = here(&[take("phone", 7)], facts(vec![]));
    assert_eq!(decision.put, [(take("phone", 7).session, 7, 7)]);
    assert_eq!((decision.orders, decision.removed), (vec![], vec![]));
    let taken = done(&decision.outputs[0]);
    assert_eq!((taken.first_number, taken.elsewhere), (7, 0));
    assert!(!taken.is_awaited && taken.tell.is_empty());
}

#[test]
fn one_that_another_process_has_is_ended_there_if_that_is_there() {
    for (is_live, clean, reason) in [
        (true, false, Some(EndReason::TakenOver)),
        (true, true, Some(EndReason::BeganAnew)),
        (false, false, None),
    ] {
        let theirs = Row {
            is_live,
            ..row("phone", "there", 40)
        };
        let mut take = take("phone", 7);
        take.clean = clean;
        let decision = here(&[take], facts(vec![theirs]));
        assert_eq!((decision.put[0].1, decision.put[0].2), (7, 7));
        let orders = decision.orders.iter();
        let orders: Vec<_> = orders.map(|o| (&o.process, o.number, o.reason)).collect();
        let ordered = reason.map(|reason| (process("there"), 40, reason));
        let ordered = ordered.iter().map(|(p, n, r)| (p, *n, *r));
        assert_eq!(orders, ordered.collect::<Vec<_>>());
        let taken = done(&decision.outputs[0]);
        assert_eq!(taken.is_awaited, is_live);
        assert_eq!(taken.tell.len(), usize::from(is_live));
    }
}

#[test]
fn one_that_this_process_has_goes_on_and_never_with_a_lower_number() {
    let own = Row {
        first_number: 3,
        ..row("phone", "here", 5)
    };
    for (number, written) in [(7, 7), (4, 5)] {
        let decision = here(&[take("phone", number)], facts(vec![own.clone()]));
        assert_eq!((decision.put[0].1, decision.put[0].2), (written, 3));
        assert_eq!(decision.orders, []);
        assert_eq!(done(&decision.outputs[0]).first_number, 3);
    }
}

#[test]
fn whoever_still_has_to_end_it_is_waited_for() {
    let mut facts = facts(vec![row("phone", "second", 5)]);
    facts.awaited = vec![
        (key("phone"), process("first")),
        (key("phone"), process("here")),
        (key("tablet"), process("third")),
    ];
    let decision = here(&[take("phone", 7)], facts);
    let taken = done(&decision.outputs[0]);
    assert_eq!(taken.tell, [process("first"), process("second")]);
    assert!(taken.is_awaited);
}

#[test]
fn sessions_here_and_elsewhere_count_together_and_the_same_client_id_once() {
    let elsewhere = || vec![row("tablet", "there", 1), row("phone", "there", 2)];
    let with_here = |client_id: &str, here: usize| TakeOver {
        here,
        ..take(client_id, 7)
    };
    for (client_id, here_already, fits) in [
        ("phone", 1, true),
        ("phone", 2, false),
        ("watch", 0, true),
        ("watch", 1, false),
    ] {
        let decision = here(&[with_here(client_id, here_already)], facts(elsewhere()));
        let output = &decision.outputs[0];
        assert_eq!(
            *output != TakenOver::TooMany,
            fits,
            "{client_id} {here_already}"
        );
        if !fits {
            assert_eq!((decision.put, decision.orders), (vec![], vec![]));
        }
    }
    // One of a process that is gone does not count.
    let mut rows = elsewhere();
    rows[0].is_live = false;
    let decision = here(&[with_here("watch", 1)], facts(rows));
    assert_eq!(done(&decision.outputs[0]).elsewhere, 1);
}

#[test]
fn one_without_a_connection_makes_room_here_first() {
    let idle = Row {
        is_connected: false,
        ..row("tablet", "there", 4)
    };
    let rows = || vec![row("watch", "there", 2), idle.clone()];
    let mut one_more = take("phone", 7);
    one_more.here = 1;
    let decision = here(&[one_more.clone()], facts(rows()));
    assert_eq!(decision.removed, [key("tablet")]);
    let order = &decision.orders[0];
    assert_eq!((&order.process, order.number), (&process("there"), 4));
    assert_eq!(order.reason, EndReason::MadeRoom);
    let taken = done(&decision.outputs[0]);
    assert_eq!((taken.elsewhere, taken.is_awaited), (1, false));
    assert_eq!(taken.tell, [process("there")]);

    one_more.idle_here = true;
    let decision = here(&[one_more], facts(rows()));
    assert_eq!((decision.removed, decision.orders), (vec![], vec![]));
    assert_eq!(done(&decision.outputs[0]).elsewhere, 2);
}

#[test]
fn of_one_session_in_a_batch_the_last_takeover_is_written_and_others_are_counted() {
    let all = [take("phone", 7), take("phone", 8), take("tablet", 9)];
    let decision = here(&all, facts(vec![row("phone", "there", 3)]));
    let written = decision.put.iter();
    let written: Vec<_> = written
        .map(|(session, number, first)| (&*session.key.client_id, *number, *first))
        .collect();
    assert_eq!(written, [("phone", 8, 7), ("tablet", 9, 9)]);
    assert_eq!(decision.orders.len(), 1);
    for output in &decision.outputs[..2] {
        assert!(done(output).is_awaited);
        assert_eq!(done(output).first_number, 7);
    }
}
