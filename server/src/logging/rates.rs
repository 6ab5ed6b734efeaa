//! How many lines one call site may log, for each user and in all: what a client does again and again must not fill the
//! disk. It holds for every line from INFO on, so no call site can be forgotten; what is left out is counted and reported.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt::{self, Write as _},
    hash::BuildHasher as _,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tracing::{
    Event, Level, Subscriber, callsite,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

/// How much there may be: so many at once, and one more in each `every`.
#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    every: Duration,
}

/// Of one call site, for one user or address.
const OF_ONE: Rate = Rate {
    burst: 10,
    every: Duration::from_secs(1),
};
/// Of one call site, for all.
const OF_ALL: Rate = Rate {
    burst: 100,
    every: Duration::from_millis(100),
};
/// Users and addresses that one call site remembers. Others share what is there for all.
const REMEMBERED: usize = 1000;
/// The characters of a message by which it is reported what was left out.
const MESSAGE_CHARS: usize = 100;
/// The fields that say on whose account a line is logged: the first of them that there is.
const WHO: [&str; 4] = ["user", "by", "peer", "ip"];

/// The limits, as a layer that lets an event pass or not. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Rates(Arc<Mutex<Limits>>);

impl Rates {
    /// Logs what was left out since it was called last.
    pub(super) fn report(&self) {
        let left_out = self.0.lock().take_left_out();
        for (message, lines) in left_out {
            tracing::warn!(
                lines,
                message_of = message,
                "lines of the log were left out, as there were too many of a kind"
            );
        }
    }
}

impl<S: Subscriber> Layer<S> for Rates {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // More than INFO is shown whole; and reports of lost lines are never lost themselves.
        if *metadata.level() > Level::INFO
            || [module_path!(), super::queue::TARGET].contains(&metadata.target())
        {
            return true;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let mut limits = self.0.lock();
        limits.take(metadata.callsite(), &line, Instant::now())
    }
}

/// What the limits need of an event.
#[derive(Default)]
struct Line {
    who: Option<(usize, String)>,
    message: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
            return;
        }
        let rank = WHO.iter().position(|name| *name == field.name());
        if let Some(rank) = rank
            && self.who.as_ref().is_none_or(|(best, _)| rank < *best)
        {
            self.who = Some((rank, format!("{value:?}")));
        }
    }
}

#[derive(Default)]
struct Limits {
    call_sites: HashMap<callsite::Identifier, CallSite>,
    hasher: RandomState,
}

/// One place in the code that logs.
struct CallSite {
    all: Bucket,
    /// By a hash of who it is: names need not be kept.
    each: HashMap<u64, Bucket>,
    left_out: u64,
    /// Of the first line that was left out.
    message: String,
}

impl Limits {
    /// Whether the line may be logged.
    fn take(&mut self, call_site: callsite::Identifier, line: &Line, now: Instant) -> bool {
        let who = line.who.as_ref().map(|(_, who)| self.hasher.hash_one(who));
        let call_site = self
            .call_sites
            .entry(call_site)
            .or_insert_with(|| CallSite {
                all: Bucket(now),
                each: HashMap::new(),
                left_out: 0,
                message: String::new(),
            });
        let taken =
            who.is_none_or(|who| call_site.take_of(who, now)) && call_site.all.take(OF_ALL, now);
        if !taken {
            if call_site.left_out == 0 {
                call_site.message = line.message.chars().take(MESSAGE_CHARS).collect();
            }
            call_site.left_out = call_site.left_out.saturating_add(1);
        }
        taken
    }

    fn take_left_out(&mut self) -> Vec<(String, u64)> {
        let call_sites = self.call_sites.values_mut().filter(|p| p.left_out > 0);
        call_sites
            .map(|p| {
                (
                    std::mem::take(&mut p.message),
                    std::mem::take(&mut p.left_out),
                )
            })
            .collect()
    }
}

impl CallSite {
    fn take_of(&mut self, who: u64, now: Instant) -> bool {
        if !self.each.contains_key(&who) && self.each.len() >= REMEMBERED {
            self.each.retain(|_, bucket| !bucket.is_full(now));
            if self.each.len() >= REMEMBERED {
                return true;
            }
        }
        let bucket = self.each.entry(who).or_insert(Bucket(now));
        bucket.take(OF_ONE, now)
    }
}

/// When it is full again: all that a token bucket has to remember.
struct Bucket(Instant);

impl Bucket {
    fn is_full(&self, now: Instant) -> bool {
        self.0 <= now
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let full_at = self.0.max(now) + rate.every;
        let fits = full_at.duration_since(now) <= rate.every * rate.burst;
        if fits {
            self.0 = full_at;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use tracing::Callsite as _;

    use super::*;

    fn call_site() -> callsite::Identifier {
        tracing::callsite! { name: "x", kind: tracing::metadata::Kind::EVENT, fields: message }
            .metadata()
            .callsite()
    }

    fn line(who: &str) -> Line {
        Line {
            who: Some((0, who.into())),
            message: "publish refused".into(),
        }
    }

    fn taken(limits: &mut Limits, who: &str, times: usize, now: Instant) -> usize {
        let call_site = call_site();
        let each = (0..times).map(|_| limits.take(call_site.clone(), &line(who), now));
        each.filter(|taken| *taken).count()
    }

    #[test]
    fn a_user_has_so_many_lines_of_a_kind_and_the_rest_is_counted() {
        let mut limits = Limits::default();
        let start = Instant::now();
        assert_eq!(taken(&mut limits, "alice", 1000, start), 10);
        assert_eq!(taken(&mut limits, "bob", 5, start), 5);
        let later = start + Duration::from_secs(3);
        assert_eq!(taken(&mut limits, "alice", 1000, later), 3);
        let reported = vec![("publish refused".to_owned(), 990 + 997)];
        assert_eq!(limits.take_left_out(), reported);
        assert_eq!(limits.take_left_out(), []);
    }

    #[test]
    fn all_users_together_have_so_many_lines_of_a_kind() {
        let mut limits = Limits::default();
        let start = Instant::now();
        let all = (0..5000).map(|n| taken(&mut limits, &n.to_string(), 10, start));
        assert_eq!(all.sum::<usize>(), 100);
        let later = start + Duration::from_secs(1);
        let all = (0..5000).map(|n| taken(&mut limits, &n.to_string(), 10, later));
        assert_eq!(all.sum::<usize>(), 10);
        let call_site = limits.call_sites.values().next().unwrap();
        assert!(call_site.each.len() <= REMEMBERED);
    }
}
