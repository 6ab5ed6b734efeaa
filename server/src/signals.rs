//! When to stop.

use tokio::signal;

/// Resolves at Ctrl-C or, where there are signals, SIGTERM.
#[cfg(unix)]
pub(crate) async fn stop() -> std::io::Result<&'static str> {
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = signal::ctrl_c() => pressed.map(|()| "interrupt"),
        _ = terminate.recv() => Ok("SIGTERM"),
    }
}

/// Resolves at Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn stop() -> std::io::Result<&'static str> {
    signal::ctrl_c().await.map(|()| "interrupt")
}
