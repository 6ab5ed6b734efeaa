//! What nodes that share a database tell each other.

use std::time::Duration;

use herald_store::{Membership, NodeChannel, NodeFrames, NodeId, Purpose, Received, Store};
use herald_test_databases::{CuttingProxy, DatabaseKind};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::DATABASE;
use crate::common::Db;
use crate::faults::behind;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// How soon something is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// A node that sends and receives.
struct Member {
    store: Store,
    membership: Membership,
    id: NodeId,
    channel: NodeChannel,
    frames: NodeFrames,
    running: JoinHandle<()>,
    _stop: DropGuard,
}

impl Member {
    /// One that has joined. It does not know of others yet.
    async fn join(store: Store) -> Self {
        let mut membership = Membership::of(&store).unwrap();
        let id = membership.join("here", "1", 0, None).await.unwrap();
        let (channel, frames) = NodeChannel::of(&store, Purpose::Hints).unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (channel, stop) = (channel.clone(), stop.clone());
            async move { channel.run(stop).await }
        });
        Self {
            store,
            membership,
            id,
            channel,
            frames,
            running,
            _stop: stop.drop_guard(),
        }
    }

    fn send(&self, frame: &str) {
        self.channel.send(|| frame.to_owned());
    }

    async fn next(&mut self) -> Received {
        timeout(LIMIT, self.frames.next()).await.unwrap()
    }

    /// The next frame, which nothing is missing before.
    async fn frame(&mut self) -> String {
        match self.next().await {
            Received::Frame { frame, .. } => frame,
            Received::Missed => panic!("nothing was lost"),
        }
    }

    /// Waits until it is told that something may be missing.
    async fn misses(&mut self) {
        while self.next().await != Received::Missed {}
    }

    /// Waits until it hears `other`, and nothing is left of what came before.
    async fn hears(&mut self, other: &Self) {
        let deadline = Instant::now() + LIMIT;
        for number in 0.. {
            assert!(Instant::now() < deadline, "it does not hear the other");
            let said = format!("do you hear {number}");
            other.send(&said);
            let heard = async {
                let frame = said.clone();
                let from = other.id.clone();
                let expected = Received::Frame { from, frame };
                while self.frames.next().await != expected {}
            };
            if timeout(AGAIN, heard).await.is_ok() {
                return;
            }
        }
    }
}

/// Lets each know who is there.
async fn look(members: &[&Member]) {
    let nodes = members[0].store.nodes().await.unwrap();
    for member in members {
        let standing = nodes.iter().filter(|node| node.stands);
        member.channel.know(standing.map(|node| node.id.clone()));
    }
}

/// Two that hear each other.
async fn two(db: &Db, other: Store) -> (Member, Member) {
    let mut first = Member::join(db.open_again().await).await;
    let mut second = Member::join(other).await;
    look(&[&first, &second]).await;
    second.hears(&first).await;
    first.hears(&second).await;
    (first, second)
}

#[tokio::test]
async fn each_node_hears_all_others_in_order() {
    let db = Db::new().await;
    let (first, mut second) = two(&db, db.open_again().await).await;
    let mut third = Member::join(db.open_again().await).await;
    look(&[&first, &second, &third]).await;
    // It may have missed what the others said before.
    third.misses().await;
    third.hears(&first).await;
    third.hears(&second).await;
    second.misses().await;
    second.hears(&third).await;
    for round in 0..50 {
        for number in 0..20 {
            first.send(&format!("first {round} {number}"));
            third.send(&format!("third {round} {number} ä\n1:"));
        }
        // Sometimes between two statements, and sometimes not.
        tokio::task::yield_now().await;
    }
    let (mut from_first, mut from_third) = (vec![], vec![]);
    while from_first.len() + from_third.len() < 2000 {
        let Received::Frame { from, frame } = second.next().await else {
            panic!("nothing was lost");
        };
        match (frame.starts_with("do you hear"), from == first.id) {
            (true, _) => {}
            (false, true) => from_first.push(frame),
            (false, false) => {
                assert_eq!(from, third.id);
                from_third.push(frame);
            }
        }
    }
    let all = (0..50).flat_map(|round| (0..20).map(move |number| (round, number)));
    let expected = all.clone().map(|(r, n)| format!("first {r} {n}"));
    assert!(from_first.into_iter().eq(expected));
    let expected = all.map(|(r, n)| format!("third {r} {n} ä\n1:"));
    assert!(from_third.into_iter().eq(expected));
}

