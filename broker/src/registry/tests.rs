use herald_acl::Role;
use tokio::{sync::oneshot::error::TryRecvError, time::Duration};

use super::*;

fn identity(name: &str) -> Identity {
    Identity {
        user_id: name.into(),
        username: Username::parse(name).unwrap(),
        role: Role::User,
        credential: Credential::Password,
    }
}

fn mailbox() -> Arc<Mailbox> {
    Arc::new(Mailbox::default())
}

fn enter(registry: &Registry, name: &str, client_id: &str) -> (SessionId, Arc<Mailbox>) {
    let (session, mailbox) = (SessionId::next(), mailbox());
    let entered = registry.enter(
        &identity(name),
        &client_id.into(),
        session,
        &mailbox,
        2,
        None,
    );
    assert!(matches!(entered, Ok(Entered::New)));
    (session, mailbox)
}

fn take_over(registry: &Registry, name: &str, client_id: &str) -> oneshot::Receiver<HandedSession> {
    let entered = registry.enter(
        &identity(name),
        &client_id.into(),
        SessionId::next(),
        &mailbox(),
        2,
        None,
    );
    match entered {
        Ok(Entered::TakingOver { handed, .. }) => handed,
        _ => panic!("there is a session"),
    }
}

fn notification() -> Notification {
    Notification {
        seq: 1,
        payload: "x".into(),
    }
}

#[test]
fn the_same_client_id_takes_over_the_session_only_within_one_user() {
    let registry = Registry::default();
    let (_, alice) = enter(&registry, "alice", "phone");
    let (_, bob) = enter(&registry, "bob", "phone");
    assert!(!alice.take(false).is_taken_over);
    let _handed = take_over(&registry, "alice", "phone");
    assert!(alice.take(false).is_taken_over && !bob.take(false).is_taken_over);
    assert_eq!(registry.count(), (2, 2));
}

#[test]
fn the_newest_takeover_counts_and_the_others_lapse() {
    let registry = Registry::default();
    let (session, _mailbox) = enter(&registry, "alice", "phone");
    let mut first = take_over(&registry, "alice", "phone");
    let mut second = take_over(&registry, "alice", "phone");
    assert_eq!(first.try_recv().err(), Some(TryRecvError::Closed));
    assert_eq!(second.try_recv().err(), Some(TryRecvError::Empty));
    let name = Username::parse("alice").unwrap();
    assert!(registry.leave(&name, session).is_some());
    assert_eq!(registry.count().0, 1, "it stays for whoever takes it over");
    assert!(registry.leave(&name, session).is_none());
    assert_eq!(registry.count().0, 0);
}

#[test]
fn who_waits_for_a_session_that_is_lost_learns_it() {
    let registry = Registry::default();
    let (session, _mailbox) = enter(&registry, "alice", "phone");
    let mut handed = take_over(&registry, "alice", "phone");
    registry.forget(&Username::parse("alice").unwrap(), session);
    assert_eq!(handed.try_recv().err(), Some(TryRecvError::Closed));
    enter(&registry, "alice", "phone");
}

#[test]
fn one_user_cannot_hold_more_sessions_than_allowed() {
    let registry = Registry::default();
    enter(&registry, "alice", "1");
    let (_, idle) = enter(&registry, "alice", "2");
    let third = || {
        registry.enter(
            &identity("alice"),
            &"3".into(),
            SessionId::next(),
            &mailbox(),
            2,
            None,
        )
    };
    assert!(third().is_err());
    enter(&registry, "bob", "3");
    idle.go_offline(0);
    assert!(third().is_ok(), "one without a connection makes room");
    assert_eq!(idle.take_orders().stop, Some(Reason::QuotaExceeded));
}

#[test]
fn what_is_revoked_ends_the_sessions_that_rest_on_it_and_logins_that_began_before() {
    let registry = Registry::default();
    let (before, alice) = (Instant::now(), enter(&registry, "alice", "1").1);
    let name = Username::parse("alice").unwrap();
    registry.revoke(&name, &Revoked::Token("t".into()));
    assert_eq!(alice.take(false).stop, None);
    assert!(!registry.is_revoked(&identity("alice"), before));
    registry.revoke(&name, &Revoked::Password);
    assert_eq!(alice.take(false).stop, Some(Reason::NotAuthorized));
    assert!(registry.is_revoked(&identity("alice"), before));
    assert!(!registry.is_revoked(&identity("bob"), before));
    let after = Instant::now() + Duration::from_millis(1);
    assert!(!registry.is_revoked(&identity("alice"), after));
}

#[test]
fn a_wake_up_reaches_the_sessions_of_its_user_alone() {
    let registry = Registry::default();
    let (_, alice) = enter(&registry, "alice", "1");
    let (_, bob) = enter(&registry, "bob", "1");
    registry.notify("alice", &Username::parse("alice").unwrap(), &notification());
    assert_eq!(alice.take(false).fresh.len(), 1);
    let mail = bob.take(false);
    assert!(mail.fresh.is_empty() && mail.shared.is_empty());
}

#[test]
fn what_another_server_finished_is_for_the_sessions_of_that_user_alone() {
    let registry = Registry::default();
    let (_, alice) = enter(&registry, "alice", "phone");
    let (_, bob) = enter(&registry, "bob", "phone");
    let name = Username::parse("alice").unwrap();
    let online = registry.online();
    assert_eq!(online.len(), 2);
    assert!(online.contains(&("alice".into(), name.clone())));
    assert!(registry.is_online("alice", &name));
    // Of one who had the name before.
    assert!(!registry.is_online("old", &name));
    registry.wake("old", &name, &notification());
    registry.tell_newest("old", &name, 9);
    let mail = alice.take(false);
    assert!(mail.fresh.is_empty() && mail.newest == 0);
    registry.wake("alice", &name, &notification());
    registry.tell_newest("alice", &name, 9);
    registry.tell_newest("alice", &name, 8);
    let mail = alice.take(false);
    assert!(mail.fresh.len() == 1 && mail.newest == 9 && !mail.missed);
    let mail = bob.take(false);
    assert!(mail.fresh.is_empty() && mail.newest == 0);
    alice.go_offline(0);
    assert!(!registry.is_online("alice", &name));
    assert_eq!(registry.online().len(), 1);
}
