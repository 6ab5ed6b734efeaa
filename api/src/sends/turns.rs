//! Turns at the writer, so that users who send much do not crowd out the others.

use std::{collections::HashMap, sync::Arc};

use herald_store::UserId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sends of one user that may wait to be written.
const PER_USER: u32 = 32;

/// A long send counts as one more for each so many bytes: what is written together makes all wait for it.
const BYTES: usize = 8 * 1024;

/// Sends over MQTT that may wait to be written: half of what the store's writer takes.
const MQTT: usize = 512;

/// The same over HTTP: not the other half, so that there is always room for what nobody sends, as sign-ins and ends of messages.
const HTTP: usize = 384;

/// How a send comes in. Those that can be told to come again do not stand behind those that cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Http,
    Mqtt,
}

/// First come, first served, among the users and within each.
#[derive(Debug)]
pub(super) struct Turns {
    http: Arc<Semaphore>,
    mqtt: Arc<Semaphore>,
    users: Mutex<HashMap<UserId, Arc<Semaphore>>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            http: Arc::new(Semaphore::new(HTTP)),
            mqtt: Arc::new(Semaphore::new(MQTT)),
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
    /// Waits for a turn of `user`, who sends so many `bytes`. Who waits is bounded by the sessions and what each may have under way, and over HTTP by the
    /// bodies that a user may have sent.
    pub(super) async fn wait(self: &Arc<Self>, user: &UserId, way: Way, bytes: usize) -> Turn {
        let own = {
            let mut users = self.users.lock();
            let new = || Arc::new(Semaphore::new(PER_USER as usize));
            users.entry(user.clone()).or_insert_with(new).clone()
        };
        // Made first, so that a wait that is given up cleans up, too.
        let mut turn = Turn {
            turns: self.clone(),
            user: user.clone(),
            permits: None,
        };
        let own = own.acquire_many_owned(weight(bytes)).await;
        let own = own.expect("it is never closed");
        let all = match way {
            Way::Http => &self.http,
            Way::Mqtt => &self.mqtt,
        };
        let all = all.clone().acquire_owned().await;
        turn.permits = Some((own, all.expect("it is never closed")));
        turn
    }
}

/// How many of a user's sends one of so many bytes counts as.
fn weight(bytes: usize) -> u32 {
    let weight = u32::try_from(1 + bytes / BYTES).unwrap_or(PER_USER);
    weight.min(PER_USER)
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
            held.push(turns.wait(&alice, Way::Mqtt, 1).await);
        }
        assert!(turns.wait(&alice, Way::Mqtt, 1).now_or_never().is_none());
        let bobs = turns.wait(&bob, Way::Mqtt, 1).now_or_never();
        assert!(bobs.is_some());
        held.pop();
        held.push(
            turns
                .wait(&alice, Way::Mqtt, 1)
                .now_or_never()
                .expect("there is room again"),
        );
        // The user has no more over HTTP.
        assert!(turns.wait(&alice, Way::Http, 1).now_or_never().is_none());
        assert!(turns.wait(&bob, Way::Http, 1).now_or_never().is_some());
        drop((held, bobs));
        assert!(turns.users.lock().is_empty());
        assert_eq!(turns.mqtt.available_permits(), MQTT);
    }

    #[tokio::test]
    async fn long_sends_of_a_user_count_for_more() {
        let turns = Arc::new(Turns::default());
        let (alice, bob) = (UserId::new(), UserId::new());
        let mut held = vec![];
        // 64 KiB count as nine.
        for _ in 0..3 {
            held.push(turns.wait(&alice, Way::Http, 8 * BYTES).await);
        }
        let fourth = turns.wait(&alice, Way::Http, 8 * BYTES).now_or_never();
        assert!(fourth.is_none());
        assert!(
            turns
                .wait(&bob, Way::Http, 8 * BYTES)
                .now_or_never()
                .is_some()
        );
        held.clear();
        // However long it is, it has its turn.
        assert!(
            turns
                .wait(&alice, Way::Http, usize::MAX)
                .now_or_never()
                .is_some()
        );
    }
}
