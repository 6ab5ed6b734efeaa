//! What the store is to do, in memory: one step after the other, nothing lost, nothing in batches.

use std::collections::BTreeMap;

use herald_store::{Accepted, Finished, Job, Moved, Notification, Removed, Status};

use crate::steps::{LEASE_MS, Send};
use crate::tables::{Inbox, Message, Tables};

/// How many messages of a user may be open.
pub(crate) const MAX_OPEN: usize = 6;

/// How many bytes may be kept of a user: of about eight messages that have ended.
pub(crate) const MAX_STORED: usize = 6_000;

/// What the store should hold.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) now: i64,
    pub(crate) tables: Tables,
    pub(crate) paused: bool,
    delay: i64,
    own_delays: BTreeMap<String, i64>,
    /// Why the last attempt at each message failed.
    pub(crate) errors: BTreeMap<String, String>,
    /// The notifications, by user and number, as it was then.
    pub(crate) notified: BTreeMap<(String, i64), Notification>,
    /// The number of the claim that holds each message.
    held: BTreeMap<String, usize>,
}

impl Model {
    pub(crate) fn new(users: &[String]) -> Self {
        let inboxes = users.iter().map(|user| (user.clone(), Inbox::default()));
        Self {
            tables: Tables {
                inboxes: inboxes.collect(),
                ..Tables::default()
            },
            ..Self::default()
        }
    }

    pub(crate) fn sent(&mut self, user: &str, send: &Send, output: &Accepted) {
        let own = |message: &&Message| message.user_id == user;
        let before = self
            .tables
            .messages
            .values()
            .filter(own)
            .find(|message| send.key.is_some() && message.idempotency_key == send.key);
        match output {
            Accepted::Existing(found) => {
                let before = before.expect("the key is new");
                assert_eq!((&found.body, &before.body), (&send.body, &send.body));
                assert_eq!(&self.tables.messages[found.id.as_str()], before);
            }
            Accepted::KeyConflict => assert_ne!(before.expect("the key is new").body, send.body),
            Accepted::TooManyWaiting => {
                assert!(before.is_none());
                // A retry by an administrator may have brought one more.
                assert!(self.open(user) >= MAX_OPEN);
            }
            Accepted::TooMuchStored => {
                assert!(before.is_none());
                assert!(self.tables.stored_bytes(user) + send.bytes() > MAX_STORED);
            }
            Accepted::New(new) => {
                assert!(before.is_none());
                assert!(self.open(user) < MAX_OPEN);
                assert!(self.tables.stored_bytes(user) + send.bytes() <= MAX_STORED);
                let message = Message {
                    user_id: user.into(),
                    body: send.body.clone(),
                    idempotency_key: send.key.clone(),
                    result: None,
                    status: "queued".into(),
                    attempts: 0,
                    failures: 0,
                    created_at: self.now,
                    run_at: self.now + self.delay_of(user),
                    lease_until: None,
                    processed_at: None,
                    delivered_at: None,
                };
                let id = new.id.to_string();
                let newest = self.tables.messages.last_key_value();
                assert!(newest.is_none_or(|(newest, _)| *newest < id));
                self.tables.messages.insert(id, message);
            }
        }
    }

    fn delay_of(&self, user: &str) -> i64 {
        self.own_delays.get(user).copied().unwrap_or(self.delay)
    }

    /// Sets a delay and returns how many messages moved.
    pub(crate) fn delayed(&mut self, user: Option<&str>, ms: Option<i64>, apply: bool) -> u64 {
        match (user, ms) {
            (None, ms) => self.delay = ms.unwrap_or_default(),
            (Some(user), Some(ms)) => drop(self.own_delays.insert(user.into(), ms)),
            (Some(user), None) => drop(self.own_delays.remove(user)),
        }
        let mut due = BTreeMap::new();
        for (id, message) in &self.tables.messages {
            let meant = match user {
                Some(user) => message.user_id == user,
                None => !self.own_delays.contains_key(&message.user_id),
            };
            let at = message.created_at + self.delay_of(&message.user_id);
            let waits = message.status == "queued" && message.attempts == 0;
            if apply && meant && waits && message.run_at != at {
                due.insert(id.clone(), at);
            }
        }
        for (id, at) in &due {
            self.tables.messages.get_mut(id).unwrap().run_at = *at;
        }
        due.len() as u64
    }

