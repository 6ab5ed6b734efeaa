//! A server's process, what it has taken of the machine, and its end.

use std::{
    fs,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// How long a server may take to end.
const GRACE: Duration = Duration::from_secs(30);

/// A child process, which is killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn();
        let program = command.get_program().to_string_lossy().into_owned();
        Ok(Self(
            child.with_context(|| format!("{program} does not start"))?,
        ))
    }

    /// The child.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Resident memory, in KB.
    pub(crate) fn resident_kb(&self) -> anyhow::Result<f64> {
        self.status_kb("VmRSS:")
    }

    /// The most that resident memory ever was, in KB.
    pub(crate) fn peak_kb(&self) -> anyhow::Result<f64> {
        self.status_kb("VmHWM:")
    }

    fn status_kb(&self, name: &str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix(name));
        let kb = line.and_then(|l| l.split_whitespace().next());
        Ok(kb.context("the server ended")?.parse()?)
    }

    /// Processor time taken so far, by all threads, in user and system mode.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu(self.0.id())
    }

    /// Asks the process to end, and waits for it.
    pub(crate) fn stop(mut self) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // One that has ended already cannot be told.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor time taken so far by this process.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    cpu(std::process::id())
}

fn cpu(pid: u32) -> anyhow::Result<Duration> {
    Ok(times(pid)?.own)
}

/// Processor time of a process, by all threads, in user and system mode.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) own: Duration,
    /// That of its children that have ended, and of theirs.
    pub(crate) ended_children: Duration,
}

/// What the process with this number has taken so far.
pub(crate) fn times(pid: u32) -> anyhow::Result<Times> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|ticks| ticks.parse().unwrap_or(0))
        .collect();
    let sum = |ticks: &[u64]| {
        let ticks = ticks.iter().sum::<u64>() as f64;
        Duration::from_secs_f64(ticks / rustix::param::clock_ticks_per_second() as f64)
    };
    let (own, children) = ticks.split_at_checked(2).context("too few fields")?;
    Ok(Times {
        own: sum(own),
        ended_children: sum(children),
    })
}

/// Raises the number of files that this process, and those it starts, may open as far as allowed; returns how many.
pub(crate) fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // What cannot be raised stays.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
