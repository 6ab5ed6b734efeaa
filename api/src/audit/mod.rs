//! The audit of what only happened: sign-ins that failed, what was denied.
//!
//! What changes something is recorded with the change itself, by [`Store::audited`]. The rest must not become a way to
//! fill the disk: what happens again within its window is counted and written as one entry.

mod action;
mod event;
mod sign_in;

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use herald_store::{AuditEntry, Store, Timestamp};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::interval};

pub use action::AuditAction;
pub use event::Event;
pub use sign_in::failed_sign_in;

/// Sign-ins: a client may come back every minute. Apart, so that attacks do not push them out.
const ORDINARY: Bounds = Bounds {
    lasts: Duration::from_secs(60 * 60),
    capacity: 50_000,
};
/// Failures and denials: so many a minute fill no disk.
const SUSPICIOUS: Bounds = Bounds {
    lasts: Duration::from_secs(60),
    capacity: 1000,
};
/// How often it is looked whether a window has ended.
const EVERY: Duration = Duration::from_secs(1);
/// Entries written at once.
const BATCH: usize = 256;

/// Collects what is to be recorded. Never waits, and holds no more than so much.
#[derive(Debug, Default)]
pub struct Audit {
    state: Mutex<State>,
    noted: Notify,
}

#[derive(Debug)]
struct State {
    ready: Vec<AuditEntry>,
    ordinary: Windows,
    suspicious: Windows,
    dropped: u32,
}

/// How long the same is counted instead of written, and how many different things are.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    lasts: Duration,
    capacity: usize,
}

#[derive(Debug)]
struct Windows {
    bounds: Bounds,
    open: HashMap<Event, Window>,
}

/// What has happened again since it was written.
#[derive(Debug)]
struct Window {
    ends: Instant,
    again: u32,
    since: Timestamp,
}

impl Audit {
    /// Records `event` soon, or counts it if the same was recorded a moment ago. The same is what differs in nothing but
    /// the request.
    pub fn note(&self, event: Event) {
        if self.state.lock().note(event, Instant::now()) {
            self.noted.notify_one();
        }
    }

    /// Writes to `store` what is noted, until `stop` resolves, and then what is left.
    pub async fn run(&self, store: Store, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut ticks = interval(EVERY);
        loop {
            let stopped = tokio::select! {
                () = &mut stop => true,
                () = self.noted.notified() => false,
                _ = ticks.tick() => false,
            };
            let entries = self.state.lock().take(Instant::now(), stopped);
            for batch in entries.chunks(BATCH) {
                if let Err(error) = store.record_audit(batch.to_vec()).await {
                    let lost = batch.len();
                    tracing::error!(%error, lost, "what happened could not be recorded");
                    self.state.lock().drop_some(lost);
                }
            }
            if stopped {
                return;
            }
        }
    }
}

impl Default for State {
    fn default() -> Self {
        let windows = |bounds| Windows {
            bounds,
            open: HashMap::new(),
        };
        Self {
            ready: vec![],
            ordinary: windows(ORDINARY),
            suspicious: windows(SUSPICIOUS),
            dropped: 0,
        }
    }
}

impl State {
    /// Whether there is something to write.
    fn note(&mut self, event: Event, now: Instant) -> bool {
        let windows = match event.action {
            AuditAction::SignIn => &mut self.ordinary,
            _ => &mut self.suspicious,
        };
        let same = Event {
            request_id: None,
            ..event.clone()
        };
        if let Some(window) = windows.open.get_mut(&same) {
            window.again = window.again.saturating_add(1);
            return false;
        }
        if windows.open.len() >= windows.bounds.capacity {
            self.drop_some(1);
            return false;
        }
        let window = Window {
            ends: now + windows.bounds.lasts,
            again: 0,
            since: Timestamp::now(),
        };
        self.ready.push(event.at(window.since));
        windows.open.insert(same, window);
        true
    }

    /// What is to be written at `now`; with `all`, windows that have not ended, too.
    fn take(&mut self, now: Instant, all: bool) -> Vec<AuditEntry> {
        let mut entries = mem::take(&mut self.ready);
        let windows = [&mut self.ordinary, &mut self.suspicious];
        let ended = windows.into_iter().flat_map(|windows| {
            let ended = move |_: &Event, window: &mut Window| all || window.ends <= now;
            windows.open.extract_if(ended)
        });
        for (event, window) in ended {
            if window.again > 0 {
                let mut entry = event.at(window.since);
                entry.count = window.again;
                entries.push(entry);
            }
        }
        if self.dropped > 0 {
            let mut entry = Event::new(AuditAction::Dropped).entry();
            entry.count = mem::take(&mut self.dropped);
            entries.push(entry);
        }
        entries
    }

    fn drop_some(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.dropped = self.dropped.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(name: &str) -> Event {
        Event::new(AuditAction::SignInFailed).to(name)
    }

    fn taken(state: &mut State, now: Instant) -> Vec<(String, u32)> {
        let entries = state.take(now, false);
        let seen = entries.into_iter();
        seen.map(|e| (e.target.unwrap_or(e.action.into_owned()), e.count))
            .collect()
    }

    #[test]
    fn the_first_is_written_at_once_and_what_follows_is_counted() {
        let (mut state, start) = (State::default(), Instant::now());
        let request = |id: &str| failed("alice").in_request(Some(id.into()));
        assert!(state.note(request("1"), start));
        assert_eq!(taken(&mut state, start), [("alice".to_owned(), 1)]);
        for n in 0..99 {
            assert!(!state.note(request(&n.to_string()), start));
        }
        assert!(state.note(failed("bob"), start));
        assert_eq!(taken(&mut state, start), [("bob".to_owned(), 1)]);
        assert_eq!(
            taken(&mut state, start + SUSPICIOUS.lasts),
            [("alice".to_owned(), 99)]
        );
        assert!(state.suspicious.open.is_empty());
        assert!(state.note(request("2"), start + SUSPICIOUS.lasts));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let (mut state, start) = (State::default(), Instant::now());
        for n in 0..SUSPICIOUS.capacity + 7 {
            state.note(failed(&n.to_string()), start);
        }
        let entries = taken(&mut state, start);
        assert_eq!(entries.len(), SUSPICIOUS.capacity + 1);
        assert_eq!(
            entries[SUSPICIOUS.capacity],
            ("audit.dropped".to_owned(), 7)
        );
        assert!(state.take(start + SUSPICIOUS.lasts, false).is_empty());
        assert!(state.note(failed("again"), start + SUSPICIOUS.lasts));
    }

    #[test]
    fn attacks_do_not_push_out_who_signs_in_and_that_is_told_once_an_hour() {
        let (mut state, start) = (State::default(), Instant::now());
        for n in 0..SUSPICIOUS.capacity {
            state.note(failed(&n.to_string()), start);
        }
        state.take(start, false);
        let sign_in = || Event::new(AuditAction::SignIn).to("alice");
        assert!(state.note(sign_in(), start));
        state.take(start, false);
        assert!(!state.note(sign_in(), start + SUSPICIOUS.lasts));
        assert!(state.take(start + SUSPICIOUS.lasts, false).is_empty());
        let told = taken(&mut state, start + ORDINARY.lasts);
        assert_eq!(told, [("alice".to_owned(), 1)]);
    }

    #[test]
    fn at_the_end_nothing_is_kept_back() {
        let (mut state, start) = (State::default(), Instant::now());
        state.note(failed("alice"), start);
        state.note(failed("alice"), start);
        let counts: Vec<_> = state.take(start, true).iter().map(|e| e.count).collect();
        assert_eq!(counts, [1, 1]);
    }
}
