//! What waits to be sent.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::bundle::{Bundle, FRAME, WAITING, WAITING_BYTES, fit};
use crate::NodeId;

/// How many bundles are taken at once, at most.
const BUNDLES: usize = 16;

/// Each sender hands its bundles to each other node: so often, at most, is it sent in all, as a share of a second.
const EACH: Duration = Duration::from_micros(5);

/// A shorter pause is not worth a timer.
const SHORTEST: Duration = Duration::from_millis(1);

/// Frames that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    state: Mutex<State>,
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Waiting>,
    bytes: usize,
    lost: bool,
    is_due: bool,
    /// How many frames were lost, since somebody asked.
    lost_frames: u64,
}

#[derive(Debug)]
struct Waiting {
    frame: String,
    taken: Option<oneshot::Sender<()>>,
}

/// What is to be sent now.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Frames are missing before these, or among them.
    pub(super) lost: bool,
    /// The frames of each bundle.
    pub(super) bundles: Vec<Vec<String>>,
    /// Whoever waits until these are sent.
    taken: Vec<oneshot::Sender<()>>,
}

/// How long after one statement that sends the next may follow, where there are so many `others`. Few nodes need no pause; with
/// very many, what waits is sent together, or the database would be busy with handing it out.
pub(super) fn pause(others: usize) -> Duration {
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    let pause = EACH.saturating_mul(others.saturating_mul(others));
    if pause < SHORTEST {
        Duration::ZERO
    } else {
        pause
    }
}

impl Due {
    /// What is to be sent, as bundles of the node `own`, whose last one has the number `last`: that goes on. What is missing shows
    /// in the numbers.
    pub(super) fn numbered(&mut self, own: &NodeId, last: &mut i64) -> Vec<Bundle> {
        *last += i64::from(self.lost);
        let numbered = std::mem::take(&mut self.bundles).into_iter().map(|frames| {
            *last += 1;
            Bundle {
                node: own.clone(),
                number: *last,
                frames,
            }
        });
        numbered.collect()
    }

    /// It was sent.
    pub(super) fn taken(self) {
        for taken in self.taken {
            // It need not be waited for any more.
            let _ = taken.send(());
        }
    }
}

impl Outgoing {
    /// Adds frames that belong together, if there is room for all. `taken` is told when they were sent, and dropped if they are
    /// not.
    pub(super) fn add(&self, frames: Vec<String>, taken: Option<oneshot::Sender<()>>) {
        let mut state = self.state();
        let bytes = state.bytes + frames.iter().map(String::len).sum::<usize>();
        // PostgreSQL knows no NUL.
        let can_be_sent = |frame: &String| frame.len() <= FRAME && !frame.contains('\0');
        let has_room = bytes <= WAITING_BYTES && state.frames.len() + frames.len() <= WAITING;
        if !has_room || !frames.iter().all(can_be_sent) {
            state.lose(frames.len());
            return;
        }
        state.bytes = bytes;
        let waiting = frames
            .into_iter()
            .map(|frame| Waiting { frame, taken: None });
        state.frames.extend(waiting);
        if let Some(last) = state.frames.back_mut() {
            last.taken = taken;
        }
        drop(state);
        self.came.notify_one();
    }

    /// Notes that so many frames are not sent that should have been.
    pub(super) fn lose(&self, frames: usize) {
        self.state().lose(frames);
    }

    /// How many frames were lost since this was last asked.
    pub(super) fn take_lost(&self) -> u64 {
        std::mem::take(&mut self.state().lost_frames)
    }

