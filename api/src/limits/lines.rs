//! Lines of those who wait for something that all share: one for each key, so that nobody fills the way for the others.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A line for each key that somebody waits under.
pub(crate) struct Lines<K: Eq + Hash> {
    /// How many of a line may go on to what all share.
    at_once: usize,
    /// How many may be in a line.
    longest: usize,
    open: Mutex<HashMap<K, Line>>,
}

struct Line {
    places: Arc<Semaphore>,
    /// Those who wait, and those who have gone on and are not done.
    members: usize,
}

/// The head of a line, until dropped.
pub(crate) struct Head<K: Clone + Eq + Hash> {
    _permit: OwnedSemaphorePermit,
    _member: Member<K>,
}

struct Member<K: Clone + Eq + Hash> {
    lines: Arc<Lines<K>>,
    key: K,
}

/// The line is too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<K: Clone + Eq + Hash> Lines<K> {
    pub(crate) fn new(at_once: usize, longest: usize) -> Arc<Self> {
        Arc::new(Self {
            at_once,
            longest,
            open: Mutex::default(),
        })
    }

    /// Waits to come to the head of the line of `key`; first come, first served.
    pub(crate) async fn head(self: &Arc<Self>, key: K) -> Result<Head<K>, Full> {
        let (places, member) = self.join(key)?;
        let permit = places.acquire_owned().await.map_err(|_| Full)?;
        Ok(Head {
            _permit: permit,
            _member: member,
        })
    }

    fn join(self: &Arc<Self>, key: K) -> Result<(Arc<Semaphore>, Member<K>), Full> {
        let mut open = self.open.lock();
        let line = open.entry(key.clone()).or_insert_with(|| Line {
            places: Arc::new(Semaphore::new(self.at_once)),
            members: 0,
        });
        if line.members >= self.longest {
            return Err(Full);
        }
        line.members += 1;
        let member = Member {
            lines: Arc::clone(self),
            key,
        };
        Ok((Arc::clone(&line.places), member))
    }
}

impl<K: Clone + Eq + Hash> Drop for Member<K> {
    fn drop(&mut self) {
        let mut open = self.lines.open.lock();
        if let Some(line) = open.get_mut(&self.key) {
            line.members -= 1;
            if line.members == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_long_line_holds_up_its_own_alone() {
        let lines = Lines::new(1, 3);
        let first = lines.head("alice").await.unwrap();
        let mut second = Box::pin(lines.head("alice"));
        let mut third = Box::pin(lines.head("alice"));
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        assert_eq!(lines.head("alice").await.err(), Some(Full));
        let bob = lines.head("bob").now_or_never();
        assert!(bob.is_some_and(|head| head.is_ok()));

        drop(first);
        let second = second.await.unwrap();
        assert!((&mut third).now_or_never().is_none());
        // Who gives up leaves the line.
        drop(third);
        drop(second);
        assert!(lines.open.lock().is_empty());
    }
}
