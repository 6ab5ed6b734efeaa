//! Connections that have nothing to write. MySQL ends what is idle for 10 s, so that what a server that is gone has locked is free.

use std::sync::Arc;
use std::time::Duration;

use herald_test_databases::{DatabaseKind, Moment};
use tokio::sync::Semaphore;
use tokio::time::{advance, pause, resume, timeout};

use crate::DATABASE;
use crate::common::{LEASE, at};
use crate::faults::Behind;

/// How long any of it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Less than a connection may be idle.
const WHILE: Duration = Duration::from_secs(6);

/// MySQL's COM_PING.
const PING: Option<u8> = Some(14);

#[tokio::test]
async fn a_connection_that_writes_is_used_before_the_server_ends_it() {
    if DATABASE == DatabaseKind::Postgres {
        return;
    }
    let behind = Behind::new().await;
    let pings = Arc::new(Semaphore::new(0));
    let seen = Arc::clone(&pings);
    let _watch = behind.proxy.cut_at(Moment::Before, move |message| {
        if message.kind == PING {
            seen.add_permits(1);
        }
        false
    });
    let idle = async || {
        pause();
        advance(WHILE).await;
        resume();
        // Both that write.
        let both = timeout(LIMIT, pings.acquire_many(2)).await.unwrap();
        both.unwrap().forget();
    };
    idle().await;
    // Both have their answers then.
    behind.store.ping().await.unwrap();
    assert_eq!(behind.store.claim(9, LEASE, at(1)).await.unwrap(), []);
    idle().await;
    behind.store.close().await;
}
