//! What was sent to NATS and has not come back.

use std::{collections::VecDeque, time::Duration};

use herald_store::NodeId;
use tokio::{sync::oneshot, time::Instant};

/// How long is waited for it.
const ANSWER: Duration = Duration::from_secs(3);

/// How many bytes, and how many batches, are under way at most before more is sent.
const BYTES: usize = 4 * 1024 * 1024;
const BATCHES: usize = 1024;

/// How many names of this server, which has a new one each time it joins, it knows its own messages by.
const NAMES: usize = 8;

/// In order.
#[derive(Default)]
pub(super) struct UnderWay {
    batches: VecDeque<Batch>,
    bytes: usize,
    names: VecDeque<NodeId>,
    /// The last batch of which it is known did not come back.
    is_silent: bool,
}

/// What was sent at once.
pub(super) struct Batch {
    /// Of its last piece.
    pub(super) number: u64,
    /// The connection that it was sent through: what was sent through one that broke may be lost.
    pub(super) connection: u64,
    pub(super) at: Instant,
    pub(super) frames: u64,
    pub(super) bytes: usize,
    pub(super) taken: Vec<oneshot::Sender<()>>,
}

impl UnderWay {
    fn is_named(&mut self, name: &NodeId) {
        if self.names.back() != Some(name) {
            self.names.push_back(name.clone());
        }
        if self.names.len() > NAMES {
            self.names.pop_front();
        }
    }

    /// Whether this is, or was, the name of this server.
    pub(super) fn is_own(&self, name: &NodeId) -> bool {
        self.names.contains(name)
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < BYTES && self.batches.len() < BATCHES
    }

    pub(super) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// This server sends `batch` under this name.
    pub(super) fn push(&mut self, name: &NodeId, batch: Batch) {
        self.is_named(name);
        self.bytes += batch.bytes;
        self.batches.push_back(batch);
    }

    /// What has this number has come back, and there is this connection. Returns how many frames may be lost nevertheless.
    pub(super) fn came_back(&mut self, number: u64, connection: Option<u64>) -> u64 {
        let mut lost = 0;
        while let Some(batch) = self.pop_if(|batch| batch.number <= number) {
            if Some(batch.connection) == connection {
                self.is_silent = false;
                for taken in batch.taken {
                    // It need not be waited for any more.
                    let _ = taken.send(());
                }
            } else {
                lost += batch.frames;
            }
        }
        lost
    }

    /// The last batch, which was not sent.
    pub(super) fn take_back(&mut self, number: u64) -> Option<Batch> {
        let batch = self.batches.pop_back_if(|batch| batch.number == number)?;
        self.bytes -= batch.bytes;
        Some(batch)
    }

    /// Gives up what does not come back. Returns how many frames that are.
    pub(super) fn give_up(&mut self, connection: Option<u64>) -> u64 {
        let mut lost = 0;
        let is_lost =
            |batch: &Batch| Some(batch.connection) != connection || batch.at.elapsed() >= ANSWER;
        while let Some(batch) = self.pop_if(is_lost) {
            self.is_silent = true;
            lost += batch.frames;
        }
        lost
    }

    fn pop_if(&mut self, is_due: impl Fn(&Batch) -> bool) -> Option<Batch> {
        let batch = self.batches.pop_front_if(|batch| is_due(batch))?;
        self.bytes -= batch.bytes;
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot::error::TryRecvError, time::advance};

    use super::*;

    fn push(under_way: &mut UnderWay, number: u64, connection: u64) -> oneshot::Receiver<()> {
        let (taken, told) = oneshot::channel();
        let batch = Batch {
            number,
            connection,
            at: Instant::now(),
            frames: 1,
            bytes: BYTES / 2,
            taken: vec![taken],
        };
        under_way.push(&NodeId::new(), batch);
        told
    }

    #[tokio::test]
    async fn what_came_back_is_taken_and_makes_room() {
        let mut under_way = UnderWay::default();
        let mut all = [1, 3, 4].map(|number| push(&mut under_way, number, 1));
        assert!(!under_way.has_room());
        assert_eq!(under_way.came_back(2, Some(1)), 0);
        assert_eq!(all[0].try_recv(), Ok(()));
        assert_eq!(all[1].try_recv(), Err(TryRecvError::Empty));
        assert_eq!(under_way.came_back(3, Some(1)), 0);
        assert_eq!(all[1].try_recv(), Ok(()));
        assert!(under_way.has_room());
        assert!(under_way.take_back(5).is_none());
        drop(under_way.take_back(4));
        assert_eq!(all[2].try_recv(), Err(TryRecvError::Closed));
        assert_eq!((under_way.bytes, under_way.batches.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_back_through_the_same_connection_in_time_is_lost() {
        let mut under_way = UnderWay::default();
        let mut all = [(1, 1), (2, 1), (3, 2)].map(|(n, c)| push(&mut under_way, n, c));
        assert_eq!(under_way.came_back(1, Some(2)), 1);
        assert_eq!(under_way.give_up(Some(2)), 1);
        assert!(under_way.is_silent());
        advance(ANSWER).await;
        assert_eq!(under_way.give_up(Some(2)), 1);
        for told in &mut all {
            assert_eq!(told.try_recv(), Err(TryRecvError::Closed));
        }
        let mut told = push(&mut under_way, 4, 2);
        assert_eq!(under_way.came_back(4, Some(2)), 0);
        assert_eq!(told.try_recv(), Ok(()));
        assert!(!under_way.is_silent());
    }

    #[test]
    fn a_server_knows_itself_by_the_names_that_it_had() {
        let mut under_way = UnderWay::default();
        let names: Vec<_> = (0..=NAMES).map(|_| NodeId::new()).collect();
        for name in &names {
            assert!(!under_way.is_own(name));
            under_way.is_named(name);
            under_way.is_named(name);
        }
        assert!(!under_way.is_own(&names[0]));
        assert!(names[1..].iter().all(|name| under_way.is_own(name)));
    }
}
