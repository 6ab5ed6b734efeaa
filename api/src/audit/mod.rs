//! The audit of what only happened: sign-ins that failed, what was denied.
//!
//! What changes something is recorded with the change itself, by [`Store::audited`]. The rest must not become a way to
//! fill the disk: what happens again within its window is counted and written as one entry.

mod action;
mod event;
mod sign_in;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::limits::address::network;
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
    buffer: Mutex<AuditBuffer>,
    noted: Notify,
}

#[derive(Debug)]
struct AuditBuffer {
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

/// The detail of entries that count different things.
const MORE: &str = "others than those before";

/// Where events come from: no source may push out the events of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    /// A user, from any number of addresses.
    User(Username),
    /// Clients that are not signed in, by what counts as one address; `None`: the command line.
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

/// Different things of one source that have an entry each; what comes on top is counted together.
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
        if self.buffer.lock().note(event, Instant::now()) {
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
            self.buffer
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

impl Default for AuditBuffer {
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

impl AuditBuffer {
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
