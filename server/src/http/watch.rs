//! How long a connection has been without a request, and how long its answers have waited for the client.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// A connection on which no request is under way is closed.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// An answer of which the client takes nothing ends the connection.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// The requests under way on one connection. Bytes that are not a whole head do not count.
pub(super) struct Watch {
    requests: Mutex<Requests>,
}

struct Requests {
    /// Each with the time by which the client must have taken more of the answer; `None` until there is one.
    under_way: HashMap<u64, Option<Instant>>,
    next: u64,
    /// When the connection is idle unless a request comes.
    idle: Instant,
}

/// How a connection does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should.
    Live,
    /// There has been no request for too long.
    Idle,
    /// An answer is not read.
    Stalled,
}

/// A request under way, until dropped.
pub(super) struct Place {
    watch: Arc<Watch>,
    id: u64,
}

impl Watch {
    /// A connection whose first request has to be there by `deadline`.
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            requests: Mutex::new(Requests {
                under_way: HashMap::new(),
                next: 0,
                idle: deadline,
            }),
        }
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Place {
        let mut requests = self.requests.lock();
        let id = requests.next;
        requests.next += 1;
        requests.under_way.insert(id, None);
        Place {
            watch: self.clone(),
            id,
        }
    }

    /// How the connection does.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let requests = self.requests.lock();
        if requests.under_way.is_empty() && requests.idle <= now {
            Verdict::Idle
        } else if requests.earliest().is_some_and(|due| due <= now) {
            Verdict::Stalled
        } else {
            Verdict::Live
        }
    }

    /// When the verdict should be asked for next. No time limit that begins after `now` ends before, as none is shorter
    /// than [`STALL`].
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        let requests = self.requests.lock();
        let due = match requests.under_way.is_empty() {
            true => Some(requests.idle),
            false => requests.earliest(),
        };
        let latest = now + STALL;
        due.map_or(latest, |due| due.min(latest))
    }
}

impl Requests {
    fn earliest(&self) -> Option<Instant> {
        self.under_way.values().copied().flatten().min()
    }
}

impl Place {
    /// The client can take more of the answer.
    pub(super) fn progress(&self) {
        let mut requests = self.watch.requests.lock();
        let due = Instant::now() + STALL;
        requests.under_way.insert(self.id, Some(due));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut requests = self.watch.requests.lock();
        requests.under_way.remove(&self.id);
        if requests.under_way.is_empty() {
            requests.idle = Instant::now() + IDLE;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn verdict_at_next_look(watch: &Watch) -> (Duration, Verdict) {
        let now = Instant::now();
        let look = watch.next_look(now);
        (look - now, watch.verdict(look))
    }

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_has_a_deadline_of_its_own() {
        let watch = Arc::new(Watch::new(Instant::now() + seconds(10)));
        assert_eq!(verdict_at_next_look(&watch), (seconds(10), Verdict::Idle));
        let _place = watch.begin();
        advance(seconds(10)).await;
        assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_a_minute_after_its_last_request() {
        let watch = Arc::new(Watch::new(Instant::now()));
        let (first, second) = (watch.begin(), watch.begin());
        drop(first);
        advance(IDLE * 2).await;
        assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
        drop(second);
        assert_eq!(verdict_at_next_look(&watch), (STALL, Verdict::Live));
        advance(IDLE).await;
        assert_eq!(watch.verdict(Instant::now()), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_which_nothing_is_taken_is_stalled_and_a_slow_one_is_not() {
        let watch = Arc::new(Watch::new(Instant::now()));
        let place = watch.begin();
        advance(STALL * 3).await;
        // The server itself may take its time.
        assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
        for _ in 0..10 {
            place.progress();
            advance(STALL - seconds(1)).await;
            assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
        }
        assert_eq!(verdict_at_next_look(&watch), (seconds(1), Verdict::Stalled));
        // Another one that moves does not help it.
        watch.begin().progress();
        advance(seconds(1)).await;
        assert_eq!(watch.verdict(Instant::now()), Verdict::Stalled);
        drop(place);
        assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
    }
}
