//! Which rights have ended of late.

use std::collections::VecDeque;

use herald_acl::Username;
use tokio::time::{Duration, Instant};

use crate::host::{Identity, Revoked};

/// Longer than a login can take.
const REVOCATIONS_KEPT: Duration = Duration::from_secs(60);

/// Most revocations kept.
const REVOCATIONS: usize = 10_000;

/// What was revoked of late, for logins that began before and are not entered yet.
#[derive(Default)]
pub(super) struct Revocations {
    recent: VecDeque<(Instant, Username, Revoked)>,
    /// Those up to then are forgotten.
    forgotten: Option<Instant>,
}

impl Revocations {
    pub(super) fn note(&mut self, now: Instant, username: &Username, revoked: &Revoked) {
        let old = |at: &Instant| now.duration_since(*at) > REVOCATIONS_KEPT;
        while self.recent.front().is_some_and(|(at, ..)| old(at)) {
            self.recent.pop_front();
        }
        if self.recent.len() >= REVOCATIONS {
            self.forgotten = self.recent.pop_front().map(|(at, ..)| at);
        }
        self.recent
            .push_back((now, username.clone(), revoked.clone()));
    }

    /// Whether what `identity` rests on was revoked since then, as far as is known.
    pub(super) fn have(&self, identity: &Identity, since: Instant) -> bool {
        let is_of = |(at, username, revoked): &(Instant, Username, Revoked)| {
            *at >= since && *username == identity.username && revoked.ends(&identity.credential)
        };
        self.forgotten.is_some_and(|at| since <= at) || self.recent.iter().any(is_of)
    }
}
