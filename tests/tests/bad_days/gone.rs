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
