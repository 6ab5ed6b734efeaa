//! What becomes of writes when connections to the server are cut.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use herald_store::{
    Accepted, CreateToken, Delay, Job, Scopes, Seq, Store, StoreError, StoreOptions, UserId,
};
use herald_test_databases::{CuttingProxy, Moment};
use tokio::time::timeout;

use crate::DATABASE;
use crate::common::{Db, LEASE, at, claim_one, new_token, notify, processed, send, up_to, user};

const SCOPES: Scopes = Scopes {
    api: true,
    mqtt: true,
};

/// A store that speaks to its database through a proxy.
pub(crate) async fn behind(proxy: &CuttingProxy, db: &Db) -> Store {
    let options = StoreOptions {
        url: proxy.url().into(),
        ..db.dir.options()
    };
    Store::open(options).await.unwrap()
}

/// A store behind a proxy, and a user.
pub(crate) struct Behind {
    pub(crate) db: Db,
    pub(crate) proxy: CuttingProxy,
    pub(crate) store: Store,
    pub(crate) ann: UserId,
}

impl Behind {
    pub(crate) async fn new() -> Self {
        let db = Db::new().await;
        let proxy = CuttingProxy::start(DATABASE, db.dir.url()).await;
        let store = behind(&proxy, &db).await;
        let ann = user(&db.store, "ann").await.id;
        Self {
            db,
            proxy,
            store,
            ann,
        }
    }

    /// Sends and claims, beside the store.
    async fn job(&self) -> Job {
        send(&self.db.store, &self.ann, "hello", at(0)).await;
        claim_one(&self.db.store, at(0)).await
    }
}

/// Does something again and again, and each time loses another message of it, or the answer to one, until there is no more to
/// be lost. It is handed how often it was done before.
async fn lose_each_message(behind: &Behind, mut act: impl AsyncFnMut(usize)) -> usize {
    // What is prepared by then is not prepared again.
    act(0).await;
    let mut times = 1;
    for moment in [Moment::Before, Moment::Answered] {
        let mut number = 0;
        loop {
            let seen = AtomicUsize::new(0);
            let lost = behind.proxy.cut_at(moment, move |_| {
                seen.fetch_add(1, Ordering::Relaxed) == number
            });
            act(times).await;
            times += 1;
            if lost.done().is_none() {
                assert!(number > 2, "a transaction has more messages");
                break;
            }
            number += 1;
        }
    }
    behind.store.close().await;
    times
}

#[tokio::test]
async fn a_send_is_accepted_once_whatever_message_is_lost() {
    let behind = Behind::new().await;
    let Behind { store, ann, .. } = &behind;
    let mut sent = HashSet::new();
    let times = lose_each_message(&behind, async |_| {
        let accepted = store.accept(ann, "hello".into(), None, at(0)).await;
        let Ok(Accepted::New(message)) = accepted else {
            panic!("{accepted:?}");
        };
        sent.insert(message.id.to_string());
    })
    .await;
    let jobs = behind.db.store.claim(1000, LEASE, at(1)).await.unwrap();
    let found: HashSet<_> = jobs.iter().map(|job| job.id.to_string()).collect();
    assert_eq!((sent.len(), jobs.len()), (times, times));
    assert_eq!(sent, found);
}

#[tokio::test]
async fn a_message_is_claimed_once_whatever_message_is_lost() {
    let behind = Behind::new().await;
    let Behind { db, store, ann, .. } = &behind;
    let mut last = None;
    lose_each_message(&behind, async |_| {
        let message = send(&db.store, ann, "hello", at(0)).await;
        let job = claim_one(store, at(0)).await;
        assert_eq!((&job.id, job.attempt), (&message.id, 1));
        assert!(store.renew(&job, LEASE, at(0)).await.unwrap());
        last = Some(job);
    })
    .await;
    let last = last.unwrap();
    let finished = db.store.finish(&last, processed(), at(1)).await.unwrap();
    assert!(finished.is_some(), "its lease is the one that was told");
}

