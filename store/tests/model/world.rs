//! The store and the model, side by side.

use std::time::Duration;

use futures_util::future::join_all;
use herald_store::{Acknowledged, Delay, Job, MessageId, Outcome, Seq, Store, Timestamp, UserId};
use herald_test_databases::DatabaseKind;
use proptest::sample::Index;
use sqlx::AnyConnection;

use crate::database::ModelDatabase;
use crate::model::Model;
use crate::steps::{Ack, Action, LEASE_MS, Send, USERS};
use crate::tables::{self, Tables};

const LEASE: Duration = Duration::from_millis(LEASE_MS as u64);

/// Both, and what came of the steps so far.
pub(crate) struct World {
    model: Model,
    store: Store,
    /// Looks at the tables beside the store.
    conn: AnyConnection,
    database: ModelDatabase,
    users: Vec<UserId>,
    messages: Vec<MessageId>,
    claims: Vec<Job>,
}

fn client(number: usize) -> String {
    format!("client {number}")
}

impl World {
    /// On a database of this kind, which was chosen.
    pub(crate) async fn new(kind: DatabaseKind) -> Self {
        let database = ModelDatabase::new(kind).await;
        let (store, conn) = database.open().await;
        let mut users = vec![];
        for number in 0..USERS {
            let name = format!("user{number}").parse().unwrap();
            users.push(store.user_by_name(&name).await.unwrap().unwrap().id);
        }
        let ids: Vec<_> = users.iter().map(UserId::to_string).collect();
        Self {
            model: Model::new(&ids),
            store,
            conn,
            database,
            users,
            messages: vec![],
            claims: vec![],
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.model.now)
    }

    fn claim(&self, index: Index) -> Option<(usize, Job)> {
        let numbered: Vec<_> = self.claims.iter().cloned().enumerate().collect();
        (!numbered.is_empty()).then(|| index.get(&numbered).clone())
    }

    fn message(&self, index: Index) -> Option<MessageId> {
        (!self.messages.is_empty()).then(|| index.get(&self.messages).clone())
    }

    /// Takes a step, and lets the model do the same.
    pub(crate) async fn take(&mut self, step: Action) {
        let now = self.now();
        match step {
            Action::Send(sends) => self.send(sends).await,
            Action::Delay {
                user,
                ms,
                apply_to_queued,
            } => self.delay(user, ms, apply_to_queued).await,
            Action::Claim { limit } => drop(self.take_jobs(limit).await),
            Action::Renew { claim } => {
                let Some((number, job)) = self.claim(claim) else {
                    return;
                };
                let renewed = self.store.renew(&job, LEASE, now).await.unwrap();
                self.model.renewed(number, &job, renewed);
            }
            Action::Finish(ends) => {
                let jobs = ends.iter().filter_map(|(claim, processed)| {
                    let (number, job) = self.claim(*claim)?;
                    Some((number, job, *processed))
                });
                let jobs = jobs.collect();
                self.finish(jobs).await;
            }
            Action::Fail { claim, pause } => {
                let Some((number, job)) = self.claim(claim) else {
                    return;
                };
                let run_at = Timestamp::from_millis(self.model.now + pause);
                let failed = self.store.retry_later(&job, "failed".into(), run_at, now);
                let failed = failed.await.unwrap();
                self.model.failed(number, &job, pause, "failed", failed);
            }
            Action::Remove {
                user,
                message,
                only,
            } => {
                let (user, Some(id)) = (&self.users[user], self.message(message)) else {
                    return;
                };
                let removed = self.store.remove_message(user, &id, only, now).await;
                let (user, id) = (user.as_str(), id.as_str());
                self.model.removed(user, id, only, removed.unwrap());
            }
            Action::Retry { message } => {
                let Some(id) = self.message(message) else {
                    return;
                };
                let moved = self.store.retry(&id, now).await.unwrap();
                self.model.retried(id.as_str(), moved);
            }
            Action::Pause => {
                self.store.pause().await.unwrap();
                self.model.paused = true;
            }
            Action::Resume => self.resume().await,
            Action::Subscribe {
                user,
                client: number,
            } => {
                let (user, client) = (&self.users[user], client(number).into());
                let cursor = self.store.cursor(user, &client, Seq::NONE, now);
                let cursor = cursor.await.unwrap();
                assert_eq!(
                    cursor.acked.0,
                    self.model.subscribed(user.as_str(), &client)
                );
            }
            Action::GoTo {
                user,
                client: number,
                seq,
            } => {
                let (user, client) = (&self.users[user], client(number).into());
                let cursor = self.store.set_cursor(user, &client, Seq(seq), now);
                let cursor = cursor.await.unwrap();
                assert_eq!(
                    cursor.acked.0,
                    self.model.went_to(user.as_str(), &client, seq)
                );
            }
            Action::Acknowledge(acks) => self.acknowledge(acks).await,
            Action::Pass(ms) => self.model.now += ms,
            Action::Prune(age) => {
                let before = self.model.now - age;
                let pruned = self.store.prune(Timestamp::from_millis(before)).await;
                assert_eq!(pruned.unwrap(), self.model.pruned(before));
            }
            Action::Crash { release } => self.crash(release).await,
        }
    }

