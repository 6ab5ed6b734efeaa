//! Messages that are claimed as they are accepted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald_store::{Job, Room, Seq, Status, Store, Timestamp, UserId, WorksAtOnce};

use crate::common::{Db, LEASE, at, claim_one, processed, send, user};

/// Has room for some messages, and keeps those that begin.
#[derive(Clone, Default)]
struct Works(Arc<Mutex<(usize, Vec<Job>)>>);

impl Works {
    /// It works for `store`.
    fn start(store: &Store, rooms: usize) -> Self {
        let works = Self::default();
        works.set(rooms);
        store.work_at_once(Some(Arc::new(works.clone())));
        works
    }

    fn set(&self, rooms: usize) {
        self.0.lock().unwrap().0 = rooms;
    }

    fn rooms(&self) -> usize {
        self.0.lock().unwrap().0
    }

    /// What has begun since.
    fn begun(&self) -> Vec<Job> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }
}

impl WorksAtOnce for Works {
    fn reserve(&self) -> Option<Box<dyn Room>> {
        let mut inner = self.0.lock().unwrap();
        inner.0 = inner.0.checked_sub(1)?;
        Some(Box::new(Reserved(Some(self.clone()))))
    }

    fn lease(&self) -> Duration {
        LEASE
    }
}

/// Gives its room back unless something began in it.
struct Reserved(Option<Works>);

impl Room for Reserved {
    fn begin(mut self: Box<Self>, job: Job) {
        let works = self.0.take().unwrap();
        works.0.lock().unwrap().1.push(job);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(works) = &self.0 {
            works.0.lock().unwrap().0 += 1;
        }
    }
}

async fn status(store: &Store, user: &UserId, job: &Job) -> (Status, i64) {
    let message = store.message(user, &job.id).await.unwrap().unwrap();
    (message.status, message.attempts)
}

#[tokio::test]
async fn a_message_that_is_due_is_claimed_as_it_is_accepted_and_ends_as_any_other() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let works = Works::start(&store, 1);
    let sent = send(&store, &ann.id, "hello", at(5)).await;
    let job = works.begun().remove(0);
    assert_eq!(
        (&job.id, &job.user_id, job.body.as_str()),
        (&sent.id, &ann.id, "hello")
    );
    assert_eq!((job.attempt, job.failures, job.due), (1, 0, at(5)));
    assert_eq!(status(&store, &ann.id, &job).await, (Status::Processing, 1));
    assert_eq!(store.counts().await.unwrap().processing, 1);
    assert_eq!(store.claim(9, LEASE, at(6)).await.unwrap(), []);
    assert!(store.renew(&job, LEASE, at(6)).await.unwrap());
    let finished = store.finish(&job, processed(), at(7)).await.unwrap();
    assert_eq!(finished.unwrap().notification.seq, Seq(1));
    assert_eq!(status(&store, &ann.id, &job).await, (Status::Processed, 1));
    assert_eq!(store.counts().await.unwrap().processing, 0);
}

#[tokio::test]
async fn what_was_begun_and_never_ended_is_claimed_again_when_its_lease_has_run_out() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let works = Works::start(&store, 1);
    send(&store, &ann.id, "hello", at(0)).await;
    let job = works.begun().remove(0);
    let later = at(0) + LEASE + Duration::from_secs(5);
    let again = claim_one(&store, later).await;
    assert_eq!((&again.id, again.attempt), (&job.id, 2));
    let late = store.finish(&job, processed(), later).await.unwrap();
    assert_eq!(late, None);
}

#[tokio::test]
async fn without_room_it_waits_and_what_its_user_sends_next_waits_behind_it() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    let works = Works::start(&store, 0);
    let first = send(&store, &ann.id, "first", at(0)).await;
    works.set(9);
    let second = send(&store, &ann.id, "second", at(1)).await;
    send(&store, &bob.id, "other", at(1)).await;
    let begun: Vec<_> = works.begun().into_iter().map(|job| job.body).collect();
    assert_eq!(begun, ["other"]);
    let claimed = store.claim(9, LEASE, at(2)).await.unwrap();
    let claimed: Vec<_> = claimed.into_iter().map(|job| job.id).collect();
    assert_eq!(claimed, [first.id, second.id]);
    send(&store, &ann.id, "third", at(3)).await;
    assert_eq!(works.begun().len(), 1);
    assert_eq!(works.rooms(), 7);
}

#[tokio::test]
async fn nothing_begins_while_the_queue_is_paused_nor_before_it_is_due_nor_what_was_sent_before() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let works = Works::start(&store, 2);
    store.pause().await.unwrap();
    send(&store, &ann.id, "paused", at(0)).await;
    store.resume().await.unwrap();
    assert_eq!(claim_one(&store, at(1)).await.body, "paused");
    let now: Timestamp = at(2);
    let key = Some("key".to_owned());
    for _ in 0..2 {
        let send = store.accept(&ann.id, "once".into(), key.clone(), now);
        send.await.unwrap();
    }
    assert_eq!(works.begun().len(), 1);
    let delay = herald_store::Delay::Fixed { ms: 1000 };
    store.set_delay(delay, false).await.unwrap();
    send(&store, &ann.id, "delayed", at(3)).await;
    assert_eq!((works.begun().len(), works.rooms()), (0, 1));
    store.work_at_once(None);
    assert_eq!(claim_one(&store, at(1003)).await.body, "delayed");
}
