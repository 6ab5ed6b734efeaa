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
pub(super) struct Slice(Instant);

impl Slice {
    /// One that begins now.
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Whether it is used up.
    pub(super) fn is_over(&self) -> bool {
        self.0.elapsed() >= SLICE
    }

    /// To be called between two pieces of work: lets others work if the slice is used up, or so much has been done that the
    /// runtime asks for it.
    pub(super) async fn give_way(&mut self) {
        if self.is_over() {
            yield_now().await;
            *self = Self::new();
        } else {
            consume_budget().await;
        }
    }

    /// Waits for `event`. The time in which the session had nothing to do is none that it worked.
    pub(super) async fn wait<E: Future>(&mut self, event: E) -> E::Output {
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
            *self = Self::new();
        }
        output
    }
}
