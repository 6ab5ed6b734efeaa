//! Where a cursor goes, and which ones are forgotten for it.

use std::collections::BTreeMap;

use super::rows::{Cursor, CursorKey};
use crate::{Position, Seq, UserId};

/// How many cursors a user has at most. For one more, that which was not used for longest is forgotten.
pub const MAX_CURSORS: i64 = 64;

/// How a cursor moves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    /// Begins where its user's cursor is, or where it is asked for if that is further on. One that is there stays.
    Begin,
    /// To where it is asked for, wherever it was.
    GoTo,
    /// On to where it is asked for, if it is there and not further on.
    GoOn,
}

/// Where the cursor of `client_id` is after it moved; `None`: there is none. `theirs` are the cursors of its user. No cursor
/// is further on than the newest number.
pub(super) fn decide(
    how: Move,
    to: Seq,
    inbox: Position,
    theirs: &[Cursor],
    client_id: &str,
) -> Option<Seq> {
    let found = theirs.iter().find(|cursor| *cursor.client_id == *client_id);
    let found = found.map(|cursor| cursor.seq);
    match how {
        Move::Begin => found.or(Some(inbox.acked.max(to.min(inbox.last)))),
        Move::GoTo => Some(to.min(inbox.last).max(Seq::NONE)),
        Move::GoOn => found.map(|found| found.max(to.min(inbox.last))),
    }
}

/// Which of the cursors that are there are forgotten, so that nobody has too many with those that are put.
pub(crate) fn forgotten(there: Vec<Cursor>, put: &[&Cursor]) -> Vec<CursorKey> {
    let mut users = BTreeMap::<UserId, Vec<Cursor>>::new();
    for cursor in there {
        users.entry(cursor.user.clone()).or_default().push(cursor);
    }
    let mut forgotten = vec![];
    for (user, mut theirs) in users {
        theirs.retain(|cursor| !put.iter().any(|put| put.key() == cursor.key()));
        theirs.sort_by(|a, b| (b.used, &a.client_id).cmp(&(a.used, &b.client_id)));
        let new = put.iter().filter(|put| put.user == user).count();
        let room = (MAX_CURSORS as usize).saturating_sub(new);
        forgotten.extend(theirs.iter().skip(room).map(Cursor::key));
    }
    forgotten
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn cursor(client_id: &str, seq: i64, used: i64) -> Cursor {
        Cursor {
            user: UserId::from_string("ann".to_owned()),
            client_id: client_id.into(),
            seq: Seq(seq),
            used: Timestamp::from_millis(used),
        }
    }

    #[test]
    fn no_cursor_is_beyond_the_newest_number() {
        let inbox = Position {
            acked: Seq(4),
            last: Seq(9),
        };
        let there = [cursor("phone", 6, 0)];
        for (how, to, phone, tablet) in [
            (Move::Begin, 7, Some(6), Some(7)),
            (Move::Begin, 2, Some(6), Some(4)),
            (Move::Begin, 99, Some(6), Some(9)),
            (Move::GoTo, 2, Some(2), Some(2)),
            (Move::GoTo, -5, Some(0), Some(0)),
            (Move::GoTo, 99, Some(9), Some(9)),
            (Move::GoOn, 2, Some(6), None),
            (Move::GoOn, 8, Some(8), None),
            (Move::GoOn, 99, Some(9), None),
        ] {
            for (client_id, expected) in [("phone", phone), ("tablet", tablet)] {
                let seq = decide(how, Seq(to), inbox, &there, client_id);
                assert_eq!(seq, expected.map(Seq), "{how:?} {to} {client_id}");
            }
        }
    }

    #[test]
    fn those_that_were_not_used_for_longest_are_forgotten_and_never_the_one_that_is_put() {
        let full = || (0..MAX_CURSORS).map(|n| cursor(&n.to_string(), 0, n));
        let new = cursor("new", 0, 0);
        assert_eq!(
            forgotten(full().collect(), &[&new]),
            [cursor("0", 0, 0).key()]
        );
        let first = cursor("0", 0, 0);
        assert_eq!(forgotten(full().collect(), &[&first]), []);
        let more = full().chain([cursor("more", 0, 0)]);
        assert_eq!(
            forgotten(more.collect(), &[&first]),
            [cursor("more", 0, 0).key()]
        );
        assert_eq!(forgotten(vec![], &[&new]), []);
    }
}
