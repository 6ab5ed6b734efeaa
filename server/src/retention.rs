//! Forgets what is older than the configuration says.

use std::time::{Duration, SystemTime};

use herald_store::{Pruned, Store, Timestamp};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::Retention;

/// How often there may be something that has become too old.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// A start has other things to do first.
const FIRST: Duration = Duration::from_secs(60);

/// How often the audit may have too many entries.
const CUT_EVERY: Duration = Duration::from_secs(60);

/// How often failed sign-ins are forgotten that do not count any more.
const FORGET_SIGN_INS_EVERY: Duration = Duration::from_secs(60);

/// How many failures, and how many right ones, the database keeps.
const SIGN_INS: u64 = 100_000;

/// How often it is looked whether the database has much free room.
const SHRINK_EVERY: Duration = Duration::from_secs(60);

/// How often counts are compared with what there is. Not at once at a start: it takes a while where there is much.
const MEND_FIRST: Duration = Duration::from_secs(60 * 60);
const MEND_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Prunes what is older than the configuration says once an hour, until stopped. 0 days: never.
pub(crate) async fn run(store: Store, keep: Retention, stop: CancellationToken) {
    let pruning = async {
        tokio::join!(
            prune_hourly(&store, &keep, FIRST),
            cut_audit(&store, &keep),
            shrink(&store),
            forget_sign_ins(&store),
            mend_counts(&store)
        );
    };
    stop.run_until_cancelled(pruning).await;
}

async fn prune_hourly(store: &Store, keep: &Retention, first: Duration) {
    sleep(first).await;
    loop {
        if keep.days > 0 {
            prune(store, before(keep.days, earliest_now())).await;
        }
        if keep.audit_days > 0 {
            prune_audit(store, before(keep.audit_days, earliest_now())).await;
        }
        sleep(EVERY).await;
    }
}

/// Keeps the audit within its number of entries: looked at more often, as an hour makes many.
async fn cut_audit(store: &Store, keep: &Retention) {
    if keep.audit_entries == 0 {
        return;
    }
    loop {
        sleep(CUT_EVERY).await;
        match store.cut_audit(keep.audit_entries).await {
            Ok(0) => {}
            Ok(entries) => {
                tracing::warn!(
                    entries,
                    limit = keep.audit_entries,
                    "the audit forgot its oldest entries: there were too many"
                );
            }
            Err(e) => {
                tracing::error!(error = %e, "the audit could not forget; it is tried again in a minute");
            }
        }
    }
}

/// Gives the room of what was deleted back to the disk.
async fn shrink(store: &Store) {
    let mut logged = false;
    loop {
        sleep(SHRINK_EVERY).await;
        match store.shrink().await {
            Ok(shrunk) if shrunk.bytes > 0 => {
                tracing::info!(
                    bytes = shrunk.bytes,
                    "the database gave room back to the disk"
                );
            }
            Ok(shrunk) if shrunk.is_fixed && !logged => {
                logged = true;
                tracing::info!(
                    "much of the database file is free, and the file cannot be shrunk, as an older version made it; \
                     herald backup and herald restore make one that can"
                );
            }
            Ok(_) => {}
            Err(e) => {
                tracing::error!(error = %e, "the database could not be shrunk; it is tried again in a minute");
            }
        }
    }
}

/// Keeps what is counted of sign-ins in the database small.
async fn forget_sign_ins(store: &Store) {
    loop {
        sleep(FORGET_SIGN_INS_EVERY).await;
        if let Err(error) = store.forget_sign_ins(Timestamp::now(), SIGN_INS).await {
            tracing::warn!(%error, "failed sign-ins could not be forgotten; it is tried again in a minute");
        }
    }
}