    /// Claim number `first` and those after it.
    pub(crate) fn claimed(&mut self, limit: u32, first: usize, jobs: &[Job]) {
        self.release(Some(self.now));
        assert!(jobs.len() <= limit as usize);
        assert!(!self.paused || jobs.is_empty());
        let mut order = vec![];
        for (number, job) in (first..).zip(jobs) {
            let message = self.tables.messages.get_mut(job.id.as_str()).unwrap();
            assert_eq!(message.status, "queued", "two have the same message");
            assert!(message.run_at <= self.now, "it is too early");
            message.attempts += 1;
            assert_eq!(
                (job.attempt, job.failures),
                (message.attempts, message.failures)
            );
            assert_eq!(job.body, message.body);
            message.status = "processing".into();
            message.lease_until = Some(self.now + LEASE_MS);
            self.held.insert(job.id.to_string(), number);
            order.push((message.run_at, job.id.to_string()));
        }
        assert!(order.is_sorted());
        for (id, left) in &self.tables.messages {
            // What was left of a user's is not due, or due later than what was taken.
            let overtaken = |job: &&Job| {
                let taken = &self.tables.messages[job.id.as_str()];
                taken.user_id == left.user_id && (taken.run_at, job.id.as_str()) > (left.run_at, id)
            };
            let overtaken = jobs.iter().find(overtaken);
            assert!(
                left.status != "queued" || overtaken.is_none(),
                "{left:?}: {overtaken:?}"
            );
        }
    }

    /// Puts back all that is claimed, or that whose lease ran out by a time. Returns how many.
    pub(crate) fn release(&mut self, run_out_at: Option<i64>) -> u64 {
        let mut released = 0;
        for (id, message) in &mut self.tables.messages {
            let run_out = |until| run_out_at.is_none_or(|at| until <= at);
            if message.lease_until.is_some_and(run_out) {
                message.status = "queued".into();
                message.lease_until = None;
                self.held.remove(id);
                released += 1;
            }
        }
        released
    }

    /// The message of a claim that still holds it.
    fn held(&mut self, claim: usize, job: &Job) -> Option<&mut Message> {
        let holds = self.held.get(job.id.as_str()) == Some(&claim);
        let message = self.tables.messages.get_mut(job.id.as_str());
        message.filter(|_| holds)
    }

    /// It does not hold it any more.
    fn let_go(&mut self, job: &Job) {
        self.held.remove(job.id.as_str());
        self.tables
            .messages
            .get_mut(job.id.as_str())
            .unwrap()
            .lease_until = None;
    }

    pub(crate) fn renewed(&mut self, claim: usize, job: &Job, output: bool) {
        let until = self.now + LEASE_MS;
        let held = self.held(claim, job);
        assert_eq!(output, held.is_some());
        if let Some(message) = held {
            message.lease_until = Some(until);
        }
    }