#[tokio::test]
async fn a_message_ends_once_whatever_message_is_lost() {
    let behind = Behind::new().await;
    let Behind { db, store, ann, .. } = &behind;
    let times = lose_each_message(&behind, async |before| {
        let job = behind.job().await;
        let finished = store.finish(&job, processed(), at(1)).await.unwrap();
        assert_eq!(finished.unwrap().notification.seq, Seq(before as i64 + 1));
    })
    .await;
    let inbox = db.store.notifications(ann, Seq::NONE, 1000, usize::MAX);
    let numbers: Vec<_> = inbox
        .await
        .unwrap()
        .items
        .iter()
        .map(|one| one.seq.0)
        .collect();
    assert_eq!(numbers, (1..=times as i64).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_attempt_that_failed_is_counted_once_whatever_message_is_lost() {
    let behind = Behind::new().await;
    let Behind { db, store, .. } = &behind;
    let job = behind.job().await;
    let mut job = Some(job);
    lose_each_message(&behind, async |before| {
        let failed = job.take().unwrap();
        assert_eq!(
            (failed.attempt, failed.failures),
            (before as i64 + 1, before as i64)
        );
        let error = "no".to_owned();
        assert!(
            store
                .retry_later(&failed, error, at(0), at(0))
                .await
                .unwrap()
        );
        job = Some(claim_one(&db.store, at(0)).await);
    })
    .await;
}

#[tokio::test]
async fn an_acknowledgement_arrives_whatever_message_is_lost() {
    let behind = Behind::new().await;
    let Behind { db, store, ann, .. } = &behind;
    lose_each_message(&behind, async |before| {
        let seq = before as i64 + 1;
        notify(&db.store, ann, 1).await;
        store.acknowledge(&[up_to(ann, seq)], at(2)).await.unwrap();
        assert_eq!(db.store.position(ann).await.unwrap().acked, Seq(seq));
    })
    .await;
}

/// What is made once only says so, and not that it was there.
#[tokio::test]
async fn an_account_is_made_once_whatever_message_is_lost() {
    let behind = Behind::new().await;
    let store = &behind.store;
    lose_each_message(&behind, async |before| {
        user(store, &format!("user{before}")).await;
    })
    .await;
}

/// One that fails by its own fault leaves its neighbours alone; each has a transaction of its own then, which may be lost, too.
#[tokio::test]
async fn writes_are_done_once_beside_one_that_fails_whatever_message_is_lost() {
    let behind = Behind::new().await;
    let Behind { db, store, ann, .. } = &behind;
    let nobody = UserId::from_string("nobody");
    let times = lose_each_message(&behind, async |before| {
        let token = new_token("token", SCOPES, &format!("hash{before}"), None);
        let (sent, refused, made) = tokio::join!(
            store.accept(ann, "hello".into(), None, at(0)),
            store.create_token(&nobody, token.clone(), at(0)),
            store.create_token(ann, token, at(0)),
        );
        assert!(matches!(sent, Ok(Accepted::New(_))), "{sent:?}");
        assert!(
            matches!(refused, Err(StoreError::UnknownUser)),
            "{refused:?}"
        );
        assert!(matches!(made, Ok(CreateToken::Created(_))), "{made:?}");
    })
    .await;
    assert_eq!(db.store.counts().await.unwrap().queued, times as u64);
}

/// Nobody waits for a server that says nothing for longer than 10 s. It is used again once it speaks.
#[tokio::test]
async fn a_silent_server_is_not_waited_for_without_end() {
    let behind = Behind::new().await;
    let Behind {
        store, proxy, ann, ..
    } = &behind;
    store.position(ann).await.unwrap();
    store.token_by_hash("hash", at(0)).await.unwrap();
    proxy.hold();
    let begun = Instant::now();
    let (sent, read, listed, token, claimed) = tokio::join!(
        store.accept(ann, "hello".into(), None, at(0)),
        store.position(ann),
        store.messages(ann, None, None, 9),
        store.token_by_hash("hash", at(0)),
        store.claim(1, LEASE, at(0)),
    );
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    for error in [
        sent.unwrap_err(),
        read.unwrap_err(),
        listed.unwrap_err(),
        token.unwrap_err(),
        claimed.unwrap_err(),
    ] {
        assert!(error.is_transient(), "{error:?}");
    }
    proxy.release();
    let accepted = store.accept(ann, "hello".into(), None, at(0)).await;
    assert!(matches!(accepted, Ok(Accepted::New(_))), "{accepted:?}");
    store.position(ann).await.unwrap();
    store.messages(ann, None, None, 9).await.unwrap();
    store.token_by_hash("hash", at(0)).await.unwrap();
    store.close().await;
}

/// Nor at the end.
#[tokio::test]
async fn a_store_is_closed_beside_a_silent_server() {
    let behind = Behind::new().await;
    behind.proxy.hold();
    let closing = timeout(Duration::from_secs(60), behind.store.close());
    closing.await.unwrap();
}

#[tokio::test]
async fn writes_wait_for_a_server_that_comes_back() {
    let db = Db::new().await;
    let mut proxy = CuttingProxy::start(DATABASE, db.dir.url()).await;
    let store = behind(&proxy, &db).await;
    proxy.refuse().await;
    proxy.cut_all();
    let write = store.set_delay(Delay::Fixed { ms: 7 }, false);
    tokio::pin!(write);
    assert!(futures_util::poll!(&mut write).is_pending());
    proxy.admit();
    write.await.unwrap();
    assert_eq!(db.store.delay().await.unwrap(), Delay::Fixed { ms: 7 });
    store.close().await;
}