/// Mends what is counted, where statements by hand are not counted.
async fn mend_counts(store: &Store) {
    sleep(MEND_FIRST).await;
    loop {
        match store.mend_counts().await {
            Ok(0) => {}
            Ok(messages) => tracing::warn!(
                messages,
                "the numbers of messages by status were wrong, as after a change by hand, and are right again"
            ),
            Err(e) => {
                tracing::warn!(error = %e, "messages could not be counted; it is tried again in a day");
            }
        }
        sleep(MEND_EVERY).await;
    }
}

/// Now, or less if the system's clock was ahead and was set right: [`Timestamp::now`] stays ahead then, and what is not old
/// would be lost.
fn earliest_now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let wall = Timestamp::from_millis(0) + since.unwrap_or_default();
    wall.min(Timestamp::now())
}

/// What is older than `days` at `now` is from before this time.
fn before(days: u32, now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - i64::from(days) * DAY_MS)
}

async fn prune(store: &Store, before: Timestamp) {
    match store.prune(before).await {
        Ok(pruned) if pruned == Pruned::default() => {}
        Ok(Pruned {
            messages,
            notifications,
            cursors,
        }) => tracing::info!(messages, notifications, cursors, %before, "forgot what is too old"),
        Err(e) => {
            tracing::error!(error = %e, "what is too old could not be forgotten; it is tried again in an hour");
        }
    }
}

async fn prune_audit(store: &Store, before: Timestamp) {
    match store.prune_audit(before).await {
        Ok(0) => {}
        Ok(entries) => tracing::info!(entries, %before, "the audit forgot what is too old"),
        Err(e) => {
            tracing::error!(error = %e, "the audit could not forget; it is tried again in an hour");
        }
    }
}

#[cfg(test)]
mod tests {
    use herald_acl::Role;
    use herald_store::{CreateUser, Outcome, StoreOptions};
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        (dir, Store::open(options).await.unwrap())
    }

    fn keep(days: u32) -> Retention {
        Retention {
            days,
            audit_days: days,
            audit_entries: 0,
        }
    }

    /// A message that was finished so many days ago.
    async fn finished(store: &Store, days: u32) {
        let then = before(days, Timestamp::now());
        let name = format!("user{days}").parse().unwrap();
        let created = store.create_user(&name, Role::User, "", then).await;
        let CreateUser::Created(user) = created.unwrap() else {
            panic!("{name} is taken");
        };
        let sent = store.accept(&user.id, "hello".into(), None, then).await;
        sent.unwrap();
        let (due, lease) = (then + Duration::from_secs(60), Duration::from_secs(60));
        let jobs = store.claim(1, lease, due).await.unwrap();
        let result = "hello".into();
        let outcome = Outcome::Processed { result };
        let finished = store.finish(&jobs[0], outcome, then).await;
        finished.unwrap().unwrap();
    }

    #[test]
    fn days_are_counted_back() {
        let now = Timestamp::from_millis(40 * DAY_MS + 7);
        assert_eq!(before(30, now), Timestamp::from_millis(10 * DAY_MS + 7));
    }

    #[tokio::test]
    async fn what_is_older_than_so_many_days_is_pruned() {
        let (_dir, store) = store().await;
        finished(&store, 31).await;
        finished(&store, 29).await;
        let one_is_left = async {
            while store.counts().await.unwrap().processed != 1 {
                tokio::task::yield_now().await;
            }
        };
        let keep = keep(30);
        tokio::select! {
            () = prune_hourly(&store, &keep, Duration::ZERO) => unreachable!("it goes on"),
            pruned = timeout(LIMIT, one_is_left) => pruned.unwrap(),
        }
        store.close().await;
    }

    #[tokio::test]
    async fn it_ends_when_it_is_told_to() {
        let (_dir, store) = store().await;
        for days in [0, 30] {
            let stop = CancellationToken::new();
            let running = tokio::spawn(run(store.clone(), keep(days), stop.clone()));
            stop.cancel();
            timeout(LIMIT, running).await.unwrap().unwrap();
        }
        store.close().await;
    }
}
