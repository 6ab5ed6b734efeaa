//! Watches the database for changes of rights, whoever makes them, and puts them in force in the broker.

mod enforce;

use std::{collections::VecDeque, future::pending, pin::pin, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use herald_acl::Policy;
use herald_broker::Revoked;
use herald_store::{Changed, Moment, Store, StoreError};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::nodes::Standing;

use enforce::Enforce;
pub(crate) use enforce::Enforcer;

/// How often the database is asked for what is new. A change must be in force within a second.
const EVERY: Duration = Duration::from_millis(250);

/// How long a database server may take to answer: then it is asked anew, over another connection.
const ANSWER: Duration = Duration::from_millis(1500);

/// Above the number of every change.
const ALL: i64 = i64::MAX;

/// Watches the changes from one of them on.
pub(crate) struct RightsWatch {
    store: Store,
    /// The last change that was acted on.
    seen: i64,
    /// The last change that is in force, with all before it.
    in_force: watch::Sender<i64>,
    /// Changes that take their time to be in force, one after the other.
    forgetting: VecDeque<(i64, BoxFuture<'static, ()>)>,
    /// Asks for a look at once.
    look: Arc<Notify>,
    /// The rules have changed and could not be loaded yet.
    policy_is_old: bool,
    /// The trouble that was logged last and has not ended.
    trouble: Option<String>,
    /// It was logged that rights cannot be read, which they still cannot.
    warned: bool,
}

/// Why changes cannot be followed any more: some were missed for good.
#[derive(Debug, thiserror::Error)]
#[error("rights may have changed unnoticed: {0}")]
pub(crate) struct Lost(StoreError);

impl RightsWatch {
    /// The rules of now, and all changes after them.
    pub(crate) async fn load(store: &Store) -> Result<(Policy, Self), StoreError> {
        // Read first: a change in between is acted on once more, and not missed.
        let seen = store.last_rights_change().await?;
        let policy = Policy::new(store.rules().await?);
        let watch = Self {
            store: store.clone(),
            seen,
            in_force: watch::Sender::new(seen),
            forgetting: VecDeque::new(),
            look: Arc::default(),
            policy_is_old: false,
            trouble: None,
            warned: false,
        };
        Ok((policy, watch))
    }

    /// The rules of now, and all changes after them, while nobody has a session yet: from when others wait for this server, it
    /// must not know less than they do.
    pub(crate) async fn load_again(&mut self) -> Result<Policy, StoreError> {
        self.seen = self.store.last_rights_change().await?;
        let policy = Policy::new(self.store.rules().await?);
        self.in_force.send_replace(self.seen);
        Ok(policy)
    }

    /// Makes the watch look at once, each time that it is notified: this process has made a change.
    pub(crate) fn look(&self) -> Arc<Notify> {
        self.look.clone()
    }

    /// The number of the last change that is in force, with all before it.
    pub(crate) fn in_force(&self) -> watch::Receiver<i64> {
        self.in_force.subscribe()
    }

    /// Puts every change in force, and keeps `standing` current, until stopped: then no session is left, and whatever changes is
    /// in force. While the database cannot be read, what was in force stays.
    pub(crate) async fn run(
        mut self,
        broker: impl Enforce,
        standing: Arc<Standing>,
        stop: CancellationToken,
    ) -> Result<(), Lost> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let look = self.look();
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    self.store.stop_following_rights();
                    self.in_force.send_replace(ALL);
                    return Ok(());
                }
                () = self.forgotten() => {
                    self.tell_in_force();
                    continue;
                }
                _ = ticks.tick() => {}
                () = look.notified() => {}
            }
            let asked = Moment::now();
            let followed = self.follow_watched(&broker, &standing).await;
            if has_answered(&followed) {
                let was_current = standing.is_current();
                standing.rights_read(asked);
                if !was_current {
                    broker.go_on();
                }
            }
            self.note(followed)?;
        }
    }

    /// Acts on what is new, and logs it if that is not known for too long.
    async fn follow_watched(
        &mut self,
        broker: &impl Enforce,
        standing: &Standing,
    ) -> Result<(), StoreError> {
        let mut warned = self.warned;
        let followed = {
            let mut followed = pin!(self.follow_in_time(broker));
            tokio::select! {
                biased;
                followed = followed.as_mut() => followed,
                () = standing.outdated(), if !warned => {
                    tracing::warn!(
                        "changes of rights cannot be read: PUBLISHes and shared messages wait until they can"
                    );
                    warned = true;
                    followed.await
                }
            }
        };
        self.warned = warned && !has_answered(&followed);
        followed
    }

    /// Acts on what is new, if a server says soon enough what that is.
    async fn follow_in_time(&mut self, broker: &impl Enforce) -> Result<(), StoreError> {
        if self.store.is_exclusive() {
            return self.follow(broker).await;
        }
        let followed = timeout(ANSWER, self.follow(broker)).await;
        followed.unwrap_or_else(|_| {
            let reason = "it does not say what has changed of rights".into();
            Err(StoreError::Unreachable { reason })
        })
    }

    /// Acts on what is new.
    async fn follow(&mut self, broker: &impl Enforce) -> Result<(), StoreError> {
        for change in self.store.rights_changes(self.seen).await? {
            match change.changed {
                Changed::Policy => self.policy_is_old = true,
                Changed::User(username) => broker.revoke(&username, &Revoked::User),
                Changed::Password(username) => broker.revoke(&username, &Revoked::Password),
                Changed::Credential { owner, id } => {
                    broker.revoke(&owner, &Revoked::Token(id.into()));
                }
                Changed::Forgotten(username) => {
                    let forgetting = broker.forget(&username);
                    self.forgetting.push_back((change.id, forgetting));
                }
            }
            self.seen = change.id;
        }
        if self.policy_is_old {
            let rules = self.store.rules().await?;
            tracing::info!(rules = rules.len(), "the access rules have changed");
            broker.set_policy(Policy::new(rules));
            self.policy_is_old = false;
        }
        self.tell_in_force();
        Ok(())
    }

    /// Resolves each time that a user is forgotten.
    async fn forgotten(&mut self) {
        match self.forgetting.front_mut() {
            Some((_, forgetting)) => forgetting.await,
            None => pending().await,
        }
        self.forgetting.pop_front();
    }

    /// What comes behind a user who is not forgotten yet is in force, and waited for a little longer.
    fn tell_in_force(&self) {
        let next = self.forgetting.front().map(|(change, _)| change - 1);
        self.in_force.send_replace(next.unwrap_or(self.seen));
    }

    /// Logs that trouble begins or ends, once.
    fn note(&mut self, followed: Result<(), StoreError>) -> Result<(), Lost> {
        let trouble = match followed {
            Ok(()) => None,
            Err(e @ (StoreError::RightsForgotten | StoreError::Invalid { .. })) => {
                return Err(Lost(e));
            }
            Err(e) => Some(e.to_string()),
        };
        match &trouble {
            Some(error) if self.trouble != trouble => tracing::error!(
                %error,
                "changes of rights are not in force; they will be tried again until they are"
            ),
            None if self.trouble.is_some() => {
                tracing::info!("all changes of rights are in force again")
            }
            _ => {}
        }
        self.trouble = trouble;
        Ok(())
    }
}

/// Whether the database has said what has changed. That what it said cannot be put in force does not make it unknown.
fn has_answered(followed: &Result<(), StoreError>) -> bool {
    matches!(followed, Ok(()) | Err(StoreError::InvalidRule { .. }))
}

#[cfg(test)]
mod tests;
