//! The log: for people on a terminal, JSON otherwise.
//!
//! A log that cannot be written costs lines and nothing else: see [`queue`].

mod filter;
mod libraries;
mod panics;
mod queue;
mod rates;
mod settings;

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal as _, Write},
    path::Path,
    time::Duration,
};

use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::shown::shown_line;
use libraries::Libraries;
use queue::LogQueue;
use rates::Rates;
use settings::LogFormat;

pub(crate) use settings::{Log, LogError};

/// How often it is reported what was left out.
const REPORT: Duration = Duration::from_secs(10);

/// How long the end waits for what is left to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// The log, until [`Logging::end`].
pub(crate) struct Logging(LogQueue);

impl Logging {
    /// Starts logging as `log` says.
    pub(crate) fn start(log: &Log) -> Result<Self, LogError> {
        let to_file = !log.file.as_os_str().is_empty();
        let sink = match to_file {
            true => file(&log.file)?,
            false => standard_error(),
        };
        let filter = log.filter()?;
        let terminal = !to_file && io::stderr().is_terminal();
        let text = match log.format {
            LogFormat::Auto => terminal,
            LogFormat::Text => true,
            LogFormat::Json => false,
        };
        let (queue, rates) = (LogQueue::default(), Rates::default());
        // It must not write anything by itself: to print panics where it fails.
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(queue.clone())
            .log_internal_errors(false);
        let lines = if text {
            let lines = lines.with_target(false).compact();
            match terminal {
                true => lines.boxed(),
                false => lines.with_ansi(false).boxed(),
            }
        } else {
            let lines = lines.json().flatten_event(true);
            // It is the last of the list.
            lines.with_current_span(false).boxed()
        };
        let layers = tracing_subscriber::registry().with(lines);
        // Only one log is ever started.
        let _ = layers
            .with(rates.clone())
            .with(Libraries)
            .with(filter)
            .try_init();
        panics::log();
        let started = queue.write_to(sink, REPORT, move || rates.report());
        started.map_err(LogError::Thread)?;
        Ok(Self(queue))
    }

    /// Writes what is left and then `last_words` to standard error, waiting for neither for long.
    pub(crate) fn end(self, last_words: Option<&str>) {
        self.0.close(FLUSH);
        if let Some(words) = last_words {
            write_line(words);
        }
    }
}

/// Writes a line to standard error. That nobody reads it, or that it cannot be written, is no fault; that nothing takes it,
/// no reason to wait for long.
pub(crate) fn write_line(line: &str) {
    let queue = LogQueue::default();
    let _ = writeln!(
        tracing_subscriber::fmt::MakeWriter::make_writer(&queue),
        "{}",
        shown_line(line)
    );
    if queue.write_to(standard_error(), REPORT, || {}).is_ok() {
        queue.close(FLUSH);
    }
}

fn file(path: &Path) -> Result<Box<dyn Write + Send>, LogError> {
    match OpenOptions::new().append(true).create(true).open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(LogError::File {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Standard error without the lock that the whole process shares: who waits for it to take a line must hold up nobody.
fn standard_error() -> Box<dyn Write + Send> {
    #[cfg(unix)]
    {
        use std::{fs::File, os::fd::AsFd as _};
        if let Ok(own) = io::stderr().as_fd().try_clone_to_owned() {
            return Box::new(File::from(own));
        }
    }
    Box::new(io::stderr())
}
