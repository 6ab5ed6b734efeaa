//! The lines that a child process prints.

use std::{collections::VecDeque, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
};

use crate::wait::within;

/// Lines kept for a test that does not read them; then the child waits.
const CAPACITY: usize = 10_000;

/// A child process whose lines are read as they come, those of standard error too.
pub(crate) struct Lines {
    name: &'static str,
    child: Child,
    lines: mpsc::Receiver<String>,
    /// Read, and to be read again.
    again: VecDeque<String>,
    /// All that was read so far, for the message of a failure.
    seen: Vec<String>,
}

impl Lines {
    /// Starts `command`, which ends with the test.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|e| panic!("{name}: {e}. Run `cargo xtask setup`."));
        let (sender, lines) = mpsc::channel(CAPACITY);
        tokio::spawn(forward(child.stdout.take().unwrap(), sender.clone()));
        tokio::spawn(forward(child.stderr.take().unwrap(), sender));
        Self {
            name,
            child,
            lines,
            again: VecDeque::new(),
            seen: vec![],
        }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The next line, or `None` when the process has closed its output.
    pub(crate) async fn next(&mut self) -> Option<String> {
        if let Some(line) = self.again.pop_front() {
            return Some(line);
        }
        let wait = tokio::time::timeout(crate::LIMIT, self.lines.recv());
        let Ok(line) = wait.await else {
            panic!(
                "{}: no line within {:?}; before:\n{}",
                self.name,
                crate::LIMIT,
                self.seen.join("\n")
            );
        };
        self.seen.extend(line.clone());
        line
    }

    /// The next line for which `pick` answers; others are passed over.
    pub(crate) async fn find<T>(&mut self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        while let Some(line) = self.next().await {
            if let Some(found) = pick(&line) {
                return found;
            }
        }
        self.ended_without(what)
    }

    /// Waits for a line for which `pick` answers, and leaves those before it to be read after.
    pub(crate) async fn find_ahead<T>(
        &mut self,
        what: &str,
        pick: impl Fn(&str) -> Option<T>,
    ) -> T {
        let mut passed = VecDeque::new();
        while let Some(line) = self.next().await {
            if let Some(found) = pick(&line) {
                passed.append(&mut self.again);
                self.again = passed;
                return found;
            }
            passed.push_back(line);
        }
        self.ended_without(what)
    }

    fn ended_without(&self, what: &str) -> ! {
        panic!(
            "{} ended without {what}:\n{}",
            self.name,
            self.seen.join("\n")
        );
    }

    /// Waits for the process to end and returns its exit code; `None` if a signal ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let status = within(self.name, self.child.wait()).await.unwrap();
        status.code()
    }
}

async fn forward(output: impl AsyncRead + Unpin, sender: mpsc::Sender<String>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if sender.send(line).await.is_err() {
            break;
        }
    }
}
