//! Permits to hand a send to the writer, so that users who send much do not crowd out the others.

use std::sync::Arc;

use herald_store::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::keyed_semaphore::{KeyedPermit, KeyedSemaphore};

/// Sends of one user that may wait to be written.
const PER_USER: u32 = 32;

/// A long send counts as one more for each so many bytes: what is written together makes all wait for it.
const BYTES: usize = 8 * 1024;

/// Sends over MQTT that may wait to be written: half of what the store's writer takes.
const MQTT: usize = 512;

/// The same over HTTP: not the other half, so that there is always room for what nobody sends, as sign-ins and ends of messages.
const HTTP: usize = 384;

/// How a send comes in. Those that can be refused do not wait behind those that cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    Http,
    Mqtt,
}

/// Given first come, first served, among the users and within each.
#[derive(Debug)]
pub(super) struct WriterPermits {
    http: Arc<Semaphore>,
    mqtt: Arc<Semaphore>,
    /// Who waits is bounded by the sessions and what each may have under way, and over HTTP by the bodies that a user may
    /// have sent.
    users: Arc<KeyedSemaphore<UserId>>,
}

impl Default for WriterPermits {
    fn default() -> Self {
        Self {
            http: Arc::new(Semaphore::new(HTTP)),
            mqtt: Arc::new(Semaphore::new(MQTT)),
            users: KeyedSemaphore::new(PER_USER as usize, usize::MAX),
        }
    }
}

/// The right to send, until dropped.
pub(super) struct WriterPermit {
    _own: KeyedPermit<UserId>,
    _of_all: OwnedSemaphorePermit,
}

impl WriterPermits {
    /// Waits for a permit of `user`, who sends so many `bytes`.
    pub(super) async fn acquire(
        &self,
        user: &UserId,
        entrance: Entrance,
        bytes: usize,
    ) -> WriterPermit {
        let own = self.users.acquire_many(user.clone(), weight(bytes)).await;
        let of_all = match entrance {
            Entrance::Http => &self.http,
            Entrance::Mqtt => &self.mqtt,
        };
        let of_all = Arc::clone(of_all).acquire_owned().await;
        WriterPermit {
            _own: own.expect("any number may wait"),
            _of_all: of_all.expect("it is never closed"),
        }
    }
}

/// How many of a user's sends one of so many bytes counts as.
fn weight(bytes: usize) -> u32 {
    let weight = u32::try_from(1 + bytes / BYTES).unwrap_or(PER_USER);
    weight.min(PER_USER)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_user_who_sends_much_waits_and_another_does_not() {
        let permits = WriterPermits::default();
        let (alice, bob) = (UserId::new(), UserId::new());
        let mut held = vec![];
        for _ in 0..PER_USER {
            held.push(permits.acquire(&alice, Entrance::Mqtt, 1).await);
        }
        assert!(
            permits
                .acquire(&alice, Entrance::Mqtt, 1)
                .now_or_never()
                .is_none()
        );
        let bobs = permits.acquire(&bob, Entrance::Mqtt, 1).now_or_never();
        assert!(bobs.is_some());
        held.pop();
        held.push(
            permits
                .acquire(&alice, Entrance::Mqtt, 1)
                .now_or_never()
                .expect("there is room again"),
        );
        // The user has no more over HTTP.
        assert!(
            permits
                .acquire(&alice, Entrance::Http, 1)
                .now_or_never()
                .is_none()
        );
        assert!(
            permits
                .acquire(&bob, Entrance::Http, 1)
                .now_or_never()
                .is_some()
        );
        drop((held, bobs));
        assert!(permits.users.is_idle());
        assert_eq!(permits.mqtt.available_permits(), MQTT);
    }

    #[tokio::test]
    async fn long_sends_of_a_user_count_for_more() {
        let permits = WriterPermits::default();
        let (alice, bob) = (UserId::new(), UserId::new());
        let mut held = vec![];
        // 64 KiB count as nine.
        for _ in 0..3 {
            held.push(permits.acquire(&alice, Entrance::Http, 8 * BYTES).await);
        }
        let fourth = permits
            .acquire(&alice, Entrance::Http, 8 * BYTES)
            .now_or_never();
        assert!(fourth.is_none());
        assert!(
            permits
                .acquire(&bob, Entrance::Http, 8 * BYTES)
                .now_or_never()
                .is_some()
        );
        held.clear();
        // However long it is, it gets a permit.
        assert!(
            permits
                .acquire(&alice, Entrance::Http, usize::MAX)
                .now_or_never()
                .is_some()
        );
    }
}
