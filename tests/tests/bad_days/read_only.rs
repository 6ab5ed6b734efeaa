//! A database whose files turn read-only under the running server.

use herald_tests::{Herald, Immutable};

use crate::refusing::Alice;

/// Immutable files are to their users what a file system is that the kernel has made read-only after an error of the disk:
/// writing to an open file fails, and a file that is opened again can only be read. But that can be undone.
#[tokio::test]
async fn a_read_only_database_is_told_of_and_forgotten_once_it_can_be_written() {
    let herald = Herald::start_with(&[("HERALD_WORKER__LEASE_MS", "1000")]).await;
    let mut alice = Alice::new(&herald).await;
    assert!(alice.post(10).await);
    let files = ["herald.db", "herald.db-wal"].map(|name| herald.data_dir().join(name));
    for _ in 0..2 {
        let immutable = Immutable::new(&files);
        alice.finds_nothing_taken(&herald).await;
        drop(immutable);
    }
    alice.finds_all_well(&herald).await;
}
