//! What waits to be sent.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::bundle::{FRAME, fit};

/// How many frames wait at most, and of how many bytes.
const FRAMES: usize = 16_384;
const BYTES: usize = 4 * 1024 * 1024;

/// How many bundles are taken at once, at most.
const BUNDLES: usize = 16;

/// Frames that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    state: Mutex<State>,
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<String>,
    bytes: usize,
    lost: bool,
    is_due: bool,
}

/// What is to be sent now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Frames are missing before these, or among them.
    pub(super) lost: bool,
    /// The frames of each bundle.
    pub(super) bundles: Vec<Vec<String>>,
}

impl Outgoing {
    /// Adds a frame, if there is room.
    pub(super) fn add(&self, frame: &str) {
        let mut state = self.state();
        let bytes = state.bytes + frame.len();
        // PostgreSQL knows no NUL.
        let can_be_sent = frame.len() <= FRAME && !frame.contains('\0');
        if !can_be_sent || bytes > BYTES || state.frames.len() >= FRAMES {
            state.lost = true;
            return;
        }
        state.bytes = bytes;
        state.frames.push_back(frame.to_owned());
        drop(state);
        self.came.notify_one();
    }

    /// Notes that something is not sent that should have been.
    pub(super) fn lose(&self) {
        self.state().lost = true;
    }

    /// Drops what waits.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.lost |= !state.frames.is_empty();
        state.bytes = 0;
        state.frames.clear();
    }

    /// Something is to be sent soon, even if it is an empty bundle.
    pub(super) fn hurry(&self) {
        self.state().is_due = true;
        self.came.notify_one();
    }

    /// Waits until something waits, or is due.
    pub(super) async fn wait(&self) {
        while !self.is_due() {
            // One that came meanwhile has left a permit.
            self.came.notified().await;
        }
    }

    fn is_due(&self) -> bool {
        let state = self.state();
        state.is_due || !state.frames.is_empty()
    }

    /// Takes what is to be sent next: an empty bundle if nothing waits.
    pub(super) fn take(&self) -> Due {
        let mut state = self.state();
        let mut bundles = vec![];
        while bundles.len() < BUNDLES && (bundles.is_empty() || !state.frames.is_empty()) {
            let fit = fit(state.frames.iter().map(String::len));
            let frames: Vec<_> = state.frames.drain(..fit).collect();
            state.bytes -= frames.iter().map(String::len).sum::<usize>();
            bundles.push(frames);
        }
        state.is_due = false;
        let lost = std::mem::take(&mut state.lost);
        Due { lost, bundles }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn frames_are_packed_in_order_into_few_bundles() {
        let outgoing = Outgoing::default();
        assert!(outgoing.wait().now_or_never().is_none());
        let frames: Vec<_> = (0..100).map(|n| format!("{n:0300}")).collect();
        for frame in &frames {
            outgoing.add(frame);
        }
        assert!(outgoing.wait().now_or_never().is_some());
        let due = outgoing.take();
        assert!(!due.lost);
        assert_eq!(due.bundles.len(), 4);
        assert_eq!(due.bundles.concat(), frames);
        assert!(outgoing.wait().now_or_never().is_none());
        // As a sign of life.
        assert_eq!(outgoing.take().bundles, [Vec::<String>::new()]);
    }

    #[test]
    fn what_there_is_no_room_for_is_lost_once() {
        let outgoing = Outgoing::default();
        let large = "x".repeat(FRAME);
        for _ in 0..BYTES / FRAME + 9 {
            outgoing.add(&large);
        }
        for _ in 0..2 * FRAMES {
            outgoing.add("");
        }
        let state = outgoing.state();
        assert!(state.bytes <= BYTES && state.frames.len() <= FRAMES);
        drop(state);
        let first = outgoing.take();
        assert_eq!((first.lost, first.bundles.len()), (true, BUNDLES));
        assert!(!outgoing.take().lost);
    }

    #[test]
    fn a_frame_that_cannot_be_sent_is_lost() {
        for frame in ["\0".to_owned(), "x".repeat(FRAME + 1)] {
            let outgoing = Outgoing::default();
            outgoing.add(&frame);
            let due = outgoing.take();
            assert_eq!((due.lost, due.bundles.concat().len()), (true, 0));
        }
    }

    #[test]
    fn what_is_dropped_is_lost() {
        let outgoing = Outgoing::default();
        outgoing.clear();
        outgoing.hurry();
        assert!(outgoing.wait().now_or_never().is_some());
        assert!(!outgoing.take().lost);
        outgoing.add("frame");
        outgoing.clear();
        assert_eq!(outgoing.take().bundles.concat(), Vec::<String>::new());
        outgoing.lose();
        assert!(outgoing.take().lost);
    }
}
