//! Shared subscriptions.

use std::collections::BTreeSet;

use herald_acl::Username;
use proptest::prelude::*;

use super::*;

/// What is in a mailbox: group or filter, and payload.
fn taken(mailbox: &Mailbox) -> Vec<(String, String)> {
    let shared = mailbox.take(false).shared;
    shared
        .iter()
        .map(|d| {
            let payload = std::str::from_utf8(&d.message.payload).unwrap();
            (d.filter.to_string(), payload.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn members_of_a_group_share_its_messages_and_other_subscriptions_get_their_own() {
    let bus = bus().await;
    let (_, a) = listener(&bus, "$share/g/jobs/+");
    let b = Arc::new(Mailbox::default());
    let session = SessionId::next();
    // Granted through another scope, and with a subscription of its own.
    for text in ["$share/g/jobs/+", "jobs/#"] {
        bus.subscribe(&filter("jobs/#"), &filter(text), None, session, &b)
            .unwrap();
    }
    let (_, other_group) = listener(&bus, "$share/h/jobs/+");
    for i in 0..10 {
        bus.publish(message("jobs/x", &i.to_string()))
            .await
            .unwrap();
    }
    let mut shared = arrived(&a, |got| got.len() == 5).await;
    let of_b = arrived(&b, |got| got.len() == 15).await;
    let (own, of_group): (Vec<_>, Vec<_>) = of_b.into_iter().partition(|d| &*d.filter == "jobs/#");
    assert_eq!((own.len(), of_group.len()), (10, 5));
    shared.extend(of_group);
    shared.sort_by_key(|d| d.message.payload.clone());
    assert_eq!(payloads(&shared).concat(), "0123456789");
    assert!(shared.iter().all(|d| &*d.filter == "$share/g/jobs/+"));
    assert_eq!(arrived(&other_group, |got| got.len() == 10).await.len(), 10);
    bus.stop().await;
}

#[tokio::test]
async fn what_a_member_could_not_finish_goes_to_another_or_is_counted() {
    let bus = bus().await;
    let (a, mail_a) = listener(&bus, "$share/g/jobs");
    bus.publish(message("jobs", "1")).await.unwrap();
    let given = arrived(&mail_a, |got| got.len() == 1).await.remove(0);
    bus.reassign(given.clone(), a);
    assert_eq!(bus.metrics.shared_dropped.get(), 1);
    assert!(mail_a.take(false).shared.is_empty());

    let (b, mail_b) = listener(&bus, "$share/g/jobs");
    for _ in 0..3 {
        bus.reassign(given.clone(), a);
    }
    assert!(mail_a.take(false).shared.is_empty());
    assert_eq!(
        taken(&mail_b),
        vec![("$share/g/jobs".into(), "1".into()); 3]
    );

    bus.unsubscribe(b, None);
    bus.publish(message("jobs", "2")).await.unwrap();
    assert_eq!(
        payloads(&arrived(&mail_a, |got| got.len() == 1).await),
        ["2"]
    );
    bus.unsubscribe(a, None);
    bus.reassign(given, a);
    assert_eq!(bus.metrics.shared_dropped.get(), 2);
    bus.stop().await;
}

#[test]
fn scopes_are_bounded_and_those_that_nobody_listens_in_make_room() {
    let mut subscribers = Subscribers::default();
    let mailbox = Arc::new(Mailbox::default());
    let mut enter = |i: usize, session| {
        let scope = filter(&format!("{i}/#"));
        subscribers.enter(&scope, &scope, None, session, &mailbox)
    };
    let first = SessionId::next();
    assert!(enter(0, first));
    for i in 1..subscribers::MAX_SCOPES {
        assert!(enter(i, SessionId::next()));
    }
    assert!(!enter(usize::MAX, SessionId::next()));
    assert!(enter(1, SessionId::next()));
    subscribers.leave_all(first);
    let scope = filter("new/#");
    assert!(subscribers.enter(&scope, &scope, None, first, &mailbox));
    assert_eq!(subscribers.used_slots().len(), subscribers::MAX_SCOPES);
}

#[derive(Clone, Debug)]
enum Step {
    /// A session subscribes to a filter, through a scope.
    Enter(usize, usize, usize),
    Leave(usize, usize),
    LeaveAll(usize),
    Publish,
}

const FILTERS: [&str; 4] = ["$share/g/a/+", "$share/h/a/b", "a/b", "+/b"];
const SCOPES: [&str; 2] = ["#", "+/+"];
const SESSIONS: usize = 4;

/// Whose group a session enters with a filter: the sessions are two users', and one group is open to both.
fn owner(session: usize, filter: usize) -> Option<Username> {
    let name = ["alice", "bob"][session % 2];
    let is_open = FILTERS[filter].starts_with("$share/h/");
    (!is_open).then(|| Username::parse(name).unwrap())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..SESSIONS, 0..FILTERS.len(), 0..SCOPES.len())
            .prop_map(|(session, filter, scope)| Step::Enter(session, filter, scope)),
        (0..SESSIONS, 0..FILTERS.len()).prop_map(|(session, filter)| Step::Leave(session, filter)),
        (0..SESSIONS).prop_map(Step::LeaveAll),
        Just(Step::Publish),
        Just(Step::Publish),
    ]
}

proptest! {
    /// Against a model that knows who subscribed to what.
    #[test]
    fn each_message_comes_once_to_a_group_of_each_user_and_once_to_each_other_session(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let mut subscribers = Subscribers::default();
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| (SessionId::next(), Arc::new(Mailbox::default())))
            .collect();
        // The scope, if the session has subscribed to the filter.
        let mut model = [[None; FILTERS.len()]; SESSIONS];
        for step in steps {
            match step {
                Step::Enter(s, f, scope) => {
                    let (session, mailbox) = &sessions[s];
                    let granted_by = filter(SCOPES[scope]);
                    let owner = owner(s, f);
                    let entered = subscribers.enter(&granted_by, &filter(FILTERS[f]), owner.as_ref(), *session, mailbox);
                    prop_assert!(entered);
                    model[s][f] = Some(scope);
                }
                Step::Leave(s, f) => {
                    subscribers.leave(sessions[s].0, &filter(FILTERS[f]));
                    model[s][f] = None;
                }
                Step::LeaveAll(s) => {
                    subscribers.leave_all(sessions[s].0);
                    model[s] = Default::default();
                }
                Step::Publish => {
                    let message = Arc::new(message("a/b", "x"));
                    for slot in subscribers.slots_for(&message.topic) {
                        prop_assert_eq!(subscribers.deliver(slot, &message), 0);
                    }
                    let mut copies = [[0; FILTERS.len()]; SESSIONS];
                    for (s, (_, mailbox)) in sessions.iter().enumerate() {
                        for (filter, _) in taken(mailbox) {
                            copies[s][FILTERS.iter().position(|f| *f == filter).unwrap()] += 1;
                        }
                    }
                    for (f, text) in FILTERS.iter().enumerate() {
                        if !text.starts_with("$share") {
                            continue;
                        }
                        for user in [owner(0, f), owner(1, f)] {
                            let of_user = |s: &usize| owner(*s, f) == user;
                            let subscribed = (0..SESSIONS).filter(of_user).filter(|s| model[*s][f].is_some()).count();
                            let total: usize = (0..SESSIONS).filter(of_user).map(|s| copies[s][f]).sum();
                            prop_assert_eq!(total, subscribed.min(1));
                        }
                        for s in 0..SESSIONS {
                            prop_assert!(copies[s][f] <= usize::from(model[s][f].is_some()));
                        }
                    }
                    // Once for each scope, however many filters were granted by it.
                    let alone: Vec<usize> = (0..FILTERS.len()).filter(|f| !FILTERS[*f].starts_with("$share")).collect();
                    for s in 0..SESSIONS {
                        let scopes: BTreeSet<usize> = alone.iter().filter_map(|f| model[s][*f]).collect();
                        let had: usize = alone.iter().map(|f| copies[s][*f]).sum();
                        prop_assert_eq!(had, scopes.len());
                    }
                }
            }
        }
        for (session, _) in &sessions {
            subscribers.leave_all(*session);
        }
        prop_assert!(subscribers.used_slots().is_empty());
    }

    #[test]
    fn members_that_stay_get_equal_shares(members in 1_usize..8, rounds in 1_usize..8) {
        let mut subscribers = Subscribers::default();
        let mailboxes: Vec<_> = (0..members).map(|_| Arc::new(Mailbox::default())).collect();
        for mailbox in &mailboxes {
            subscribers.enter(&filter("#"), &filter("$share/g/a"), None, SessionId::next(), mailbox);
        }
        for _ in 0..rounds * members {
            subscribers.deliver(0, &Arc::new(message("a", "x")));
        }
        for mailbox in &mailboxes {
            prop_assert_eq!(mailbox.take(false).shared.len(), rounds);
        }
    }
}
