//! What an attack did, and whether that is allowed.

use std::fmt;

use crate::{figures::Times, neighbours::Noticed, rights::Endings, size::Size, world::Disk};

/// By how much a neighbour's time may grow: to so many times the quiet one, and so many milliseconds.
const FACTOR: f64 = 3.0;
const MORE: f64 = 50.0;

/// How long rights may last that were ended, in milliseconds.
const SECOND: f64 = 1000.0;

/// The most that an attack may make the server log, in KB.
const LOG: u64 = 1024;

/// How large the log of the database may become, in KB.
const WAL: u64 = 64 * 1024;

/// One attack.
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) size: Size,
    /// Resident memory, in KB: before, at its most, and how much more is allowed.
    pub(crate) before: u64,
    pub(crate) peak: u64,
    pub(crate) allowed: u64,
    /// On disk before and after.
    pub(crate) disk: [Disk; 2],
    pub(crate) quiet: Noticed,
    pub(crate) noticed: Noticed,
    pub(crate) endings: Endings,
}

impl Report {
    /// What is not as it should be.
    fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self
            .quiet
            .failures
            .iter()
            .chain(&self.noticed.failures)
            .cloned()
            .collect();
        if self.peak > self.before + self.allowed {
            faults.push(format!(
                "{} KB of memory more, where {} are allowed",
                self.peak - self.before,
                self.allowed
            ));
        }
        let [before, after] = self.disk;
        if after.log > before.log + LOG {
            faults.push(format!(
                "{} KB of log, where {LOG} are allowed",
                after.log - before.log
            ));
        }
        if after.wal > WAL {
            faults.push(format!(
                "the database's log has {} KB, where {WAL} are allowed",
                after.wal
            ));
        }
        // A debug build on a machine that does other things has no times worth judging.
        if self.size == Size::Full {
            faults.extend(self.slow());
        }
        faults
    }

    fn slow(&self) -> Vec<String> {
        let pairs = self.quiet.kinds().into_iter().zip(self.noticed.kinds());
        let slower = pairs.filter_map(|((name, quiet), (_, now))| {
            let allowed = FACTOR * quiet.percentile(0.99) + MORE;
            let p99 = now.percentile(0.99);
            (p99 > allowed)
                .then(|| format!("p99 of {name}: {p99:.1} ms, where {allowed:.1} are allowed"))
        });
        let late = self.endings().into_iter().filter_map(|(name, times)| {
            let longest = times.longest();
            (longest > SECOND).then(|| format!("{name}: {longest:.0} ms"))
        });
        slower.chain(late).collect()
    }

    fn endings(&self) -> [(&'static str, &Times); 3] {
        [
            ("session of a revoked token", &self.endings.revoked),
            ("lock on the attacker", &self.endings.locked),
            ("session of the attacker", &self.endings.ended),
        ]
    }

    /// Panics if anything is not as it should be.
    pub(crate) fn judge(&self) {
        let faults = self.faults();
        assert!(faults.is_empty(), "{}: {faults:#?}", self.name);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |kb: u64| kb as f64 / 1024.0;
        writeln!(f, "\n{} ({:?})", self.name, self.size)?;
        writeln!(
            f,
            "  resident memory: {:.0} MB before, {:.0} MB at most",
            mb(self.before),
            mb(self.peak)
        )?;
        let [before, after] = self.disk;
        writeln!(
            f,
            "  on disk: {} KB of database more, its log {} KB; {} KB of log more",
            after.database.saturating_sub(before.database),
            after.wal,
            after.log - before.log
        )?;
        writeln!(
            f,
            "  {:<28} {:>26} {:>26}",
            "p50 / p95 / p99 in ms", "quiet", "attacked"
        )?;
        for ((name, quiet), (_, now)) in self.quiet.kinds().into_iter().zip(self.noticed.kinds()) {
            writeln!(f, "  {name:<28} {quiet:>26} {now:>26}")?;
        }
        for (name, times) in self.endings() {
            writeln!(
                f,
                "  {name:<28} {:>26} {:>23.1} ms at most of {}",
                "",
                times.longest(),
                times.count()
            )?;
        }
        for fault in self.faults() {
            writeln!(f, "  FAULT: {fault}")?;
        }
        Ok(())
    }
}
