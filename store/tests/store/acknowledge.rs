//! Acknowledgements: the users' cursors, those of client ids, and what is delivered.

use std::sync::Arc;

use herald_store::{Acknowledged, MAX_CURSORS, Position, Seq, Store, Timestamp, UserId};

use crate::common::{Db, at, delete, notify, up_to, user};

/// What acknowledges everything up to `seq` for a client id, too.
fn by(user: &UserId, client_id: &str, seq: i64) -> Acknowledged {
    Acknowledged {
        client_id: Some(client_id.into()),
        ..up_to(user, seq)
    }
}

/// Where the user's cursor is.
async fn acked(store: &Store, user: &UserId) -> i64 {
    store.position(user).await.unwrap().acked.0
}

/// Where `client_id` stopped.
async fn cursor(store: &Store, user: &UserId, client_id: &str) -> i64 {
    cursor_at(store, user, client_id, at(0)).await
}

/// The same, asked at `now`.
async fn cursor_at(store: &Store, user: &UserId, client_id: &str, now: Timestamp) -> i64 {
    let cursor = store.cursor(user, &client_id.into(), Seq::NONE, now).await;
    cursor.unwrap().acked.0
}

#[tokio::test]
async fn an_acknowledgement_never_goes_back_or_beyond_the_newest() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    notify(&store, &ann, 3).await;
    assert_eq!(cursor(&store, &ann, "phone").await, 0);
    for (number, expected) in [(0, 0), (2, 2), (1, 2), (-5, 2), (99, 3), (3, 3)] {
        let acknowledged = by(&ann, "phone", number);
        store.acknowledge(&[acknowledged], at(9)).await.unwrap();
        assert_eq!(acked(&store, &ann).await, expected, "after {number}");
        let phone = cursor(&store, &ann, "phone").await;
        assert_eq!(phone, expected, "after {number}");
    }
    notify(&store, &ann, 1).await;
    assert_eq!(acked(&store, &ann).await, 3);
    assert_eq!(cursor(&store, &ann, "phone").await, 3);
}

#[tokio::test]
async fn many_users_and_clients_acknowledge_at_once() {
    let Db { store, dir: _dir } = Db::new().await;
    let mut owners = vec![];
    let mut all = vec![];
    for number in 1..=11 {
        let owner = user(&store, &format!("user{number}")).await.id;
        notify(&store, &owner, 5).await;
        for client in 0..7 {
            let client = client.to_string();
            assert_eq!(cursor(&store, &owner, &client).await, 0);
            all.push(by(&owner, &client, 1 + number % 5));
        }
        owners.push(owner);
    }
    // The same once more with lower numbers, a user without clients, and one who is nobody.
    let lower: Vec<_> = all.iter().map(|a| by(&a.user, "0", 1)).collect();
    all.extend(lower);
    let alone = user(&store, "alone").await.id;
    notify(&store, &alone, 5).await;
    let nobody = UserId::new();
    all.extend([up_to(&alone, 4), by(&nobody, "0", 4)]);
    store.acknowledge(&all, at(9)).await.unwrap();
    for (number, owner) in (1..).zip(&owners) {
        let expected = 1 + number % 5;
        assert_eq!(acked(&store, owner).await, expected);
        for client in 0..7 {
            let client = client.to_string();
            assert_eq!(cursor(&store, owner, &client).await, expected);
        }
    }
    assert_eq!(acked(&store, &alone).await, 4);
    assert_eq!(acked(&store, &nobody).await, 0);
    store.acknowledge(&[], at(9)).await.unwrap();
}

#[tokio::test]
async fn a_message_is_delivered_when_its_notification_is_first_acknowledged() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    let bob = user(&store, "bob").await.id;
    notify(&store, &ann, 4).await;
    notify(&store, &bob, 1).await;
    let delivered = async |owner: &UserId| -> Vec<_> {
        let mut messages = store.messages(owner, None, None, 10).await.unwrap().items;
        messages.reverse();
        messages.into_iter().map(|m| m.delivered_at).collect()
    };
    cursor(&store, &ann, "phone").await;
    for (acknowledged, now) in [
        (up_to(&ann, 2), at(10)),
        // The phone comes later, and only goes on where nobody was.
        (by(&ann, "phone", 1), at(20)),
        (by(&ann, "phone", 3), at(30)),
        (up_to(&ann, 3), at(40)),
        // Going back is not to have received less.
        (by(&ann, "laptop", 3), at(50)),
    ] {
        store.acknowledge(&[acknowledged], now).await.unwrap();
    }
    let phone = "phone".into();
    let back = store.set_cursor(&ann, &phone, Seq::NONE, at(60)).await;
    assert_eq!(back.unwrap().acked, Seq::NONE);
    let acknowledged = by(&ann, "phone", 3);
    store.acknowledge(&[acknowledged], at(70)).await.unwrap();
    assert_eq!(
        delivered(&ann).await,
        [Some(at(10)), Some(at(10)), Some(at(30)), None]
    );
    assert_eq!(delivered(&bob).await, [None]);
}