    pub(crate) fn finished(
        &mut self,
        claim: usize,
        job: &Job,
        ended: Result<Option<String>, &str>,
        output: Option<&Finished>,
    ) {
        let now = self.now;
        let held = self.held(claim, job);
        assert_eq!(output.is_some(), held.is_some());
        let (Some(message), Some(output)) = (held, output) else {
            return;
        };
        message.status = if ended.is_err() { "dead" } else { "processed" }.into();
        message.result = ended.clone().ok().flatten();
        message.processed_at = Some(now);
        self.let_go(job);
        let id = job.id.to_string();
        match ended {
            Err(error) => {
                let key = (id.clone(), job.attempt);
                self.tables.failed.insert(key, (now, error.to_owned()));
                self.errors.insert(id, error.to_owned());
            }
            Ok(_) => drop(self.errors.remove(&id)),
        }
        let user = job.user_id.to_string();
        let inbox = self.tables.inboxes.get_mut(&user).unwrap();
        inbox.last_seq += 1;
        assert_eq!(output.notification.seq.0, inbox.last_seq);
        let key = (user, inbox.last_seq);
        self.notified
            .insert(key.clone(), output.notification.clone());
        let notification = (key, (job.id.to_string(), now));
        self.tables.notifications.extend([notification]);
    }

    pub(crate) fn failed(
        &mut self,
        claim: usize,
        job: &Job,
        pause: i64,
        error: &str,
        output: bool,
    ) {
        let now = self.now;
        let held = self.held(claim, job);
        assert_eq!(output, held.is_some());
        let Some(message) = held else { return };
        message.status = "queued".into();
        message.run_at = now + pause;
        message.failures += 1;
        self.let_go(job);
        let key = (job.id.to_string(), job.attempt);
        self.tables.failed.insert(key, (now, error.into()));
        self.errors.insert(job.id.to_string(), error.into());
    }

    pub(crate) fn removed(&mut self, user: &str, id: &str, only: Option<Status>, output: Removed) {
        let Tables {
            messages, failed, ..
        } = &mut self.tables;
        let own = messages
            .get_mut(id)
            .filter(|message| message.user_id == user);
        let Some(message) = own else {
            assert_eq!(output, Removed::Unknown);
            return;
        };
        let is_meant = only.is_none_or(|only| only.as_str() == message.status);
        match (is_meant, message.status.as_str()) {
            (true, "queued") => {
                assert_eq!(output, Removed::Cancelled);
                message.status = "cancelled".into();
                message.processed_at = Some(self.now);
            }
            (true, "processed" | "dead" | "cancelled") => {
                assert_eq!(output, Removed::Deleted);
                messages.remove(id);
                failed.retain(|(message, _), _| message != id);
            }
            (_, status) => assert_eq!(output, Removed::Not(Status::from_name(status).unwrap())),
        }
    }

    pub(crate) fn retried(&mut self, id: &str, output: Moved) {
        let now = self.now;
        let Some(message) = moved(self.tables.messages.get_mut(id), "dead", output) else {
            return;
        };
        message.status = "queued".into();
        message.run_at = now;
        message.failures = 0;
        message.processed_at = None;
        message.delivered_at = None;
    }

    /// How many messages of a user have not ended.
    pub(crate) fn open(&self, user: &str) -> usize {
        let messages = self.tables.messages.values();
        let open = |message: &&Message| {
            message.user_id == user && ["queued", "processing"].contains(&message.status.as_str())
        };
        messages.filter(open).count()
    }

    /// When the first of the queued messages of a user is due.
    pub(crate) fn due(&self, user: &str) -> Option<i64> {
        let messages = self.tables.messages.values();
        let queued = messages.filter(|m| m.user_id == user && m.status == "queued");
        queued.map(|message| message.run_at).min()
    }

    /// When the first lease ends.
    pub(crate) fn lease_ends(&self) -> Option<i64> {
        let messages = self.tables.messages.values();
        messages.filter_map(|message| message.lease_until).min()
    }
}

/// The message, if it was moved as it had to be.
fn moved<'a>(found: Option<&'a mut Message>, from: &str, output: Moved) -> Option<&'a mut Message> {
    match (found, output) {
        (None, Moved::Unknown) => None,
        (Some(message), Moved::Done) if message.status == from => Some(message),
        (Some(message), Moved::Not(status)) if message.status != from => {
            assert_eq!(message.status, status.as_str());
            None
        }
        (found, output) => panic!("{found:?}: {output:?}"),
    }
}
