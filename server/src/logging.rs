//! Logs on standard error: for people on a terminal, JSON otherwise.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is logged unless `HERALD_LOG` says otherwise. The embedded router tells of each of its links.
const DEFAULT: &str = "info,rumqttd=error,poem=warn,sqlx=warn";

/// Starts logging. `HERALD_LOG` takes directives such as `debug` or `info,herald_broker=debug`.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("HERALD_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.with_target(false).compact().init();
    } else {
        logs.json()
            .flatten_event(true)
            // It is the last of the list.
            .with_current_span(false)
            .init();
    }
}
