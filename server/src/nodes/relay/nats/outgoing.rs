//! Frames that wait to be sent to NATS.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::nodes::relay::pieces::FRAME;

/// How many frames wait at most, and of how many bytes: one of the largest has room.
const FRAMES: usize = 16_384;
const BYTES: usize = FRAME;

#[derive(Default)]
pub(super) struct Outgoing {
    due: Mutex<Due>,
    pub(super) came: Notify,
}

/// What is to be sent, in order.
#[derive(Default)]
pub(super) struct Due {
    pub(super) frames: Vec<Bytes>,
    pub(super) bytes: usize,
    /// Whoever waits until these are sent.
    pub(super) taken: Vec<oneshot::Sender<()>>,
    /// How many were dropped.
    pub(super) lost: u64,
}

impl Outgoing {
    /// Takes a frame to send. What there is no room for is lost.
    pub(super) fn add(&self, frame: Bytes, taken: Option<oneshot::Sender<()>>) {
        if frame.len() > FRAME {
            tracing::error!(
                bytes = frame.len(),
                "a frame is too large for other servers"
            );
        }
        let mut due = self.due.lock();
        let bytes = due.bytes + frame.len();
        if bytes <= BYTES && due.frames.len() < FRAMES {
            due.bytes = bytes;
            due.frames.push(frame);
            due.taken.extend(taken);
        } else {
            due.lost += 1;
        }
        drop(due);
        self.came.notify_one();
    }

    pub(super) fn take(&self) -> Due {
        std::mem::take(&mut *self.due.lock())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_lost_and_counted() {
        let outgoing = Outgoing::default();
        let add = |bytes| {
            let (taken, told) = oneshot::channel();
            outgoing.add(Bytes::from(vec![0; bytes]), Some(taken));
            told
        };
        let mut none = add(BYTES + 1);
        let mut first = add(BYTES / 2 + 1);
        let mut second = add(BYTES / 2);
        let due = outgoing.take();
        assert_eq!((due.frames.len(), due.taken.len(), due.lost), (1, 1, 2));
        assert_eq!(none.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(second.try_recv(), Err(TryRecvError::Closed));
        for _ in 0..=FRAMES {
            add(0);
        }
        let due = outgoing.take();
        assert_eq!((due.frames.len(), due.lost), (FRAMES, 1));
        assert_eq!(outgoing.take().lost, 0);
    }
}
