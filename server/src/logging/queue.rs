//! Lines on their way to the log. Who logs never waits and never fails; one thread writes.
//!
//! What cannot be written stays in the queue and is tried again. What does not fit in any more is lost, counted, and reported
//! in the log once something could be written. `tracing-appender` was looked at: it loses the line that cannot be written
//! without counting it, has no bound in bytes, and prints (and so panics) when it ends.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use herald_api::{TOKEN_PREFIX, without_tokens};
use parking_lot::{Condvar, Mutex};

/// Where what is logged here comes from.
pub(super) const TARGET: &str = module_path!();

/// What may wait to be written.
const MAX_BYTES: usize = 1024 * 1024;
/// The same, in lines.
const MAX_LINES: usize = 10_000;
/// How soon it is tried again to write what could not be written, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How often at most lost lines are reported.
const REPORT_LOST: Duration = Duration::from_secs(1);

/// The queue. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct LogQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    /// Notified when there is something to write or the end is asked for.
    work: Condvar,
    /// Notified when the thread has ended.
    done: Condvar,
}

#[derive(Default)]
struct Pending {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// Lines that did not fit in since this was reported last.
    lost: u64,
    closing: bool,
    ended: bool,
}

impl LogQueue {
    /// Takes a line, or counts it as lost.
    fn push(&self, line: &[u8]) {
        let line: Box<[u8]> = line.into();
        let mut pending = self.0.pending.lock();
        if pending.ended
            || pending.lines.len() >= MAX_LINES
            || pending.bytes.saturating_add(line.len()) > MAX_BYTES
        {
            pending.lost = pending.lost.saturating_add(1);
            return;
        }
        pending.bytes += line.len();
        pending.lines.push_back(line);
        drop(pending);
        self.0.work.notify_one();
    }

    /// Starts the thread that writes to `sink`. `report` is called every `period`, and before the end: it logs.
    pub(super) fn write_to(
        &self,
        sink: impl Write + Send + 'static,
        period: Duration,
        report: impl Fn() + Send + 'static,
    ) -> io::Result<()> {
        let queue = self.clone();
        let thread = thread::Builder::new().name("log".into());
        thread.spawn(move || {
            // Also if something in it panics: nobody is to wait for it then.
            let _ended = Ended(queue.clone());
            let writer = Writer {
                queue,
                sink,
                failed: None,
                reported_lost: None,
            };
            writer.run(period, &report);
        })?;
        Ok(())
    }

    /// Writes what is left, for so long at most. Nothing is taken afterwards.
    pub(super) fn close(&self, limit: Duration) {
        let mut pending = self.0.pending.lock();
        pending.closing = true;
        self.0.work.notify_one();
        let until = Instant::now() + limit;
        while !pending.ended && !self.0.done.wait_until(&mut pending, until).timed_out() {}
        pending.ended = true;
    }

    /// The next line, once there is one. `None` at the end; `Err` at `until`.
    fn next(&self, until: Instant) -> Result<Option<Box<[u8]>>, ()> {
        let mut pending = self.0.pending.lock();
        loop {
            if let Some(line) = pending.lines.pop_front() {
                pending.bytes -= line.len();
                return Ok(Some(line));
            }
            if pending.closing {
                return Ok(None);
            }
            if self.0.work.wait_until(&mut pending, until).timed_out() {
                return Err(());
            }
        }
    }

    /// Waits for `pause`. `false` if the end is asked for.
    fn pause(&self, pause: Duration) -> bool {
        let mut pending = self.0.pending.lock();
        let until = Instant::now() + pause;
        while !pending.closing && !self.0.work.wait_until(&mut pending, until).timed_out() {}
        !pending.closing
    }

    /// How many lines were lost since it was asked last.
    fn take_lost(&self) -> u64 {
        std::mem::take(&mut self.0.pending.lock().lost)
    }
}

struct Ended(LogQueue);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.0.pending.lock().ended = true;
        self.0.0.done.notify_all();
    }
}

/// Writes into the queue, and never fails.
pub(super) struct Line(LogQueue);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            // A client may have named itself so, or a topic.
            Ok(text) if text.contains(TOKEN_PREFIX) => self.0.push(without_tokens(text).as_bytes()),
            _ => self.0.push(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for LogQueue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.clone())
    }
}

/// The thread's own.
struct Writer<S> {
    queue: LogQueue,
    sink: S,
    /// Why something could not be written.
    failed: Option<io::Error>,
    reported_lost: Option<Instant>,
}

