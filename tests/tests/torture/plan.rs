//! What a run leaves to chance, all of it from one seed.

use std::{env, ops::RangeInclusive, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Answered sends and notifications between a start and the kill.
const EVENTS: RangeInclusive<u64> = 0..=300;

/// What passes between the last of them and the kill, in microseconds.
const SPIN_US: RangeInclusive<u64> = 0..=5_000;

/// One start in so many is killed before it is ready.
const EARLY: u32 = 6;

/// The same for a start, which takes longer than most other things.
const EARLY_US: RangeInclusive<u64> = 0..=150_000;

/// The choices of a run. It tells its seed at once, and once more if the test fails.
pub(crate) struct Plan {
    seed: u64,
    pub(crate) rounds: u32,
}

/// When a server is killed.
pub(crate) struct Round {
    /// This much into the start before, for one that is to be killed then.
    pub(crate) early: Option<Duration>,
    /// After so many answered sends and notifications.
    pub(crate) events: u64,
    /// And this much later.
    pub(crate) spin: Duration,
}

impl Plan {
    /// The plan of `HERALD_TORTURE_SEED`, or any other, with so many `rounds` unless `HERALD_TORTURE_ROUNDS` says otherwise.
    pub(crate) fn from_env(rounds: u32) -> Self {
        let number = |name| -> Option<u64> {
            let text = env::var(name).ok()?;
            Some(
                text.parse()
                    .unwrap_or_else(|e| panic!("{name}={text}: {e}")),
            )
        };
        let seed = number("HERALD_TORTURE_SEED").unwrap_or_else(rand::random);
        let rounds = number("HERALD_TORTURE_ROUNDS").map_or(rounds, |n| n.try_into().unwrap());
        let plan = Self { seed, rounds };
        plan.tell();
        plan
    }

    fn tell(&self) {
        eprintln!(
            "HERALD_TORTURE_SEED={} HERALD_TORTURE_ROUNDS={} repeats this run",
            self.seed, self.rounds
        );
    }

    /// Chance for one of the parts of the run, which are numbered: what one draws changes nothing for the others.
    pub(crate) fn chance(&self, part: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The kills.
    pub(crate) fn kills(&self) -> impl Iterator<Item = Round> + use<> {
        let mut chance = self.chance(0);
        (0..self.rounds).map(move |_| Round {
            early: chance
                .random_ratio(1, EARLY)
                .then(|| Duration::from_micros(chance.random_range(EARLY_US))),
            events: chance.random_range(EVENTS),
            spin: Duration::from_micros(chance.random_range(SPIN_US)),
        })
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
    }
}
