//! How long a session works before others have their turn on its thread.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::task::{consume_budget, yield_now};

/// How long a session works at a time.
const SLICE: Duration = Duration::from_millis(1);

/// The time since the session last let others work. It is the machine's own time, not that of timers: what counts is how long
/// the thread was busy.
#[derive(Debug)]
pub(crate) struct Slice {
    began: Instant,
    /// Others have had their turn before it.
    is_new: bool,
}

impl Slice {
    /// One that begins now.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            is_new: false,
        }
    }

    /// Whether others have had their turn since this was last asked.
    pub(super) fn take_is_new(&mut self) -> bool {
        std::mem::take(&mut self.is_new)
    }

    /// To be called between two pieces of work: lets others work if the slice is used up, or so much has been done that the
    /// runtime asks for it.
    pub(super) async fn give_way(&mut self) {
        if self.began.elapsed() >= SLICE {
            yield_now().await;
            *self = Self::new();
            self.is_new = true;
        } else {
            consume_budget().await;
        }
    }

    /// Waits for `event`. Time spent waiting does not count as work.
    pub(crate) async fn wait<E: Future>(&mut self, event: E) -> E::Output {
        let mut event = pin!(event);
        let mut waited = false;
        let output = poll_fn(|cx| match event.as_mut().poll(cx) {
            Poll::Pending => {
                waited = true;
                Poll::Pending
            }
            ready @ Poll::Ready(_) => ready,
        })
        .await;
        if waited {
            self.began = Instant::now();
        }
        output
    }
}
