use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use super::print;
use crate::{config::Config, data_dir, run_file::Running};

/// What a server takes to stop once its clients have gone, besides `worker.stop_ms`.
const STOP: Duration = Duration::from_secs(30);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Has the server that runs on this data directory send its clients to others and stop, as SIGTERM does, and waits for its end.
pub(crate) async fn drain(config: &Config) -> anyhow::Result<()> {
    let dir = &config.data_dir;
    // Of a server that was killed, the number may be another process's by now.
    let running = match Running::read(dir)? {
        Some(running) if data_dir::is_locked(dir)? => running,
        _ => bail!(
            "no server is running on the data directory {}",
            dir.display()
        ),
    };
    let pid = Pid::from_raw(running.pid).context("run.json names no process")?;
    kill_process(pid, Signal::TERM).context("the server cannot be told to stop")?;
    let stops = Duration::from_millis(config.worker.stop_ms);
    let limit = config.cluster.drain() + stops + STOP;
    let ended = async {
        while Running::read(dir)?.is_some_and(|now| now.pid == running.pid) {
            sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    match timeout(limit, ended).await {
        Ok(ended) => ended?,
        Err(_) => bail!(
            "the server was told to stop, and has not within {} s",
            limit.as_secs()
        ),
    }
    print(format_args!("process {} has ended", running.pid))?;
    Ok(())
}