#[tokio::test]
async fn what_does_not_fit_into_one_notification_is_sent_in_several() {
    let db = Db::new().await;
    let (first, mut second) = two(&db, db.open_again().await).await;
    let frames: Vec<_> = (0..60)
        .map(|number| format!("{number} {}", "x".repeat(NodeChannel::FRAME - 2 - number)))
        .filter(|frame| frame.len() <= NodeChannel::FRAME)
        .collect();
    for frame in &frames {
        first.send(frame);
    }
    for frame in frames {
        assert_eq!(second.frame().await, frame);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_missed() {
    let db = Db::new().await;
    let (first, mut second) = two(&db, db.open_again().await).await;
    // Nothing else is said, and yet it is told.
    first.send("a\0b");
    assert_eq!(second.next().await, Received::Missed);
    first.send(&"x".repeat(NodeChannel::FRAME + 1));
    first.send("next");
    assert_eq!(second.next().await, Received::Missed);
    assert_eq!(second.frame().await, "next");
}

#[tokio::test]
async fn after_a_flood_they_hear_each_other() {
    let db = Db::new().await;
    let (first, mut second) = two(&db, db.open_again().await).await;
    for number in 0..200_000 {
        first.send(&format!("{number:0100}"));
    }
    second.misses().await;
    second.hears(&first).await;
}

#[tokio::test]
async fn a_node_that_comes_back_under_another_id_is_heard() {
    let db = Db::new().await;
    let (mut first, mut second) = two(&db, db.open_again().await).await;
    let before = second.id.clone();
    let again = second.membership.join("here", "1", 0, Some(&before)).await;
    second.id = again.unwrap();
    look(&[&first, &second]).await;
    first.misses().await;
    first.hears(&second).await;
    // It was away.
    second.misses().await;
    second.hears(&first).await;
}

#[tokio::test]
async fn what_one_that_is_gone_could_not_say_is_missed() {
    let db = Db::new().await;
    let (first, mut second) = two(&db, db.open_again().await).await;
    second.store.leave(&first.id).await.unwrap();
    look(&[&second]).await;
    assert_eq!(second.next().await, Received::Missed);
}

/// Ends all connections to the database but the one that asks.
async fn end_connections(db: &Db) {
    let mut conn = db.connect().await;
    match DATABASE {
        DatabaseKind::Postgres => {
            let end = "SELECT CAST(count(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            conn.execute(end).await.unwrap();
        }
        _ => {
            let others = "SELECT CAST(id AS SIGNED) AS id FROM information_schema.processlist
                WHERE db = DATABASE() AND id <> CONNECTION_ID()";
            for row in conn.fetch_all(others).await.unwrap() {
                let kill = format!("KILL {}", row.get::<i64, _>("id"));
                // It may have ended.
                let _ = conn.execute(AssertSqlSafe(kill)).await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_said_while_connections_are_killed_is_heard_or_missed() {
    let db = Db::new().await;
    let (first, mut second) = two(&db, db.open_again().await).await;
    for _ in 0..3 {
        end_connections(&db).await;
        first.send("did you hear");
        let heard = second.next().await;
        let frame = "did you hear".to_owned();
        let from = first.id.clone();
        assert!([Received::Missed, Received::Frame { from, frame }].contains(&heard));
        second.hears(&first).await;
    }
}

/// Says something to a listener whose connection is lost in this way: it hears of that, or that it missed something.
async fn hears_behind(lose: impl FnOnce(&CuttingProxy)) {
    let db = Db::new().await;
    let proxy = CuttingProxy::start(DATABASE, db.dir.url()).await;
    let (first, mut second) = two(&db, behind(&proxy, &db).await).await;
    lose(&proxy);
    first.send("did you hear");
    match DATABASE {
        DatabaseKind::Postgres => assert_eq!(second.next().await, Received::Missed),
        // Rows wait.
        _ => assert_eq!(second.frame().await, "did you hear"),
    }
    second.hears(&first).await;
}

#[tokio::test]
async fn a_listener_that_is_cut_off_connects_again() {
    hears_behind(CuttingProxy::cut_all).await;
}

/// Neither side learns that the connection is lost.
#[tokio::test]
async fn a_listener_that_hears_nothing_of_itself_connects_again() {
    hears_behind(|proxy| proxy.silence().begin()).await;
}

/// How many connections listen, or how many frames there are as rows.
async fn traces(db: &Db) -> i64 {
    match DATABASE {
        DatabaseKind::Postgres => {
            db.count("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")
                .await
        }
        _ => db.count("SELECT COUNT(*) FROM node_frames").await,
    }
}

#[tokio::test]
async fn a_node_that_is_alone_does_nothing() {
    let db = Db::new().await;
    let mut first = Member::join(db.open_again().await).await;
    look(&[&first]).await;
    first.send("to nobody");
    let mut second = Member::join(db.open_again().await).await;
    assert_eq!(traces(&db).await, 0);
    look(&[&first, &second]).await;
    first.hears(&second).await;
    second.hears(&first).await;
    assert!(traces(&db).await > 0);
    // Nor once it is alone again.
    first.store.leave(&second.id).await.unwrap();
    look(&[&first]).await;
    first.misses().await;
    second.channel.know([]);
    second.misses().await;
    if DATABASE == DatabaseKind::Postgres {
        let gone = async { while traces(&db).await > 0 {} };
        timeout(LIMIT, gone).await.unwrap();
    }
}

#[tokio::test]
async fn rows_of_nodes_that_are_gone_are_deleted() {
    if DATABASE == DatabaseKind::Postgres {
        return;
    }
    let db = Db::new().await;
    db.execute("INSERT INTO node_frames (node, number, frames) VALUES ('gone', 1, '')")
        .await;
    let (first, second) = two(&db, db.open_again().await).await;
    let gone = async {
        while db.count("SELECT COUNT(*) FROM node_frames WHERE node = 'gone'").await > 0 {}
    };
    timeout(LIMIT, gone).await.unwrap();
    drop((first, second));
}

#[tokio::test]
async fn it_ends_when_it_is_stopped() {
    let db = Db::new().await;
    let (first, mut second) = two(&db, db.open_again().await).await;
    drop(first._stop);
    timeout(LIMIT, first.running).await.unwrap().unwrap();
    first.channel.send(|| "too late".to_owned());
    drop(second._stop);
    timeout(LIMIT, &mut second.running).await.unwrap().unwrap();
}
