//! When to stop, and what is not a reason to.

use tokio::signal;

/// Listens for Ctrl-C and, where there are signals, SIGTERM, from the moment it is made: before then, they end the process at
/// once, or do nothing if it is the first one of a container.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: signal::unix::Signal,
    #[cfg(unix)]
    terminate: signal::unix::Signal,
    /// They have no meaning here, and would end the process if nobody listened.
    #[cfg(unix)]
    ignored: [(&'static str, signal::unix::Signal); 3],
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        use signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            ignored: [
                ("SIGHUP", signal(SignalKind::hangup())?),
                ("SIGUSR1", signal(SignalKind::user_defined1())?),
                ("SIGUSR2", signal(SignalKind::user_defined2())?),
            ],
        })
    }

    /// The name of the next one that asks to stop.
    pub(crate) async fn next(&mut self) -> &'static str {
        let [hangup, user1, user2] = &mut self.ignored;
        loop {
            let ignored = tokio::select! {
                _ = self.interrupt.recv() => return "interrupt",
                _ = self.terminate.recv() => return "SIGTERM",
                _ = hangup.1.recv() => hangup.0,
                _ = user1.1.recv() => user1.0,
                _ = user2.1.recv() => user2.0,
            };
            tracing::info!(
                signal = ignored,
                "a signal that means nothing to Herald is ignored"
            );
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// The name of the next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        match signal::ctrl_c().await {
            Ok(()) => "interrupt",
            Err(_) => std::future::pending().await,
        }
    }
}
