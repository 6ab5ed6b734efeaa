//! A panic in the log: where it was. The usual hook writes to standard error itself, which may be stuck.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic, thread,
};

/// Logs panics from now on.
///
/// The message is logged only if it is a literal of the source: any other may hold what somebody sent (to slice a text in the
/// middle of a character quotes the text).
pub(super) fn log() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        let message = panic.payload().downcast_ref::<&'static str>();
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        let thread = thread::current();
        tracing::error!(
            location,
            reason = message,
            thread = thread.name(),
            backtrace = captured.then(|| tracing::field::display(&backtrace)),
            "panicked: this is a fault of Herald's; please report it"
        );
    }));
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;
    use crate::logging::{Log, LogFormat, Logging};

    /// Set for the process that panics, as the hook is one of a process.
    const CHILD: &str = "HERALD_TEST_PANICS";

    /// Fails in two tasks, and goes on.
    fn fail(sent: &str) {
        let log = Log {
            level: "info".into(),
            format: LogFormat::Json,
            file: "".into(),
        };
        let log = Logging::start(&log).expect("the log starts");
        let runtime = tokio::runtime::Builder::new_multi_thread().build();
        runtime.expect("it starts").block_on(async {
            let text = sent.to_owned();
            let panicked = tokio::spawn(async move { panic!("no user sends {text}") }).await;
            assert!(panicked.is_err());
            let panicked = tokio::spawn(async { panic!("a literal of the source") }).await;
            assert!(panicked.is_err());
            tokio::spawn(async { tracing::info!("the server goes on") })
                .await
                .expect("other tasks run");
        });
        log.end(None);
    }

    #[test]
    fn a_panic_of_a_task_is_logged_with_its_location_and_not_with_what_was_sent() {
        if let Ok(sent) = env::var(CHILD) {
            return fail(&sent);
        }
        let this = "a_panic_of_a_task_is_logged_with_its_location_and_not_with_what_was_sent";
        let child = Command::new(env::current_exe().expect("it has a name"))
            .args([this, "--nocapture", "--test-threads=1"])
            .env(CHILD, "s3cret")
            .env("RUST_BACKTRACE", "1")
            .output()
            .expect("it runs");
        assert!(child.status.success(), "{child:?}");
        let log = String::from_utf8(child.stderr).expect("the log is text");
        let all = [&log, &*String::from_utf8_lossy(&child.stdout)].concat();
        assert!(!all.contains("s3cret"), "{all}");
        let panics: Vec<&str> = log.lines().filter(|l| l.contains("panicked")).collect();
        assert_eq!(panics.len(), 2, "{log}");
        for panic in &panics {
            assert!(panic.contains("\"location\":\""), "{panic}");
            assert!(panic.contains("panics.rs:"), "{panic}");
        }
        assert!(panics[1].contains("a literal of the source"), "{log}");
        assert!(log.contains("the server goes on"), "{log}");
    }
}
