//! Who gets a message, against a model that knows who subscribed to what.

use herald_acl::Username;
use proptest::prelude::*;

use super::*;
use crate::bus::subscriptions::Share;

#[derive(Clone, Debug)]
enum Change {
    /// A session subscribes to a filter, with or without what is its own.
    Enter(usize, usize, bool),
    Leave(usize, usize),
    LeaveAll(usize),
    /// A session publishes to a topic.
    Publish(usize, usize),
}

const FILTERS: [&str; 8] = [
    "$share/g/a/+",
    "$share/h/a/b",
    "$share/h/#",
    "a/b",
    "+/b",
    "a/#",
    "#",
    "$x/b",
];
const TOPICS: [&str; 4] = ["a/b", "a", "c/b", "$x/b"];
const SESSIONS: usize = 4;

/// Whose group a session enters with a filter: the sessions are two users', and some groups are open to both.
fn owner(session: usize, filter: usize) -> Option<Username> {
    let name = ["alice", "bob"][session % 2];
    let is_open = FILTERS[filter].starts_with("$share/h/");
    (!is_open).then(|| Username::parse(name).unwrap())
}

fn step() -> impl Strategy<Value = Change> {
    let (session, filter) = (0..SESSIONS, 0..FILTERS.len());
    prop_oneof![
        3 => (session.clone(), filter.clone(), any::<bool>())
            .prop_map(|(session, filter, no_local)| Change::Enter(session, filter, no_local)),
        1 => (session.clone(), filter).prop_map(|(session, filter)| Change::Leave(session, filter)),
        1 => session.clone().prop_map(Change::LeaveAll),
        4 => (session, 0..TOPICS.len()).prop_map(|(session, topic)| Change::Publish(session, topic)),
    ]
}

/// A subscription that there is.
#[derive(Clone, Copy)]
struct Held {
    key: SubscriptionKey,
    no_local: bool,
}

proptest! {
    #[test]
    fn a_message_comes_once_to_each_session_and_once_to_each_group(
        steps in proptest::collection::vec(step(), 1..100)
    ) {
        let mut subscriptions = Subscriptions::default();
        let sessions: Vec<(SessionId, Arc<Recorder>)> =
            (0..SESSIONS).map(|_| (SessionId::next(), Arc::default())).collect();
        let mut model = [[None::<Held>; FILTERS.len()]; SESSIONS];
        for (seq, step) in (1..).zip(steps) {
            match step {
                Change::Enter(s, f, no_local) => {
                    let (session, recorder) = &sessions[s];
                    let (filter, owner) = (filter(FILTERS[f]), owner(s, f));
                    let no_local = no_local && !filter.is_shared();
                    let key = model[s][f].map_or_else(SubscriptionKey::next, |held| held.key);
                    let subscription = Subscription {
                        session: *session,
                        key,
                        filter: &filter,
                        no_local,
                        owner: owner.as_ref(),
                    };
                    subscriptions.enter(&subscription, recorder.clone(), seq);
                    model[s][f] = Some(Held { key, no_local });
                }
                Change::Leave(s, f) => {
                    subscriptions.leave(sessions[s].0, &filter(FILTERS[f]));
                    model[s][f] = None;
                }
                Change::LeaveAll(s) => {
                    subscriptions.leave_all(sessions[s].0);
                    model[s] = Default::default();
                }
                Change::Publish(publisher, t) => {
                    let message = Arc::new(Message {
                        seq,
                        origin: sessions[publisher].0,
                        ..message(TOPICS[t], "x")
                    });
                    prop_assert_eq!(subscriptions.deliver(&message, &Share::Anyone).outcome.dropped, 0);
                    let mut of_groups = vec![];
                    for (s, (_, recorder)) in sessions.iter().enumerate() {
                        let (shared, alone): (Vec<_>, Vec<_>) =
                            recorder.take().into_iter().partition(Delivery::is_shared);
                        of_groups.extend(shared.into_iter().map(|d| (s, d)));
                        check_session(&model[s], s == publisher, &message, &alone)?;
                    }
                    check_groups(&model, &message, of_groups)?;
                }
            }
        }
        for (session, _) in &sessions {
            subscriptions.leave_all(*session);
        }
        prop_assert!(subscriptions.is_empty());
    }
}

/// What a session with the subscriptions `held` got of `message` by those that are its own: one copy, for all that match.
fn check_session(
    held: &[Option<Held>],
    is_publisher: bool,
    message: &Message,
    got: &[Delivery],
) -> Result<(), TestCaseError> {
    let mut keys: Vec<_> = got.iter().flat_map(|d| d.subscriptions.clone()).collect();
    let matching = |f: &usize| {
        let filter = filter(FILTERS[*f]);
        !filter.is_shared() && filter.matches(&message.topic)
    };
    let mut expected: Vec<_> = (0..FILTERS.len())
        .filter(matching)
        .filter_map(|f| held[f])
        .filter(|held| !(held.no_local && is_publisher))
        .map(|held| held.key)
        .collect();
    keys.sort_by_key(|key| format!("{key:?}"));
    expected.sort_by_key(|key| format!("{key:?}"));
    prop_assert_eq!(got.len(), usize::from(!expected.is_empty()));
    prop_assert_eq!(keys, expected);
    Ok(())
}

/// What sessions `got` of `message` as members of groups: one copy a group.
fn check_groups(
    model: &[[Option<Held>; FILTERS.len()]; SESSIONS],
    message: &Message,
    mut got: Vec<(usize, Delivery)>,
) -> Result<(), TestCaseError> {
    for f in 0..FILTERS.len() {
        let filter = filter(FILTERS[f]);
        if !filter.is_shared() || !filter.matches(&message.topic) {
            continue;
        }
        let mut users = vec![owner(0, f), owner(1, f)];
        users.dedup();
        for user in users {
            let members: Vec<_> = (0..SESSIONS)
                .filter(|s| owner(*s, f) == user && model[*s][f].is_some())
                .collect();
            let of_group = |(_, d): &(usize, Delivery)| {
                d.group
                    .as_ref()
                    .is_some_and(|id| id.filter == filter && id.owner == user)
            };
            let copies: Vec<_> = got.extract_if(.., |d| of_group(d)).collect();
            prop_assert_eq!(copies.len(), usize::from(!members.is_empty()));
            for (s, delivery) in copies {
                prop_assert!(members.contains(&s));
                let key = model[s][f].map(|held| held.key);
                prop_assert_eq!(&delivery.subscriptions[..], &[key.unwrap()]);
            }
        }
    }
    prop_assert!(got.is_empty());
    Ok(())
}
