//! Watches the database for changes of rights, whoever makes them, and puts them in force in the broker.

use std::time::Duration;

use herald_acl::{Policy, Username};
use herald_broker::{Broker, Revoked};
use herald_store::{Changed, Store, StoreError};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// How often the database is asked for what is new. A change must be in force within a second.
const EVERY: Duration = Duration::from_millis(250);

/// Where rights are in force.
pub(crate) trait Enforce {
    fn set_policy(&self, policy: Policy);
    fn revoke(&self, username: &Username, revoked: &Revoked);
}

impl Enforce for Broker {
    fn set_policy(&self, policy: Policy) {
        Self::set_policy(self, policy);
    }

    fn revoke(&self, username: &Username, revoked: &Revoked) {
        Self::revoke(self, username, revoked);
    }
}

/// Watches the changes from one of them on.
pub(crate) struct RightsWatch {
    store: Store,
    /// The last change that was acted on.
    seen: i64,
    /// The last change that is in force, with all before it.
    in_force: watch::Sender<i64>,
    /// The rules have changed and could not be loaded yet.
    policy_is_old: bool,
    /// The trouble that was logged last and has not ended.
    trouble: Option<String>,
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
            policy_is_old: false,
            trouble: None,
        };
        Ok((policy, watch))
    }

    /// The number of the last change that is in force, with all before it.
    pub(crate) fn in_force(&self) -> watch::Receiver<i64> {
        self.in_force.subscribe()
    }

    /// Puts every change in force until stopped. While the database cannot be read, what was in force stays.
    pub(crate) async fn run(
        mut self,
        broker: impl Enforce,
        stop: CancellationToken,
    ) -> Result<(), Lost> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let followed = self.follow(&broker).await;
            self.note(followed)?;
        }
        Ok(())
    }

    /// Acts on what is new.
    async fn follow(&mut self, broker: &impl Enforce) -> Result<(), StoreError> {
        for change in self.store.rights_changes(self.seen).await? {
            match change.changed {
                Changed::Policy => self.policy_is_old = true,
                Changed::User(username) => broker.revoke(&username, &Revoked::User),
                Changed::Password(username) => broker.revoke(&username, &Revoked::Password),
                Changed::Token { owner, token } => {
                    broker.revoke(&owner, &Revoked::Token(token.as_str().into()));
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
        self.in_force.send_replace(self.seen);
        Ok(())
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

#[cfg(test)]
mod tests;