    /// Drops what waits.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        let waiting = state.frames.len();
        if waiting > 0 {
            state.lose(waiting);
        }
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
        let (mut bundles, mut taken) = (vec![], vec![]);
        while bundles.len() < BUNDLES && (bundles.is_empty() || !state.frames.is_empty()) {
            let fit = fit(state.frames.iter().map(|waiting| waiting.frame.len()));
            let mut frames = Vec::with_capacity(fit);
            for waiting in state.frames.drain(..fit) {
                frames.push(waiting.frame);
                taken.extend(waiting.taken);
            }
            state.bytes -= frames.iter().map(String::len).sum::<usize>();
            bundles.push(frames);
        }
        state.is_due = false;
        let lost = std::mem::take(&mut state.lost);
        Due {
            lost,
            bundles,
            taken,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lose(&mut self, frames: usize) {
        self.lost = true;
        self.lost_frames += frames as u64;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    impl Outgoing {
        fn add_one(&self, frame: &str) {
            self.add(vec![frame.to_owned()], None);
        }
    }

    #[test]
    fn who_waits_until_frames_are_sent_is_told_or_learns_that_they_are_lost() {
        let outgoing = Outgoing::default();
        let add = |frames: &[&str]| {
            let (taken, sent) = oneshot::channel();
            let frames = frames.iter().map(|&frame| frame.to_owned());
            outgoing.add(frames.collect(), Some(taken));
            sent
        };
        let mut sent = add(&["one", "two"]);
        let due = outgoing.take();
        assert_eq!(due.bundles, [["one", "two"]]);
        assert!(sent.try_recv().is_err());
        due.taken();
        assert_eq!(sent.try_recv(), Ok(()));
        let large = "x".repeat(FRAME + 1);
        let all = [
            add(&["too large", &large]),
            add(&["dropped"]),
            add(&["failed"]),
        ];
        assert_eq!(outgoing.take_lost(), 2);
        outgoing.clear();
        assert_eq!(outgoing.take_lost(), 2);
        drop(outgoing.take());
        for mut sent in all {
            assert_eq!(sent.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        }
    }

    #[test]
    fn frames_are_packed_in_order_into_few_bundles() {
        let outgoing = Outgoing::default();
        assert!(outgoing.wait().now_or_never().is_none());
        let frames: Vec<_> = (0..100).map(|n| format!("{n:0300}")).collect();
        for frame in &frames {
            outgoing.add_one(frame);
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
        for _ in 0..WAITING_BYTES / FRAME + 9 {
            outgoing.add_one(&large);
        }
        for _ in 0..2 * WAITING {
            outgoing.add_one("");
        }
        let state = outgoing.state();
        assert!(state.bytes <= WAITING_BYTES && state.frames.len() <= WAITING);
        drop(state);
        let first = outgoing.take();
        assert_eq!((first.lost, first.bundles.len()), (true, BUNDLES));
        assert!(!outgoing.take().lost);
    }

    #[test]
    fn a_frame_that_cannot_be_sent_is_lost() {
        for frame in ["\0".to_owned(), "x".repeat(FRAME + 1)] {
            let outgoing = Outgoing::default();
            outgoing.add_one(&frame);
            let due = outgoing.take();
            assert_eq!((due.lost, due.bundles.concat().len()), (true, 0));
        }
    }

    #[test]
    fn few_nodes_wait_for_nothing_and_many_are_sent_to_no_more_often() {
        assert_eq!(pause(2), Duration::ZERO);
        assert_eq!(pause(9), Duration::ZERO);
        for others in [15, 31, 99, 255] {
            let a_second = 1.0 / pause(others).as_secs_f64();
            let all = a_second * (others * (others + 1)) as f64;
            assert!(all < 220_000.0, "{others}: {all}");
        }
    }

    #[test]
    fn what_is_dropped_is_lost() {
        let outgoing = Outgoing::default();
        outgoing.clear();
        outgoing.hurry();
        assert!(outgoing.wait().now_or_never().is_some());
        assert!(!outgoing.take().lost);
        outgoing.add_one("frame");
        outgoing.clear();
        assert_eq!(outgoing.take().bundles.concat(), Vec::<String>::new());
        outgoing.lose(1);
        assert!(outgoing.take().lost);
    }
}
