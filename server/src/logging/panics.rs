//! What a panic tells: where it was, in the log. The usual hook writes to standard error itself, which may be stuck.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic, thread,
};

/// Logs panics from now on.
///
/// The message is told only if it is a literal of the source: any other may hold what somebody sent (to slice a text in the
/// middle of a character quotes the text).
pub(super) fn log() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        let message = panic.payload().downcast_ref::<&'static str>();
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        let thread = thread::current();
        tracing::error!(
            place,
            reason = message,
            thread = thread.name(),
            backtrace = captured.then(|| tracing::field::display(&backtrace)),
            "panicked: this is a fault of Herald's; please report it"
        );
    }));
}
