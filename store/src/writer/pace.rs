//! How many writes a database is handed at once, and how late: on a server, by how long it took for the last ones.

use std::time::Duration;

use crate::dialect::Dialect;

/// How many writes share a transaction at most.
const MOST: usize = 256;

/// How many writes share a transaction at least, if there are as many.
const FEW: usize = 4;

/// Before its commit, a transaction should not take longer. How long the commit takes does not depend on how much it commits.
const GOAL: Duration = Duration::from_secs(1);

/// How much of its time a write has to have left when it is begun: longer than a statement waits for a lock, and less than
/// all of its time. Under more writes than the server keeps up with, all would otherwise be begun too late to end in time.
pub(super) const LEAST: Duration = Duration::from_millis(2500);
const LONGEST_LEAST: Duration = Duration::from_secs(5);

/// The same of a file, which refuses only what nobody waits for any more.
const LEAST_OF_FILE: Duration = Duration::from_millis(250);

/// How many writes a database is handed at once, and how late.
#[derive(Debug)]
pub(super) struct Pace {
    dialect: Dialect,
    most: usize,
    least: Duration,
}

impl Pace {
    pub(super) fn of(dialect: Dialect) -> Self {
        Self {
            dialect,
            most: MOST,
            least: match dialect {
                Dialect::Sqlite => LEAST_OF_FILE,
                Dialect::Postgres | Dialect::MySql => LEAST,
            },
        }
    }

    /// How many writes share the next transaction.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// How much of its time a write has to have left when it is begun.
    pub(super) fn least(&self) -> Duration {
        self.least
    }

    /// So many writes were committed. It took so long from when all was locked until their commit, and in all.
    pub(super) fn took(&mut self, writes: usize, until_commit: Duration, in_all: Duration) {
        if self.dialect != Dialect::Sqlite {
            self.least = (in_all + in_all / 2).clamp(LEAST, LONGEST_LEAST);
        }
        // A few that are slow say nothing of many.
        if until_commit <= GOAL || writes >= self.most.min(2 * FEW) {
            self.adapt(writes, until_commit);
        }
    }

    /// So many writes were undone after so long, as it took too long.
    pub(super) fn took_in_vain(&mut self, writes: usize, until_end: Duration) {
        self.adapt(writes, until_end);
    }

    /// Another connection may be as quick as any.
    pub(super) fn reconnected(&mut self) {
        self.least = Self::of(self.dialect).least;
    }

    fn adapt(&mut self, writes: usize, took: Duration) {
        // A file has nobody whose time would be over.
        if self.dialect == Dialect::Sqlite {
            return;
        }
        let next = if took > GOAL {
            // It is not so few that make it slow.
            self.most.min((writes / 2).max(FEW))
        } else if took < GOAL / 3 {
            self.most * 2
        } else if writes >= self.most {
            self.most + self.most / 8 + 1
        } else {
            self.most
        };
        self.most = next.min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(3);
    const QUICK: Duration = Duration::from_millis(5);

    #[test]
    fn slow_transactions_get_smaller_and_quick_ones_larger() {
        let mut pace = Pace::of(Dialect::Postgres);
        assert_eq!(pace.most(), 256);
        pace.took(200, SLOW, SLOW);
        assert_eq!(pace.most(), 100);
        pace.took_in_vain(100, SLOW);
        assert_eq!(pace.most(), 50);
        for _ in 0..20 {
            pace.took(pace.most(), SLOW, SLOW);
        }
        assert_eq!(pace.most(), FEW);
        for _ in 0..20 {
            pace.took(1, QUICK, QUICK);
        }
        assert_eq!(pace.most(), 256);
    }

    #[test]
    fn a_write_that_is_slow_by_itself_makes_no_others_slow_for_long() {
        let mut pace = Pace::of(Dialect::Postgres);
        pace.took(1, SLOW, SLOW);
        assert_eq!(pace.most(), 256);
        pace.took_in_vain(1, SLOW);
        for _ in 0..40 {
            pace.took(pace.most(), GOAL / 2, GOAL / 2);
        }
        assert_eq!(pace.most(), 256);
    }

    #[test]
    fn a_new_connection_is_not_taken_for_slow() {
        let mut pace = Pace::of(Dialect::Postgres);
        pace.took(1, QUICK, SLOW);
        pace.reconnected();
        assert_eq!(pace.least(), LEAST);
    }

    #[test]
    fn a_disk_that_is_slow_to_commit_gets_no_smaller_transactions() {
        let mut pace = Pace::of(Dialect::Postgres);
        pace.took(1, QUICK, SLOW);
        assert_eq!(pace.most(), 256);
    }

    #[test]
    fn a_file_takes_as_much_as_there_is() {
        let mut pace = Pace::of(Dialect::Sqlite);
        pace.took(1, SLOW, SLOW);
        assert_eq!((pace.most(), pace.least()), (256, LEAST_OF_FILE));
    }

    #[test]
    fn what_takes_long_is_begun_early_and_never_too_early_to_be_begun_at_all() {
        let mut pace = Pace::of(Dialect::Postgres);
        pace.took(1, QUICK, QUICK);
        assert_eq!(pace.least(), LEAST);
        pace.took(1, QUICK, SLOW);
        assert_eq!(pace.least(), SLOW * 3 / 2);
        pace.took(1, QUICK, SLOW * 10);
        assert_eq!(pace.least(), LONGEST_LEAST);
    }
}