#[tokio::test]
async fn a_client_id_begins_at_its_users_cursor_and_stays_where_it_stopped() {
    let db = Db::new().await;
    let store = &db.store;
    let ann = user(store, "ann").await.id;
    notify(store, &ann, 5).await;
    store.acknowledge(&[up_to(&ann, 2)], at(1)).await.unwrap();
    assert_eq!(cursor(store, &ann, "phone").await, 2);
    // Others move on.
    let others = [up_to(&ann, 4), by(&ann, "laptop", 5)];
    store.acknowledge(&others, at(2)).await.unwrap();
    assert_eq!(cursor(store, &ann, "phone").await, 2);
    assert_eq!(cursor(store, &ann, "laptop").await, 5);
    assert_eq!(cursor(store, &ann, "tv").await, 5);
    // And it does, without them.
    let acknowledged = by(&ann, "phone", 3);
    store.acknowledge(&[acknowledged], at(3)).await.unwrap();
    assert_eq!(acked(store, &ann).await, 5);
    db.store.close().await;
    let store = db.open_again().await;
    assert_eq!(cursor(&store, &ann, "phone").await, 3);
}

#[tokio::test]
async fn what_is_not_written_yet_counts_for_a_client_id_that_begins_and_for_no_other() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    notify(&store, &ann, 5).await;
    let expected = |acked| Position {
        acked: Seq(acked),
        last: Seq(5),
    };
    let begin = async |client_id: &str, noted| {
        let client_id: Arc<str> = client_id.into();
        let begun = store.cursor(&ann, &client_id, Seq(noted), at(1)).await;
        begun.unwrap()
    };
    assert_eq!(begin("phone", 2).await, expected(2));
    assert_eq!(begin("phone", 4).await, expected(2));
    assert_eq!(begin("laptop", 9).await, expected(5));
    store.acknowledge(&[up_to(&ann, 3)], at(1)).await.unwrap();
    assert_eq!(begin("tv", 1).await, expected(3));
}

#[tokio::test]
async fn a_cursor_can_be_set_forwards_and_back() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    notify(&store, &ann, 5).await;
    let phone: Arc<str> = "phone".into();
    for (to, acked) in [(4, 4), (1, 1), (99, 5), (-1, 0), (5, 5), (0, 0)] {
        let set = store.set_cursor(&ann, &phone, Seq(to), at(1)).await;
        let expected = Position {
            acked: Seq(acked),
            last: Seq(5),
        };
        assert_eq!(set.unwrap(), expected, "{to}");
        assert_eq!(cursor(&store, &ann, "phone").await, acked, "{to}");
    }
    assert_eq!(acked(&store, &ann).await, 0, "the user's stays");
}

#[tokio::test]
async fn the_same_client_id_of_two_users_is_two_cursors() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    let bob = user(&store, "bob").await.id;
    notify(&store, &ann, 5).await;
    notify(&store, &bob, 5).await;
    for (owner, at_first) in [(&ann, 0), (&bob, 0)] {
        assert_eq!(cursor(&store, owner, "phone").await, at_first);
    }
    let both = [by(&ann, "phone", 2), by(&bob, "phone", 3)];
    store.acknowledge(&both, at(1)).await.unwrap();
    let bobs = by(&bob, "phone", 4);
    store.acknowledge(&[bobs], at(1)).await.unwrap();
    assert_eq!(cursor(&store, &ann, "phone").await, 2);
    assert_eq!(cursor(&store, &bob, "phone").await, 4);
    let back = store.set_cursor(&bob, &"phone".into(), Seq(1), at(1)).await;
    assert_eq!(back.unwrap().acked, Seq(1));
    assert_eq!(cursor(&store, &ann, "phone").await, 2);
    // Many of one user's leave the other's alone.
    for n in 0..2 * MAX_CURSORS {
        cursor(&store, &bob, &n.to_string()).await;
    }
    assert_eq!(cursor(&store, &ann, "phone").await, 2);
    // They go with their user.
    delete(&store, &ann).await;
    let carol = user(&store, "ann").await.id;
    notify(&store, &carol, 3).await;
    assert_eq!(cursor(&store, &carol, "phone").await, 0);
    assert_eq!(cursor(&store, &ann, "phone").await, 0, "of nobody");
}

