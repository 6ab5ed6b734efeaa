//! How long a connection has been without a request, and how long its responses have waited for the client.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// A connection on which no request is under way is closed.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// A response of which the client takes nothing ends the connection; and by so much a client may be behind the slowest rate.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// The requests under way on one connection. Bytes that are not a whole head do not count.
pub(super) struct Watch {
    requests: Mutex<Requests>,
    /// What a client has to take a second, on average, while responses wait for it. 0: anything.
    bytes_per_s: u32,
}

struct Requests {
    /// Each with the time by which the client must have taken more of the response; `None` until there is one.
    under_way: HashMap<u64, Option<Instant>>,
    next: u64,
    /// How many responses wait for the client.
    responses: usize,
    /// When the client, if it takes nothing until then, was too slow with the responses that wait.
    slow: Instant,
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
    /// A response is not read.
    Stalled,
}

/// A request under way, until dropped.
pub(super) struct RequestGuard {
    watch: Arc<Watch>,
    id: u64,
}

impl Watch {
    /// A connection whose first request has to be there by `deadline`.
    pub(super) fn new(deadline: Instant, bytes_per_s: u32) -> Self {
        Self {
            requests: Mutex::new(Requests {
                under_way: HashMap::new(),
                next: 0,
                responses: 0,
                slow: deadline,
                idle: deadline,
            }),
            bytes_per_s,
        }
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> RequestGuard {
        let mut requests = self.requests.lock();
        let id = requests.next;
        requests.next += 1;
        requests.under_way.insert(id, None);
        RequestGuard {
            watch: self.clone(),
            id,
        }
    }

    /// How the connection does.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let requests = self.requests.lock();
        if requests.under_way.is_empty() && requests.idle <= now {
            Verdict::Idle
        } else if requests
            .earliest(self.bytes_per_s)
            .is_some_and(|due| due <= now)
        {
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
            false => requests.earliest(self.bytes_per_s),
        };
        let latest = now + STALL;
        due.map_or(latest, |due| due.min(latest))
    }
}

impl Requests {
    /// The response with this id waits for the client, which must take more of it until `due`.
    fn wait(&mut self, id: u64, due: Instant) {
        if self.under_way.insert(id, Some(due)).flatten().is_none() {
            self.responses += 1;
        }
    }

    fn earliest(&self, bytes_per_s: u32) -> Option<Instant> {
        let stalled = self.under_way.values().copied().flatten().min();
        let slow = (self.responses > 0 && bytes_per_s > 0).then_some(self.slow);
        stalled.into_iter().chain(slow).min()
    }
}

impl RequestGuard {
    /// There is a response, which waits for the client from now on.
    pub(super) fn responded(&self) {
        let mut requests = self.watch.requests.lock();
        let due = Instant::now() + STALL;
        if requests.responses == 0 {
            requests.slow = due;
        }
        requests.wait(self.id, due);
    }

    /// The client has taken `bytes` of the response. What it took quickly is not held in its favour for ever: it is never
    /// more than [`STALL`] ahead.
    pub(super) fn taken(&self, bytes: usize) {
        let mut requests = self.watch.requests.lock();
        let due = Instant::now() + STALL;
        requests.wait(self.id, due);
        if self.watch.bytes_per_s > 0 {
            let worth = bytes as f64 / f64::from(self.watch.bytes_per_s);
            let worth = Duration::try_from_secs_f64(worth).unwrap_or(STALL);
            requests.slow = (requests.slow + worth.min(STALL)).min(due);
        }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut requests = self.watch.requests.lock();
        if let Some(Some(_)) = requests.under_way.remove(&self.id) {
            requests.responses -= 1;
        }
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
        let watch = Arc::new(Watch::new(Instant::now() + seconds(10), 0));
        assert_eq!(verdict_at_next_look(&watch), (seconds(10), Verdict::Idle));
        let _place = watch.begin();
        advance(seconds(10)).await;
        assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_a_minute_after_its_last_request() {
        let watch = Arc::new(Watch::new(Instant::now(), 0));
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
        let watch = Arc::new(Watch::new(Instant::now(), 0));
        let guard = watch.begin();
        advance(STALL * 3).await;
        // The server itself may take its time.
        assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
        guard.responded();
        for _ in 0..10 {
            guard.taken(1);
            advance(STALL - seconds(1)).await;
            assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
        }
        assert_eq!(verdict_at_next_look(&watch), (seconds(1), Verdict::Stalled));
        // Another one that moves does not help it.
        watch.begin().taken(1_000_000);
        advance(seconds(1)).await;
        assert_eq!(watch.verdict(Instant::now()), Verdict::Stalled);
        drop(guard);
        assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_drips_answers_out_is_too_slow_however_many_it_has() {
        let watch = Arc::new(Watch::new(Instant::now(), 4096));
        let (guard, other) = (watch.begin(), watch.begin());
        guard.responded();
        other.responded();
        let since = Instant::now();
        // What the client of the issue took: 34 KB every 18 s.
        while watch.verdict(Instant::now()) == Verdict::Live {
            guard.taken(17_000);
            other.taken(17_000);
            advance(seconds(18)).await;
        }
        assert_eq!(watch.verdict(Instant::now()), Verdict::Stalled);
        assert!(since.elapsed() < seconds(90), "{:?}", since.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_at_the_slowest_rate_lives_and_a_quick_start_is_not_held_in_its_favour() {
        let watch = Arc::new(Watch::new(Instant::now(), 4096));
        let guard = watch.begin();
        guard.responded();
        guard.taken(100_000_000);
        for _ in 0..1000 {
            advance(seconds(4)).await;
            assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
            guard.taken(4 * 4096);
        }
        let stopped = Instant::now();
        while watch.verdict(Instant::now()) == Verdict::Live {
            guard.taken(1);
            advance(seconds(1)).await;
        }
        assert!(stopped.elapsed() <= STALL + seconds(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_answers_were_all_taken_begins_anew() {
        let watch = Arc::new(Watch::new(Instant::now(), 4096));
        for _ in 0..10 {
            let guard = watch.begin();
            advance(STALL * 2).await;
            guard.responded();
            advance(STALL / 2).await;
            assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
        }
    }
}
