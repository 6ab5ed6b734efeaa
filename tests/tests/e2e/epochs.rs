//! Backups that are restored: numbers of inboxes are given again, and nobody misses what they now tell of.

use std::{fs, path::PathBuf};

use herald_tests::{
    Herald, Version,
    raw::{Connect, Property, Raw},
};
use serde_json::{Value, json};

use crate::notified::{Notified, finish, inbox, notified, taken};

/// The epoch of the inboxes.
async fn epoch(herald: &Herald) -> String {
    let page = herald.http("alice").await.get("/notifications").await;
    page.expect(200)["epoch"].as_str().unwrap().to_owned()
}

/// Notifications with these numbers, about messages whose body is the prefix and the number.
fn all(numbers: std::ops::RangeInclusive<i64>, prefix: &str) -> Vec<Notified> {
    let one = |n| notified(n, &format!("{prefix}{n}"));
    numbers.map(one).collect()
}

async fn process(herald: &Herald, numbers: std::ops::RangeInclusive<i64>, prefix: &str) {
    let alice = herald.http("alice").await;
    for (_, body) in all(numbers, prefix) {
        finish(&alice, &[&body]).await;
    }
}

/// What the answer to a subscription behind this place of `session` is.
async fn follow(raw: &mut Raw, after: &str, epoch: &str) -> Vec<Property> {
    let place = [
        Property::user("after", after),
        Property::user("epoch", epoch),
    ];
    let (codes, told) = raw.subscribe_told(&[(&inbox("alice"), 1)], &place).await;
    assert_eq!(codes, [1]);
    told
}

/// A server of which a backup was made after five notifications, and which was stopped after ten: all of them seen, and
/// acknowledged by a client id that is kept. With the epoch, and the backup.
async fn after_ten() -> (Herald, String, PathBuf) {
    let mut herald = Herald::with_users(&["alice"]).await;
    let phone = Connect::kept("alice").client_id("phone");
    let mut phone = Raw::connect_as(&herald, Version::V5, &phone).await;
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    process(&herald, 1..=5, "old ").await;
    assert_eq!(taken(&mut phone, 5).await, all(1..=5, "old "));
    let backup = herald.folder().join("backup.db");
    let backed_up = herald.cli(&["backup", backup.to_str().unwrap()]);
    backed_up.succeed().await;
    process(&herald, 6..=10, "old ").await;
    assert_eq!(taken(&mut phone, 5).await, all(6..=10, "old "));
    let epoch = epoch(&herald).await;
    herald.stop().await;
    (herald, epoch, backup)
}

/// What a client finds that knows the number 10 of the epoch `old`, once there are eight notifications.
async fn nothing_is_missed(herald: &Herald, old: &str) {
    let new = epoch(herald).await;
    assert_ne!(new, old);
    let alice = herald.http("alice").await;
    // It goes on where the backup knows it to have been at least, and not behind what it never saw.
    let phone = Connect::kept("alice").client_id("phone");
    let mut phone = Raw::connect_as(herald, Version::V5, &phone).await;
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    process(herald, 6..=8, "new ").await;
    let mut heard = taken(&mut phone, 1).await;
    // At least once: what it acknowledged right before the backup may come again.
    while heard.last().unwrap().0 < 8 {
        heard.extend(taken(&mut phone, 1).await);
    }
    let first = heard.iter().position(|(n, _)| *n == 6).unwrap();
    assert_eq!(heard[first..], all(6..=8, "new "));

    // A place of the other epoch does not count.
    let mut app = Raw::connect_as(herald, Version::V5, &Connect::of("alice")).await;
    let told = follow(&mut app, "10", old).await;
    assert!(told.contains(&Property::user("epoch", &new)), "{told:?}");
    let reason =
        |p: &Property| matches!(p, Property::ReasonString(why) if why.contains("starts over"));
    assert!(told.iter().any(reason), "{told:?}");
    let first = app.message().await;
    assert!(first.properties.contains(&Property::user("seq", "1")));
    assert!(first.properties.contains(&Property::user("epoch", &new)));
    let first: Value = serde_json::from_str(&first.payload).unwrap();
    assert_eq!((&first["seq"], &first["epoch"]), (&json!(1), &json!(new)));

    // One of this does.
    let tablet = Connect::of("alice").client_id("tablet");
    let mut tablet = Raw::connect_as(herald, Version::V5, &tablet).await;
    let told = follow(&mut tablet, "6", &new).await;
    assert_eq!(told, [Property::user("epoch", &new)]);
    assert_eq!(taken(&mut tablet, 2).await, all(7..=8, "new "));

    // The same over HTTP.
    let get = async |query: &str| {
        let page = alice.get(&format!("/notifications?{query}")).await;
        page.expect(200)
    };
    let seqs = |page: &Value| -> Vec<i64> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|n| n["seq"].as_i64().unwrap()).collect()
    };
    let page = get(&format!("after=10&epoch={old}")).await;
    assert_eq!(seqs(&page), (1..=8).collect::<Vec<_>>());
    assert_eq!(
        (&page["restarted"], &page["epoch"]),
        (&json!(true), &json!(new))
    );
    let page = get(&format!("after=6&epoch={new}")).await;
    assert_eq!(
        (seqs(&page), &page["restarted"]),
        (vec![7, 8], &json!(false))
    );
    assert!(seqs(&get("after=10").await).is_empty());

    // What was seen of the other epoch acknowledges nothing.
    herald.http("admin").await.create_user("bob", "user").await;
    let bob = herald.http("bob").await;
    finish(&bob, &["hello"]).await;
    let ack = async |epoch: &str| {
        let ack = json!({"up_to": 10, "epoch": epoch});
        bob.post("/notifications/ack", &ack).await.expect(200)
    };
    assert_eq!(ack(old).await, json!({"acked": 0, "epoch": new}));
    assert_eq!(ack(&new).await, json!({"acked": 1, "epoch": new}));
    let access = bob.post("/auth/mqtt", &Value::Null).await.expect(200);
    assert_eq!(access["epoch"], new);
}

