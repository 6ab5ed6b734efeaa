//! What others are in the way of, until they are not any more.

use std::mem;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::batch::Batch;
use super::locks::Locks;
use crate::StoreError;

/// How many writes are put aside at most.
const MOST: usize = 1024;

/// How long it is left alone: after it was put there, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long a try may have taken so that the next one waits as long: more was not for what is aside.
const LONGEST_TRY: Duration = Duration::from_secs(2);

/// How long the one whose turn it is waits in line for its locks, at least: who else writes waits with it.
const HASTE: Duration = Duration::from_millis(20);

/// What others are in the way of, in order within a kind. It is tried again together with what is queued at that time.
pub(super) struct Aside {
    batch: Batch,
    /// What of it others had locked when it was tried last.
    locked: Locks,
    look_at: Instant,
    pause: Duration,
    /// Whether there is some that nobody is in the way of, and that was only too much at once.
    has_free: bool,
    /// Whose turn it is to wait in line.
    turn: usize,
}

impl Aside {
    pub(super) fn new() -> Self {
        Self {
            batch: Batch::default(),
            locked: Locks::default(),
            look_at: Instant::now(),
            pause: FIRST_PAUSE,
            has_free: false,
            turn: 0,
        }
    }

    /// How many writes wait.
    pub(super) fn len(&self) -> usize {
        self.batch.len()
    }

    /// For how many more there is room.
    pub(super) fn room(&self) -> usize {
        MOST.saturating_sub(self.len())
    }

    /// When it is tried again.
    pub(super) fn look_at(&self) -> Instant {
        self.look_at
    }

    /// How long a write waits for what others have locked while something is aside.
    pub(super) fn haste(&self) -> Duration {
        HASTE.max(self.pause / 4)
    }

    /// Puts those of a new batch aside that have to come after what is there: of the same kind, or as others have locked it. None
    /// if all was taken out: then they come after it in its batch.
    pub(super) fn hold_back(&mut self, batch: &mut Batch) {
        if self.len() > 0 {
            let behind = batch.take_behind(&self.locked, &self.batch);
            self.batch.append(behind);
        }
    }

    /// Puts those of a batch aside that lock what others have `locked`, and what has to come after them; and of the rest what
    /// is more than `most`. All of it comes before what is there of its kind.
    pub(super) fn put_locked(&mut self, batch: &mut Batch, locked: Locks, most: usize) {
        if !locked.is_empty() {
            self.put(batch.take_behind(&locked, &Batch::default()));
            self.locked.add(locked);
        }
        let beyond = batch.take_beyond(most);
        self.has_free |= beyond.len() > 0;
        self.put(beyond);
    }

    /// Puts what is left of a batch aside, before what is there of its kind.
    pub(super) fn put(&mut self, batch: Batch) {
        let after = mem::take(&mut self.batch);
        self.batch.append(batch);
        self.batch.append(after);
    }

    /// Others are in the way of what locks this.
    pub(super) fn pass_over(&mut self, locks: Locks) {
        self.locked.add(locks);
    }

    /// Takes all out if it is time to try it again, but for what is not to wait any longer: its callers are told so.
    pub(super) fn take_due(&mut self, wake: &Notify) -> Batch {
        let now = Instant::now();
        if self.look_at > now {
            return Batch::default();
        }
        let mut due = mem::take(&mut self.batch);
        self.locked = Locks::default();
        due.fail_aside(now, &StoreError::Locked);
        due.send_settled(wake);
        if due.len() > 0 {
            self.turn = (self.turn + 1) % due.len();
            due.in_line = due.locks_of(self.turn);
        }
        due
    }

    /// Looks again soon if there is more than `before` a batch that took so long, otherwise later. The rest has as much time as
    /// what is aside.
    pub(super) fn rest(&mut self, before: usize, is_tried: bool, took: Duration) {
        let has_more = self.len() > before;
        if !is_tried && !has_more {
            return;
        }
        self.pause = if has_more || self.has_free {
            FIRST_PAUSE
        } else {
            (2 * self.pause).min(LONGEST_PAUSE)
        };
        let next = Instant::now() + self.pause.max(took.min(LONGEST_TRY));
        self.look_at = match (mem::take(&mut self.has_free), is_tried || before == 0) {
            (true, _) => Instant::now(),
            (false, true) => next,
            (false, false) => self.look_at.min(next),
        };
    }

    /// Tells the callers of what would not be written until `time`.
    pub(super) fn fail_late(&mut self, time: Instant, error: &StoreError, wake: &Notify) {
        self.batch.fail_late(time, error);
        self.batch.send_settled(wake);
    }
}

#[cfg(test)]
mod tests;