impl<S: Write> Writer<S> {
    fn run(mut self, period: Duration, report: &dyn Fn()) {
        let mut next_report = Instant::now() + period;
        let mut ending = false;
        loop {
            match self.queue.next(next_report) {
                Ok(Some(line)) => {
                    if !self.write(&line) {
                        return;
                    }
                    self.report_lost(false);
                }
                Ok(None) if ending => return,
                Ok(None) => {
                    ending = true;
                    self.report_lost(true);
                    report();
                    continue;
                }
                Err(()) => {}
            }
            if Instant::now() >= next_report {
                self.report_lost(true);
                report();
                next_report = Instant::now() + period;
            }
        }
    }

    /// Logs how many lines were lost, if any: at once if `now`, or else not again before a while.
    fn report_lost(&mut self, now: bool) {
        if !now
            && self
                .reported_lost
                .is_some_and(|at| at.elapsed() < REPORT_LOST)
        {
            return;
        }
        let lost = self.queue.take_lost();
        if lost > 0 {
            let error = self.failed.take().map(tracing::field::display);
            tracing::error!(lines = lost, error, "lines of the log are lost");
            self.reported_lost = Some(Instant::now());
        }
    }

    /// Writes all of `line`, however long that takes. `false` if the end came before.
    fn write(&mut self, line: &[u8]) -> bool {
        let mut rest = line;
        let mut pause = PAUSE.0;
        while !rest.is_empty() {
            let error = match self.sink.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => e,
            };
            self.failed = Some(error);
            if !self.queue.pause(pause) {
                return false;
            }
            pause = (pause * 2).min(PAUSE.1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A sink that fails as often as it is to, and passes on the rest in small pieces.
    struct Sink {
        failures: usize,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            let some = &bytes[..bytes.len().min(3)];
            let _ = self.written.send(some.to_vec());
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    fn written_by(queue: &LogQueue, failures: usize) -> mpsc::Receiver<Vec<u8>> {
        let (written, all) = mpsc::channel();
        queue
            .write_to(Sink { failures, written }, LONG, || {})
            .unwrap();
        all
    }

    #[test]
    fn what_could_not_be_written_is_written_whole_once_it_can_be() {
        let queue = LogQueue::default();
        let all = written_by(&queue, 2);
        queue.push(b"the first line\n");
        queue.push(b"the second line\n");
        let mut text = vec![];
        while text.len() < 31 {
            text.extend(all.recv().unwrap());
        }
        assert_eq!(text, b"the first line\nthe second line\n");
        queue.close(LONG);
    }

    #[test]
    fn the_end_writes_what_is_left() {
        let queue = LogQueue::default();
        for n in 0..100 {
            queue.push(format!("{n}\n").as_bytes());
        }
        let all = written_by(&queue, 0);
        queue.close(LONG);
        let text: Vec<u8> = all.into_iter().flatten().collect();
        assert!(text.ends_with(b"98\n99\n"));
    }

    #[test]
    fn the_end_does_not_wait_for_a_sink_that_takes_nothing() {
        struct Stuck(mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let queue = LogQueue::default();
        let (open, stuck) = mpsc::channel();
        queue.write_to(Stuck(stuck), LONG, || {}).unwrap();
        queue.push(b"a line\n");
        queue.close(Duration::from_millis(1));
        queue.push(b"too late\n");
        drop(open);
    }

    #[test]
    fn the_end_does_not_wait_for_a_sink_that_fails() {
        let queue = LogQueue::default();
        written_by(&queue, usize::MAX);
        queue.push(b"a line\n");
        queue.close(LONG);
    }

    #[test]
    fn what_does_not_fit_in_is_counted_and_nothing_else() {
        let queue = LogQueue::default();
        let line = vec![b'x'; MAX_BYTES / 4];
        for _ in 0..6 {
            queue.push(&line);
        }
        assert_eq!(queue.take_lost(), 2);
        assert_eq!(queue.take_lost(), 0);
        let queue = LogQueue::default();
        for _ in 0..=MAX_LINES {
            queue.push(b"\n");
        }
        assert_eq!(queue.take_lost(), 1);
    }

    #[test]
    fn what_is_to_be_reported_is_reported_before_the_end() {
        let queue = LogQueue::default();
        let (written, all) = mpsc::channel();
        let sink = Sink {
            failures: 0,
            written,
        };
        let reporting = queue.clone();
        queue
            .write_to(sink, LONG, move || reporting.push(b"reported\n"))
            .unwrap();
        queue.close(LONG);
        let text: Vec<u8> = all.into_iter().flatten().collect();
        assert_eq!(text, b"reported\n");
    }
}