    async fn delay(&mut self, user: Option<usize>, ms: Option<u64>, apply_to_queued: bool) {
        let user = user.map(|user| &self.users[user]);
        let delay = ms.map(|ms| Delay::Fixed { ms });
        let moved = match user {
            Some(user) => {
                let set = self.store.set_user_delay(user, delay, apply_to_queued);
                set.await.unwrap().unwrap()
            }
            None => {
                let delay = delay.unwrap_or(Delay::Fixed { ms: 0 });
                self.store.set_delay(delay, apply_to_queued).await.unwrap()
            }
        };
        let (user, ms) = (user.map(UserId::as_str), ms.map(|ms| ms as i64));
        assert_eq!(moved, self.model.delayed(user, ms, apply_to_queued));
    }

    async fn send(&mut self, sends: Vec<Send>) {
        let now = self.now();
        let accepts = sends.iter().map(|send| {
            let user = &self.users[send.user];
            self.store
                .accept(user, send.body.clone(), send.key.clone(), now)
        });
        for (send, output) in sends.iter().zip(join_all(accepts).await) {
            let output = output.unwrap();
            if let herald_store::Accepted::New(message) = &output {
                self.messages.push(message.id.clone());
            }
            self.model
                .sent(self.users[send.user].as_str(), send, &output);
        }
    }

    /// Claims, and returns the claims with their numbers.
    async fn take_jobs(&mut self, limit: u32) -> Vec<(usize, Job)> {
        let jobs = self.store.claim(limit, LEASE, self.now()).await.unwrap();
        let first = self.claims.len();
        self.model.claimed(limit, first, &jobs);
        self.claims.extend(jobs.iter().cloned());
        (first..).zip(jobs).collect()
    }

    async fn finish(&mut self, ends: Vec<(usize, Job, bool)>) {
        let now = self.now();
        // Half of the results are the body, which is not stored again.
        let ended = |job: &Job, processed: bool| match processed {
            true => Ok((job.attempt % 2 == 0).then(|| "done".to_owned())),
            false => Err("dead"),
        };
        let finishes = ends.iter().map(|(_, job, processed)| {
            let outcome = match ended(job, *processed) {
                Ok(result) => Outcome::Processed {
                    result: result.unwrap_or_else(|| job.body.clone()),
                },
                Err(error) => Outcome::Dead {
                    error: error.into(),
                },
            };
            self.store.finish(job, outcome, now)
        });
        let outputs = join_all(finishes).await;
        let mut ended_in_order: Vec<_> = ends.iter().zip(outputs).collect();
        // They share a transaction: those end first that were due first.
        ended_in_order
            .sort_by(|((_, a, _), _), ((_, b, _), _)| (a.due, &a.id).cmp(&(b.due, &b.id)));
        for ((number, job, processed), output) in ended_in_order {
            let output = output.unwrap();
            let ended = ended(job, *processed);
            self.model.finished(*number, job, ended, output.as_ref());
        }
    }

