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
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::address::network;
use herald_acl::Username;
use herald_store::{AuditEntry, Store, Timestamp};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::interval};

pub use action::AuditAction;
pub use event::{Event, without_tokens};
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
/// Entries that are kept while the database cannot be written.
const KEPT: usize = 10_000;

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
    failures: Windows,
    denials: Windows,
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
    /// How many of them each source has.
    by_source: HashMap<Source, usize>,
}

/// What is said of what is not told apart.
const MORE: &str = "others than those before";

/// Who makes events: none may push out what others do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    /// Whoever is signed in, from however many addresses.
    User(Username),
    /// Whoever is not, by what counts as one address; `None`: on the command line.
    Address(Option<IpAddr>),
}

impl Source {
    fn of(event: &Event) -> Self {
        match &event.actor {
            Some(actor) => Self::User(actor.clone()),
            None => Self::Address(event.address.map(network)),
        }
    }
}

/// Different things of one source that are told apart; what comes on top is counted together.
const PER_SOURCE: usize = 50;

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

    /// Writes to `store` what is noted, until `stop` resolves, and then what is left. What cannot be written is kept until it
    /// can; past 10,000 entries, what comes is counted only.
    pub async fn run(&self, store: Store, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut ticks = interval(EVERY);
        let mut kept = Vec::new();
        loop {
            let stopped = tokio::select! {
                () = &mut stop => true,
                () = self.noted.notified() => false,
                _ = ticks.tick() => false,
            };
            self.state
                .lock()
                .take_into(&mut kept, Instant::now(), stopped);
            write(&store, &mut kept).await;
            if stopped {
                if !kept.is_empty() {
                    let lost = kept.len();
                    tracing::error!(lost, "what happened could not be recorded before the end");
                }
                return;
            }
        }
    }
}

/// Writes what is in `entries`, and takes it out, until something cannot be written.
async fn write(store: &Store, entries: &mut Vec<AuditEntry>) {
    while !entries.is_empty() {
        let batch = entries.len().min(BATCH);
        if let Err(error) = store.record_audit(entries[..batch].to_vec()).await {
            let kept = entries.len();
            tracing::warn!(%error, kept, "what happened cannot be recorded yet");
            return;
        }
        entries.drain(..batch);
    }
}

impl Default for State {
    fn default() -> Self {
        let windows = |bounds| Windows {
            bounds,
            open: HashMap::new(),
            by_source: HashMap::new(),
        };
        Self {
            ready: vec![],
            ordinary: windows(ORDINARY),
            failures: windows(SUSPICIOUS),
            denials: windows(SUSPICIOUS),
            dropped: 0,
        }
    }
}

impl State {
    /// Whether there is something to write.
    fn note(&mut self, event: Event, now: Instant) -> bool {
        let windows = match event.action {
            AuditAction::SignIn => &mut self.ordinary,
            AuditAction::SignInFailed => &mut self.failures,
            _ => &mut self.denials,
        };
        let source = Source::of(&event);
        let mut event = event;
        let mut same = Event {
            request_id: None,
            ..event.clone()
        };
        let many = windows.by_source.get(&source).copied().unwrap_or(0) >= PER_SOURCE;
        if many && !windows.open.contains_key(&same) {
            same.target = None;
            same.address = match &source {
                Source::User(_) => None,
                Source::Address(address) => *address,
            };
            same.detail = Some(MORE.to_owned());
            event = same.clone();
        }
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
        *windows.by_source.entry(source).or_default() += 1;
        true
    }

    /// What is to be written at `now`; with `all`, windows that have not ended, too.
    fn take(&mut self, now: Instant, all: bool) -> Vec<AuditEntry> {
        let mut entries = mem::take(&mut self.ready);
        let windows = [&mut self.ordinary, &mut self.failures, &mut self.denials];
        let ended = windows
            .into_iter()
            .flat_map(|windows| windows.end(now, all));
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

    /// Adds to `kept` what is to be written at `now`, as far as there is room. The rest is counted.
    fn take_into(&mut self, kept: &mut Vec<AuditEntry>, now: Instant, all: bool) {
        let mut entries = self.take(now, all);
        let room = KEPT.saturating_sub(kept.len());
        for dropped in entries.drain(entries.len().min(room)..) {
            self.dropped = self.dropped.saturating_add(dropped.count);
        }
        kept.append(&mut entries);
    }

    fn drop_some(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.dropped = self.dropped.saturating_add(count);
    }
}

impl Windows {
    /// Those that have ended at `now`, or all.
    fn end(&mut self, now: Instant, all: bool) -> Vec<(Event, Window)> {
        let has_ended = |_: &Event, window: &mut Window| all || window.ends <= now;
        let ended: Vec<_> = self.open.extract_if(has_ended).collect();
        for (event, _) in &ended {
            let source = Source::of(event);
            if let Some(count) = self.by_source.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    self.by_source.remove(&source);
                }
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(name: &str) -> Event {
        Event::new(AuditAction::SignInFailed).to(name)
    }

    /// Another address for each number.
    fn from_anywhere(n: usize) -> Event {
        let address = std::net::Ipv4Addr::from_bits(u32::try_from(n).unwrap());
        failed(&n.to_string()).from(address.into())
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
        assert!(state.failures.open.is_empty() && state.failures.by_source.is_empty());
        assert!(state.note(request("2"), start + SUSPICIOUS.lasts));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let (mut state, start) = (State::default(), Instant::now());
        for n in 0..SUSPICIOUS.capacity + 7 {
            state.note(from_anywhere(n), start);
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
    fn what_is_not_written_is_kept_up_to_a_bound_and_the_rest_counted() {
        let (mut state, mut now) = (State::default(), Instant::now());
        let mut kept = vec![];
        let mut noted = 0;
        while noted < KEPT + 500 {
            for _ in 0..SUSPICIOUS.capacity {
                state.note(from_anywhere(noted), now);
                noted += 1;
            }
            now += SUSPICIOUS.lasts;
            state.take_into(&mut kept, now, false);
            assert!(kept.len() <= KEPT);
        }
        // The first are there, and nothing is said of the others before there is room.
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].target.as_deref(), Some("0"));
        kept.clear();
        state.take_into(&mut kept, now, false);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].count as usize, noted - KEPT);
    }

