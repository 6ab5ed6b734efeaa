//! A database that is deleted or replaced under the running server.

use std::fs;

use herald_tests::Herald;

use crate::refusing::Alice;

#[tokio::test]
async fn a_database_that_is_gone_is_told_of_and_nothing_is_taken_until_it_is_back() {
    let herald = Herald::start_with(&[("HERALD_WORKER__LEASE_MS", "1000")]).await;
    let mut alice = Alice::new(&herald).await;
    assert!(alice.post(10).await);
    let file = herald.data_dir().join("herald.db");
    let aside = herald.data_dir().join("aside");
    let gone = ("deleted or replaced", "herald restore FILE");
    fs::rename(&file, &aside).unwrap();
    alice
        .finds_nothing_taken_since(&herald, gone.0, gone.1)
        .await;
    // Another one in its place is no better.
    fs::copy(&aside, &file).unwrap();
    alice
        .finds_nothing_taken_since(&herald, gone.0, gone.1)
        .await;
    fs::rename(&aside, &file).unwrap();
    alice.finds_all_well(&herald).await;
}

#[tokio::test]
async fn an_old_database_copied_beside_the_log_of_a_crash_is_refused_at_the_start() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let [file, log, old] =
        ["herald.db", "herald.db-wal", "old"].map(|name| herald.data_dir().join(name));
    herald.stop().await;
    assert!(!log.exists(), "a clean stop leaves no log");
    fs::copy(&file, &old).unwrap();
    herald.begin().await;
    let id = herald.http("alice").await.send_message("before").await;
    herald.http("alice").await.processed(&id).await;
    herald.restart().await;
    let id = herald.http("alice").await.send_message("the last").await;
    herald.kill().await;
    let crashed = fs::read(&file).unwrap();
    fs::copy(&old, &file).unwrap();
    let (code, errors) = herald.begin_in_vain().await;
    assert_eq!(code, 1, "{errors}");
    for told in ["herald.db-wal does not belong to", "herald restore FILE"] {
        assert!(errors.contains(told), "{errors}");
    }
    // Nothing was changed: what crashed goes on.
    fs::write(&file, crashed).unwrap();
    herald.begin().await;
    herald.http("alice").await.processed(&id).await;
    // And the old one starts without the log of the other.
    herald.kill().await;
    fs::copy(&old, &file).unwrap();
    fs::remove_file(&log).unwrap();
    herald.begin().await;
    herald.http("alice").await;
}