    async fn acknowledge(&mut self, acks: Vec<Ack>) {
        let batch: Vec<_> = acks
            .iter()
            .map(|ack| Acknowledged {
                user: self.users[ack.user].clone(),
                client_id: ack.client.map(|number| client(number).into()),
                up_to: Seq(ack.up_to),
            })
            .collect();
        self.store.acknowledge(&batch, self.now()).await.unwrap();
        for ack in &acks {
            let client = ack.client.map(client);
            let user = self.users[ack.user].as_str();
            self.model.acknowledged(user, client.as_deref(), ack);
        }
    }

    async fn resume(&mut self) {
        self.store.resume().await.unwrap();
        self.model.paused = false;
    }

    /// What a killed process leaves is opened by another.
    async fn crash(&mut self, release: bool) {
        let left = self.database.left();
        let (store, conn) = left.as_ref().unwrap_or(&self.database).open().await;
        std::mem::replace(&mut self.store, store).close().await;
        self.conn = conn;
        if let Some(left) = left {
            self.database = left;
        }
        if release {
            let released = self.store.release_all().await.unwrap();
            assert_eq!(released, self.model.release(None));
        }
    }

    /// What the store holds is what the model holds.
    pub(crate) async fn compare(&mut self) {
        assert_eq!(Tables::read(&mut self.conn).await, self.model.tables);
        assert_eq!(self.store.counts().await.unwrap(), self.model.counts());
        let oldest = self.store.oldest_due().await.unwrap();
        assert_eq!(oldest.map(Timestamp::as_millis), self.model.oldest_due());
        for user in &self.users {
            let inbox = self
                .store
                .notifications(user, Seq::NONE, 10_000, usize::MAX);
            let inbox = inbox.await.unwrap().items;
            self.model.check_inbox(user.as_str(), &inbox);
            let messages = self.store.messages(user, None, None, 10_000).await;
            self.model.check_messages(&messages.unwrap().items);
        }
        let queues = tables::user_queues(&mut self.conn).await;
        let mut due = self.model.lease_ends();
        for user in self.users.iter().map(UserId::as_str) {
            let (open, turn_at, stored) = queues[user];
            assert_eq!(stored, self.model.tables.stored_bytes(user) as i64);
            assert_eq!(open, self.model.open(user) as i64);
            let Some(user_due) = self.model.due(user) else {
                continue;
            };
            let turn_at = turn_at.expect("who has queued messages gets a turn");
            assert!(
                turn_at <= user_due.max(self.model.now),
                "the turn is too late"
            );
            if !self.model.paused {
                due = Some(due.map_or(user_due, |due| due.min(user_due)));
            }
        }
        let next = self.store.next_due().await.unwrap();
        if let Some(due) = due {
            let next = next.expect("something will be due");
            assert!(
                next.as_millis() <= due.max(self.model.now),
                "the worker oversleeps"
            );
        }
    }

    /// Works until nothing is left to do.
    pub(crate) async fn drain(&mut self) {
        self.resume().await;
        // Each turn takes a message or corrects a queue.
        for _ in 0..2 * self.messages.len() + USERS + 1 {
            let Some(due) = self.store.next_due().await.unwrap() else {
                break;
            };
            self.model.now = self.model.now.max(due.as_millis());
            let jobs = self.take_jobs(2).await;
            let ends = jobs.into_iter().map(|(number, job)| (number, job, true));
            self.finish(ends.collect()).await;
            self.compare().await;
        }
        assert_eq!(self.store.next_due().await.unwrap(), None);
        for user in &self.users {
            assert_eq!(self.model.open(user.as_str()), 0);
        }
    }

    pub(crate) async fn end(self) {
        self.store.close().await;
    }
}