    /// As when the disk is full. The first try is over once a later write is refused, too.
    #[cfg(unix)]
    #[tokio::test]
    async fn what_cannot_be_written_yet_is_written_once_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let (file, aside) = (dir.path().join("herald.db"), dir.path().join("aside"));
        let options = herald_store::StoreOptions::sqlite(&file);
        let store = Store::open(options).await.unwrap();
        let audit = std::sync::Arc::<Audit>::default();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn({
            let (audit, store) = (audit.clone(), store.clone());
            async move { audit.run(store, async { drop(stopped.await) }).await }
        });
        std::fs::rename(&file, &aside).unwrap();
        audit.note(failed("alice"));
        let limit = Duration::from_secs(20);
        let tried = async {
            while !audit.state.lock().ready.is_empty() {
                tokio::task::yield_now().await;
            }
            store.ping().await.unwrap_err();
        };
        tokio::time::timeout(limit, tried).await.unwrap();
        std::fs::rename(&aside, &file).unwrap();
        let recorded = async {
            loop {
                let filter = herald_store::AuditFilter::default();
                let entries = store.audit(&filter, None, 10).await.unwrap().items;
                if !entries.is_empty() {
                    return entries;
                }
                tokio::task::yield_now().await;
            }
        };
        let recorded = tokio::time::timeout(limit, recorded).await.unwrap();
        assert_eq!(recorded.len(), 1);
        assert_eq!(recorded[0].entry.target.as_deref(), Some("alice"));
        drop(stop);
        running.await.unwrap();
        store.close().await;
    }

    #[test]
    fn attacks_do_not_push_out_who_signs_in_and_that_is_told_once_an_hour() {
        let (mut state, start) = (State::default(), Instant::now());
        for n in 0..SUSPICIOUS.capacity {
            state.note(from_anywhere(n), start);
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
    fn one_who_does_very_much_does_not_push_out_what_others_do() {
        let (mut state, start) = (State::default(), Instant::now());
        let ivy = Username::parse("ivy").unwrap();
        let jon = Username::parse("jon").unwrap();
        let denied = |who: &Username, n: usize| {
            let event = Event::new(AuditAction::AccessDenied).by(who);
            event.to(format!("GET /admin/users/{n}"))
        };
        for n in 0..5000 {
            state.note(denied(&ivy, n), start);
        }
        assert!(state.note(failed("jon"), start));
        assert!(state.note(denied(&jon, 0), start));
        assert_eq!(state.dropped, 0);
        // Fifty, what is more, and the two.
        assert_eq!(state.take(start, false).len(), PER_SOURCE + 1 + 2);
        let rest = state.take(start + SUSPICIOUS.lasts, false);
        assert_eq!(rest.len(), 1);
        let more = &rest[0];
        assert_eq!(more.detail.as_deref(), Some(MORE));
        assert_eq!(more.actor.as_deref(), Some("ivy"));
        assert_eq!(more.count as usize, 5000 - PER_SOURCE - 1);
    }

    #[test]
    fn one_who_comes_from_very_many_addresses_is_one() {
        let (mut state, start) = (State::default(), Instant::now());
        let ivy = Username::parse("ivy").unwrap();
        let addresses = |n: usize| format!("2001:db8:{:x}::{n}", n % 22).parse().unwrap();
        for n in 0..5000 {
            let event = Event::new(AuditAction::AccessDenied).by(&ivy);
            let event = event.to(format!("GET /admin/users/{n}"));
            state.note(event.from(addresses(n)), start);
        }
        assert_eq!(state.take(start, false).len(), PER_SOURCE + 1);
        for n in 0..5000u32 {
            let inside = std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(n));
            state.note(failed(&n.to_string()).from(inside.into()), start);
        }
        assert_eq!(state.take(start, false).len(), PER_SOURCE + 1);
        assert_eq!(state.dropped, 0);
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
