//! A disk that fills up under the running server.

use herald_tests::{Herald, SmallDisk, fill, free};

use crate::refusing::Alice;

#[tokio::test]
async fn a_full_disk_is_told_of_and_forgotten_once_there_is_room() {
    let disk = SmallDisk::new(12 << 20);
    // A message whose end could not be written is taken up when its lease has run out.
    let mut herald = Herald::stopped_on(disk, &[("HERALD_WORKER__LEASE_MS", "1000")]);
    herald.begin().await;
    let mut alice = Alice::new(&herald).await;
    assert!(alice.post(10).await);
    let filler = herald.data_dir().join("filler");
    for _ in 0..2 {
        fill(&filler);
        alice.finds_nothing_taken(&herald).await;
        free(&filler);
    }
    alice.finds_all_well(&herald).await;
}
