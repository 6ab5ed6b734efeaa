//! A semaphore for each key.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// As many permits for each key, given first come, first served, so that nobody holds up those with other keys. A key takes
/// room only while somebody holds a permit of it or waits for one.
///
/// Crates such as `semaphore-key` keep one map for the whole process and every key that there ever was in it, and have neither
/// weights nor a limit to those who wait.
#[derive(Debug)]
pub(crate) struct KeyedSemaphore<K: Eq + Hash> {
    permits: usize,
    /// How many may hold permits of one key or wait for some.
    max_members: usize,
    keys: Mutex<HashMap<K, Entry>>,
}

#[derive(Debug)]
struct Entry {
    semaphore: Arc<Semaphore>,
    members: usize,
}

/// Permits of one key, until dropped.
pub(crate) struct KeyedPermit<K: Clone + Eq + Hash> {
    // Given back first, then the key is forgotten.
    _permit: OwnedSemaphorePermit,
    _member: Member<K>,
}

struct Member<K: Clone + Eq + Hash> {
    of: Arc<KeyedSemaphore<K>>,
    key: K,
}

/// Too many wait for permits of the key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyWait;

impl<K: Clone + Eq + Hash> KeyedSemaphore<K> {
    /// `permits` for each key, for at most `max_members` at a time.
    pub(crate) fn new(permits: usize, max_members: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: permits.min(Semaphore::MAX_PERMITS),
            max_members,
            keys: Mutex::default(),
        })
    }

    /// Waits for one permit of `key`.
    pub(crate) async fn acquire(self: &Arc<Self>, key: K) -> Result<KeyedPermit<K>, TooManyWait> {
        self.acquire_many(key, 1).await
    }

    /// Waits for `permits` of `key`, which are no more than there are.
    pub(crate) async fn acquire_many(
        self: &Arc<Self>,
        key: K,
        permits: u32,
    ) -> Result<KeyedPermit<K>, TooManyWait> {
        // Dropped with the future, if that is given up.
        let (semaphore, member) = self.join(key)?;
        let permit = semaphore.acquire_many_owned(permits).await;
        Ok(KeyedPermit {
            _permit: permit.map_err(|_| TooManyWait)?,
            _member: member,
        })
    }

    fn join(self: &Arc<Self>, key: K) -> Result<(Arc<Semaphore>, Member<K>), TooManyWait> {
        let mut keys = self.keys.lock();
        let entry = keys.entry(key.clone()).or_insert_with(|| Entry {
            semaphore: Arc::new(Semaphore::new(self.permits)),
            members: 0,
        });
        if entry.members >= self.max_members {
            return Err(TooManyWait);
        }
        entry.members += 1;
        let member = Member {
            of: Arc::clone(self),
            key,
        };
        Ok((Arc::clone(&entry.semaphore), member))
    }

    /// Whether nobody holds a permit or waits for one.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.keys.lock().is_empty()
    }
}

impl<K: Clone + Eq + Hash> Drop for Member<K> {
    fn drop(&mut self) {
        let mut keys = self.of.keys.lock();
        if let Some(entry) = keys.get_mut(&self.key) {
            entry.members -= 1;
            if entry.members == 0 {
                keys.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn those_of_a_key_hold_up_their_own_alone() {
        let semaphore = KeyedSemaphore::new(1, 3);
        let first = semaphore.acquire("alice").await.unwrap();
        let mut second = Box::pin(semaphore.acquire("alice"));
        let mut third = Box::pin(semaphore.acquire("alice"));
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        assert_eq!(semaphore.acquire("alice").await.err(), Some(TooManyWait));
        let bob = semaphore.acquire("bob").now_or_never();
        assert!(bob.is_some_and(|permit| permit.is_ok()));

        drop(first);
        let second = second.await.unwrap();
        assert!((&mut third).now_or_never().is_none());
        // Who gives up waits no more.
        drop(third);
        drop(second);
        assert!(semaphore.is_idle());
    }
}
