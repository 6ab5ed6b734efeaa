//! The `herald` program, and calls of it that run to an end.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
};

use crate::wait::within;

/// The program under test: `HERALD_BIN`, or the one that was built beside the tests.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = env::var_os("HERALD_BIN") {
            return path.into();
        }
        // target/<profile>/deps/e2e-<hash>
        let test = env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap();
        let path = profile.join("herald");
        if !path.exists() {
            build(profile.ends_with("release"));
        }
        assert!(path.exists(), "{} is missing", path.display());
        path
    })
}

fn build(release: bool) {
    let status = std::process::Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--package", "herald"])
        .args(release.then_some("--release"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(status.is_ok_and(|s| s.success()), "cargo build -p herald");
}

/// `herald`, without the settings of whoever runs the tests.
pub(crate) fn command() -> Command {
    prepared(Command::new(program()))
}

/// The same for a `command` that becomes `herald`.
pub(crate) fn prepared(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("HERALD_") {
            command.env_remove(name);
        }
    }
    // Not a terminal, whoever runs the tests.
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A call of `herald` that runs to its end.
pub struct Cli {
    command: Command,
    input: String,
}

/// What a call has left.
#[derive(Debug)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Cli {
    /// `herald ARGS...` in `folder`.
    #[must_use]
    pub fn new(folder: &Path, args: &[&str]) -> Self {
        let mut command = command();
        command.current_dir(folder).args(args);
        Self {
            command,
            input: String::new(),
        }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// What it reads from standard input; nothing unless given.
    #[must_use]
    pub fn input(mut self, text: &str) -> Self {
        text.clone_into(&mut self.input);
        self
    }

    /// Runs it.
    pub async fn run(mut self) -> Ended {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that does not read has closed it already.
        let _ = stdin.write_all(self.input.as_bytes()).await;
        drop(stdin);
        let output = within("herald", child.wait_with_output()).await.unwrap();
        Ended {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs it until it writes a line with `text` to standard error, and kills it as `kill -9` does.
    pub async fn kill_at(mut self, text: &str) {
        let mut child = self.command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        within("a line of herald", async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(text) {
                    return;
                }
            }
            panic!("it ended before it wrote {text:?}");
        })
        .await;
        child.kill().await.unwrap();
    }

    /// Runs it and returns what it printed; panics if it fails.
    pub async fn succeed(self) -> String {
        let ended = self.run().await;
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stdout
    }
}
