//! What the worker takes.

mod decide;
mod in_line;
mod statements;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::lease::{IsRunning, LeaseTerm};
use super::take_back::TakeBack;
use crate::statement::{Script, all_changed};
use crate::writer::{Channel, Operation, Transaction};
use crate::{Job, Lease, MessageId, Store, StoreError, Timestamp, UserId};
use decide::decide;
pub(crate) use in_line::InLine;
use statements::{Found, claimed, find, lock, next_of_each, writes};

/// How long a claim waits until messages are taken back whose leases have run out.
const TAKE_BACK: Duration = Duration::from_secs(2);

/// How many users a claim takes messages of, at most.
const MAX_USERS: u32 = 64;

impl Store {
    /// Claims up to `limit` messages that are due at `now`: queued ones, and those whose lease has run out. Users take
    /// turns; of the messages of one user, those that have been due longest come first. It may claim fewer than are due:
    /// see [`next_due`](Self::next_due). Until `now + lease`, no one else can claim them.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn claim(
        &self,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        self.claim_others(limit, lease, now, Arc::new(|_| false))
            .await
    }

    /// As [`claim`](Self::claim), but what `is_running` here is not claimed again if its lease has run out: the lease is
    /// renewed instead. A clock that is set forwards ends all leases at once.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn claim_others(
        &self,
        limit: u32,
        lease: Duration,
        now: Timestamp,
        is_running: IsRunning,
    ) -> Result<Vec<Job>, StoreError> {
        let claim = |take_back: bool| Claim::new(self, limit, lease, now, take_back);
        match self.write(claim(true)).await? {
            Claimed::Jobs(jobs) => Ok(jobs),
            Claimed::Expired(messages) => {
                let term = LeaseTerm::new(lease, now);
                let take_back = TakeBack::expired(messages, now, term, is_running);
                self.take_back(take_back).await?;
                Ok(self.write(claim(false)).await?.jobs())
            }
        }
    }

    /// Takes messages back, if need be without those whose queues others have locked: the rest need not wait for that.
    async fn take_back(&self, take_back: TakeBack) -> Result<(), StoreError> {
        if self.take_back_in_line().is_worth_it() {
            let in_line = self.write(take_back.clone());
            match timeout(TAKE_BACK, in_line).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) if !error.is_transient() => return Err(error),
                Ok(Err(_)) | Err(_) => self.take_back_in_line().was_in_vain(),
            }
        }
        match self.write(take_back.passing_over()).await {
            Err(error) if !error.is_transient() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// As [`claim`](Self::claim), in line with the sends and ends of this store, and not of leases that have run out. A claim
    /// on a server does not wait for them, and passes over the queues that they have locked: one after the other may miss who
    /// sends all of the time. This one does not, and waits for the disk with them.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn claim_in_line(
        &self,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        let claim = ClaimInLine(Claim::new(self, limit, lease, now, false));
        Ok(self.write(claim).await?.jobs())
    }
}

/// What is due, but for what is in the queues that others have locked.
struct Claim {
    limit: u32,
    lease: Lease,
    term: LeaseTerm,
    now: Timestamp,
    /// Whether leases that have run out come first.
    take_back: bool,
}

impl Claim {
    fn new(store: &Store, limit: u32, lease: Duration, now: Timestamp, take_back: bool) -> Self {
        Self {
            limit,
            lease: Lease::new(store.node().as_ref()),
            term: LeaseTerm::new(lease, now),
            now,
            take_back,
        }
    }
}

/// The same among the sends and ends of this store: what they lock is not passed over.
struct ClaimInLine(Claim);

impl Operation for ClaimInLine {
    type Output = Claimed;

    const DURABLE: bool = Claim::DURABLE;

    const CHANNEL: Channel = Channel::Durable;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Claimed, StoreError> {
        self.0.run(tx).await
    }
}

/// What a claim comes to.
enum Claimed {
    Jobs(Vec<Job>),
    /// Nothing was claimed: these messages, each with its owner, are to be taken back before.
    Expired(Vec<(MessageId, UserId)>),
}

impl Claimed {
    fn jobs(self) -> Vec<Job> {
        match self {
            Self::Jobs(jobs) => jobs,
            Self::Expired(_) => vec![],
        }
    }
}

impl Operation for Claim {
    type Output = Claimed;

    /// A claim that is lost in a crash was never made.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Claimed, StoreError> {
        let mut script = Script::default();
        let found = script.add(find(self.limit.min(MAX_USERS), self.now, tx.dialect()));
        let Found { users, expired } = Found::read(tx.run(script).await?.rows(&found))?;
        if self.take_back && !expired.is_empty() {
            return Ok(Claimed::Expired(expired));
        }
        let users = lock(tx, users, self.now).await?;
        if users.is_empty() {
            return Ok(Claimed::Jobs(vec![]));
        }
        let each = self.limit as usize / users.len();
        let queued = next_of_each(tx, &users, each).await?;
        let decision = decide(&users, queued, each, self.now);
        let end = self.term.end();
        let (script, reads) = writes(&decision, &self.lease, end, tx);
        let mut jobs = claimed(&tx.run(script).await?, &reads, &self.lease)?;
        // They are counted by what was decided.
        all_changed(jobs.len(), decision.messages.len())?;
        jobs.sort_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
        Ok(Claimed::Jobs(jobs))
    }
}
