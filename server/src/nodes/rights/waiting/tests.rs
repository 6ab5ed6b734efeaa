use super::*;

const OWN: &str = "own";
const NUMBER: i64 = 7;

/// A server that has put so many changes in force; its lease lasts for this long after the time 0.
fn node(id: &str, rights_seen: i64, lease_ms: i64, now: i64) -> Node {
    Node {
        id: NodeId::from_string(id),
        name: "green".into(),
        version: "0.1.0".into(),
        started_at: Timestamp::from_millis(0),
        lease_until: Timestamp::from_millis(lease_ms),
        rights_seen,
        stands: lease_ms > now,
    }
}

/// Looks at `nodes`, given with what they have seen and until when their leases last, at `now`.
fn look(waiting: &mut Waiting, now: i64, nodes: &[(&str, i64, i64)]) {
    let nodes: Vec<_> = nodes
        .iter()
        .map(|(id, seen, lease)| node(id, *seen, *lease, now))
        .collect();
    let own = NodeId::from_string(OWN);
    waiting.look(&nodes, Some(&own), NUMBER, Timestamp::from_millis(now));
}

fn ids(ids: &[&str]) -> Vec<NodeId> {
    ids.iter().map(|id| NodeId::from_string(*id)).collect()
}

fn behind(waiting: &Waiting) -> Vec<NodeId> {
    waiting.behind.keys().cloned().collect()
}

#[test]
fn others_are_waited_for_until_they_have_put_it_in_force() {
    let mut waiting = Waiting::default();
    look(
        &mut waiting,
        1000,
        &[
            (OWN, 3, 6000),
            ("a", 6, 6000),
            ("b", 7, 6000),
            ("c", 0, 6000),
        ],
    );
    assert_eq!(behind(&waiting), ids(&["a", "c"]));
    look(&mut waiting, 1050, &[("a", 7, 6000), ("c", 6, 6000)]);
    assert_eq!(behind(&waiting), ids(&["c"]));
    look(&mut waiting, 1100, &[("a", 7, 6000), ("c", 9, 6000)]);
    assert!(behind(&waiting).is_empty() && waiting.given_up.is_empty());
}

#[test]
fn who_says_nothing_until_its_lease_ends_is_given_up() {
    let mut waiting = Waiting::default();
    look(&mut waiting, 1000, &[("a", 6, 6000), ("b", 6, 6000)]);
    // One is still there to be seen, the other was inherited from already.
    look(&mut waiting, 6000, &[("a", 6, 6000)]);
    assert!(behind(&waiting).is_empty());
    assert_eq!(waiting.given_up, ids(&["a", "b"]));
}

/// The time that is known here is a little behind that of the database.
#[test]
fn whose_end_is_known_here_a_little_early_is_given_up_nonetheless() {
    let mut waiting = Waiting::default();
    look(&mut waiting, 5900, &[("a", 6, 6000)]);
    look(&mut waiting, 5990, &[]);
    assert_eq!(waiting.given_up, ids(&["a"]));
}

#[test]
fn who_leaves_has_ended_its_sessions_and_is_not_given_up() {
    let mut waiting = Waiting::default();
    look(&mut waiting, 1000, &[("a", 6, 6000)]);
    look(&mut waiting, 1050, &[]);
    assert!(behind(&waiting).is_empty() && waiting.given_up.is_empty());
}

#[test]
fn who_was_gone_before_is_not_waited_for() {
    let mut waiting = Waiting::default();
    look(&mut waiting, 7000, &[("a", 6, 6000)]);
    assert!(behind(&waiting).is_empty() && waiting.given_up.is_empty());
}

#[test]
fn who_comes_meanwhile_is_waited_for() {
    let mut waiting = Waiting::default();
    look(&mut waiting, 1000, &[("a", 6, 6000)]);
    look(&mut waiting, 6050, &[("a again", 6, 11_000)]);
    assert_eq!(behind(&waiting), ids(&["a again"]));
    assert_eq!(waiting.given_up, ids(&["a"]));
    look(&mut waiting, 6100, &[("a again", 7, 11_000)]);
    assert!(behind(&waiting).is_empty());
    assert_eq!(waiting.given_up, ids(&["a"]), "it was, once");
}

#[test]
fn it_is_known_why_it_takes_too_long() {
    let mut waiting = Waiting::default();
    waiting.failed(&StoreError::Busy);
    let Unknown::Database(error) = waiting.unknown() else {
        panic!("the number was not read");
    };
    assert_eq!(error, StoreError::Busy.to_string());
    let at = |stage| Waiting {
        stage,
        ..Waiting::default()
    };
    assert_eq!(at(Stage::Here).unknown(), Unknown::Here);
    assert!(matches!(at(Stage::There).unknown(), Unknown::Database(_)));
    let mut waiting = at(Stage::There);
    look(&mut waiting, 1000, &[("a", 6, 6000)]);
    assert_eq!(waiting.unknown(), Unknown::There(ids(&["a"])));
    let mut waiting = at(Stage::There);
    look(&mut waiting, 1000, &[("a", 6, 6000)]);
    waiting.failed(&StoreError::Busy);
    assert!(matches!(waiting.unknown(), Unknown::Database(_)));
}
