//! Turns at the writer, so that users who send much over MQTT do not crowd out the others.

use std::{collections::HashMap, sync::Arc};

use herald_store::UserId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sends of one user that may wait to be written.
const PER_USER: usize = 32;

/// Sends over MQTT that may wait to be written: half of what the store's writer takes, so that there is always room for
/// those over HTTP.
const IN_ALL: usize = 512;

/// First come, first served, among the users and within each.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    users: Mutex<HashMap<UserId, Arc<Semaphore>>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(IN_ALL)),
            users: Mutex::default(),
        }
    }
}

/// The right to send, until dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    user: UserId,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Turns {
    /// Waits for a turn of `user`. Who waits is bounded by the sessions and what each may have under way.
    pub(super) async fn wait(self: &Arc<Self>, user: &UserId) -> Turn {
        let own = {
            let mut users = self.users.lock();
            let new = || Arc::new(Semaphore::new(PER_USER));
            users.entry(user.clone()).or_insert_with(new).clone()
        };
        // Made first, so that a wait that is given up cleans up, too.
        let mut turn = Turn {
            turns: self.clone(),
            user: user.clone(),
            permits: None,
        };
        let own = own.acquire_owned().await.expect("it is never closed");
        let all = self.all.clone().acquire_owned().await;
        turn.permits = Some((own, all.expect("it is never closed")));
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permits = None;
        let mut users = self.turns.users.lock();
        // Nobody but the map holds it: the user has no turn and waits for none.
        if users
            .get(&self.user)
            .is_some_and(|own| Arc::strong_count(own) == 1)
        {
            users.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_user_who_sends_much_waits_and_another_does_not() {
        let turns = Arc::new(Turns::default());
        let (alice, bob) = (UserId::new(), UserId::new());
        let mut held = vec![];
        for _ in 0..PER_USER {
            held.push(turns.wait(&alice).await);
        }
        assert!(turns.wait(&alice).now_or_never().is_none());
        let bobs = turns.wait(&bob).now_or_never();
        assert!(bobs.is_some());
        held.pop();
        held.push(
            turns
                .wait(&alice)
                .now_or_never()
                .expect("there is room again"),
        );
        drop((held, bobs));
        assert!(turns.users.lock().is_empty());
        assert_eq!(turns.all.available_permits(), IN_ALL);
    }
}