#[tokio::test]
async fn after_herald_restore_everything_is_heard_of_that_has_an_old_number() {
    let (mut herald, old, backup) = after_ten().await;
    let restored = herald.cli(&["restore", backup.to_str().unwrap()]);
    let told = restored.succeed().await;
    assert!(told.contains("before-restore"), "{told}");
    herald.begin().await;
    let new = epoch(&herald).await;
    nothing_is_missed(&herald, &old).await;
    // A start begins no epoch.
    herald.restart().await;
    assert_eq!(epoch(&herald).await, new);
    herald.kill().await;
    herald.begin().await;
    assert_eq!(epoch(&herald).await, new);
    // The database that was there can be had back.
    herald.stop().await;
    let kept = herald.data_dir().join("herald.db.before-restore");
    herald
        .cli(&["restore", kept.to_str().unwrap()])
        .succeed()
        .await;
    herald.begin().await;
    let page = herald.http("alice").await.get("/notifications").await;
    assert_eq!(page.expect(200)["items"].as_array().unwrap().len(), 10);
}

/// As operators do it who know SQLite.
#[tokio::test]
async fn a_backup_that_is_copied_into_place_begins_a_new_epoch_at_the_start() {
    let (mut herald, old, backup) = after_ten().await;
    fs::copy(&backup, herald.data_dir().join("herald.db")).unwrap();
    herald.begin().await;
    assert!(herald.stderr().contains("older than the one that was here"));
    nothing_is_missed(&herald, &old).await;
}

#[tokio::test]
async fn a_server_that_runs_is_not_restored_and_a_file_that_is_none_is_refused() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let old = epoch(&herald).await;
    let backup = herald.folder().join("backup.db");
    let backup = backup.to_str().unwrap();
    herald.cli(&["backup", backup]).succeed().await;
    let again = herald.cli(&["backup", backup]).run().await;
    assert!(
        again.code != 0 && again.stderr.contains("already"),
        "{again:?}"
    );
    let running = herald.cli(&["restore", backup]).run().await;
    assert!(running.code != 0, "{running:?}");
    assert!(
        running.stderr.contains("another server is running"),
        "{running:?}"
    );
    herald.stop().await;
    let garbage = herald.folder().join("garbage");
    fs::write(&garbage, "no database\n".repeat(1000)).unwrap();
    for file in [garbage.to_str().unwrap(), "nowhere"] {
        let refused = herald.cli(&["restore", file]).run().await;
        assert!(
            refused.code != 0 && !refused.stderr.is_empty(),
            "{refused:?}"
        );
    }
    herald.begin().await;
    assert_eq!(epoch(&herald).await, old);
}