#[tokio::test]
async fn the_cursor_longest_unused_makes_room_for_a_new_one() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    notify(&store, &ann, 5).await;
    let hour = 3_600_000;
    for n in 0..MAX_CURSORS {
        cursor_at(&store, &ann, &n.to_string(), at(n)).await;
    }
    // The first is used by an acknowledgement, the second by asking for it.
    let all = |seq| by(&ann, "0", seq);
    store.acknowledge(&[all(1)], at(1000)).await.unwrap();
    assert_eq!(cursor_at(&store, &ann, "1", at(hour + 1)).await, 0);
    store
        .acknowledge(&[up_to(&ann, 4)], at(1000))
        .await
        .unwrap();
    assert_eq!(cursor_at(&store, &ann, "new", at(2 * hour)).await, 4);
    assert_eq!(cursor_at(&store, &ann, "0", at(1001)).await, 1, "kept");
    assert_eq!(cursor_at(&store, &ann, "1", at(1001)).await, 0, "kept");
    assert_eq!(cursor_at(&store, &ann, "3", at(1001)).await, 0, "kept");
    let again = cursor_at(&store, &ann, "2", at(2 * hour)).await;
    assert_eq!(again, 4, "forgotten, so it begins as a new one does");
}

/// Of a clock that was set back, too.
#[tokio::test]
async fn a_new_cursor_is_never_the_one_that_is_forgotten() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    notify(&store, &ann, 5).await;
    for n in 0..MAX_CURSORS {
        cursor_at(&store, &ann, &n.to_string(), at(3_600_000)).await;
    }
    let new: Arc<str> = "new".into();
    let set = store.set_cursor(&ann, &new, Seq(3), at(0)).await;
    assert_eq!(set.unwrap().acked, Seq(3));
    assert_eq!(cursor(&store, &ann, "new").await, 3);
}

/// A session that goes on while many others come and go.
#[tokio::test]
async fn an_acknowledgement_brings_a_forgotten_cursor_back_within_the_bound() {
    let db = Db::new().await;
    let store = &db.store;
    let ann = user(store, "ann").await.id;
    notify(store, &ann, 5).await;
    cursor_at(store, &ann, "phone", at(0)).await;
    for n in 0..MAX_CURSORS {
        cursor_at(store, &ann, &n.to_string(), at(1 + n)).await;
    }
    let acknowledged = by(&ann, "phone", 2);
    store.acknowledge(&[acknowledged], at(1000)).await.unwrap();
    store
        .acknowledge(&[up_to(&ann, 5)], at(1000))
        .await
        .unwrap();
    assert_eq!(cursor_at(store, &ann, "phone", at(1001)).await, 2);
    // The longest unused went instead.
    assert_eq!(cursor_at(store, &ann, "1", at(1001)).await, 0);
    assert_eq!(db.count("SELECT COUNT(*) FROM cursors").await, MAX_CURSORS);
    assert_eq!(cursor_at(store, &ann, "0", at(1001)).await, 5);
    assert_eq!(db.count("SELECT COUNT(*) FROM cursors").await, MAX_CURSORS);
}

#[tokio::test]
async fn a_cursor_that_is_moved_on_goes_neither_back_nor_beyond_the_newest() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    let bob = user(&store, "bob").await.id;
    notify(&store, &ann, 3).await;
    let phone = Arc::from("phone");
    let skip = async |user, to| store.skip(user, &phone, Seq(to), at(1)).await.unwrap();
    assert_eq!(skip(&ann, 1).await, None, "it has no cursor");
    store.cursor(&ann, &phone, Seq::NONE, at(0)).await.unwrap();
    for (to, now) in [(0, 0), (2, 2), (1, 2), (i64::MIN, 2), (i64::MAX, 3)] {
        let position = skip(&ann, to).await.unwrap();
        assert_eq!((position.acked, position.last), (Seq(now), Seq(3)), "{to}");
    }
    assert_eq!(skip(&bob, 1).await, None, "another user's client id");
    assert_eq!(store.position(&ann).await.unwrap().acked, Seq::NONE);
}
