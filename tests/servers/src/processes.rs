//! The processes that run in a folder: those of a server, also if the one that started the others was killed.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Kills them all, as `kill -9` does, and waits until none is left.
pub(crate) fn kill_all(folder: &Path, limit: Duration) -> Result<()> {
    let begin = Instant::now();
    loop {
        let found = find(folder)?;
        if found.is_empty() {
            return Ok(());
        }
        for process in found {
            // It may have ended meanwhile.
            let _ = kill_process(process, Signal::KILL);
        }
        ensure!(
            begin.elapsed() < limit,
            "processes in {} do not end",
            folder.display()
        );
        thread::sleep(PAUSE);
    }
}

fn find(folder: &Path) -> Result<Vec<Pid>> {
    let place = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino()));
    let wanted = place(folder)?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_str().and_then(|pid| pid.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            continue;
        };
        if place(&entry.path().join("cwd")).is_ok_and(|place| place == wanted) {
            found.push(pid);
        }
    }
    Ok(found)
}
