//! `cargo xtask databases`, with real servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use herald_test_servers::ServerKind;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long servers may take to end.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder for temporary files that other users reach.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The databases that are tested, as a list; says which are not.
fn chosen() -> Option<String> {
    let is_chosen = |kind: &ServerKind| {
        let is_chosen = kind.shared_url().is_some();
        if !is_chosen {
            eprintln!("not tested: {kind}, as {} is not set", kind.variable());
        }
        is_chosen
    };
    let kinds: Vec<_> = ServerKind::ALL.into_iter().filter(is_chosen).collect();
    let names: Vec<&str> = kinds.into_iter().map(ServerKind::name).collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn xtask(folder: &Path, list: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["databases", list]).env("TMPDIR", folder);
    command
}

/// The addresses that `xtask` prints, of so many servers.
fn addresses(xtask: &mut Child, count: usize) -> Vec<String> {
    let output = BufReader::new(xtask.stdout.take().unwrap());
    let lines = output.lines().take(count).map(|line| {
        let line = line.unwrap();
        let (_, address) = line.split_once('@').unwrap();
        address.split('/').next().unwrap().to_owned()
    });
    lines.collect()
}

/// Waits until nothing is left in `folder`.
fn emptied(folder: &Path) {
    let begin = Instant::now();
    while fs::read_dir(folder).unwrap().count() > 0 {
        assert!(begin.elapsed() < LIMIT, "something is left in {folder:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[rstest]
#[case::int(Signal::INT)]
#[case::term(Signal::TERM)]
#[case::kill(Signal::KILL)]
fn servers_end_with_the_process_that_started_them(#[case] signal: Signal) {
    let Some(list) = chosen() else { return };
    let folder = folder();
    let mut xtask = xtask(folder.path(), &list);
    let mut xtask = xtask.stdout(Stdio::piped()).spawn().unwrap();
    let addresses = addresses(&mut xtask, list.split(',').count());
    for address in &addresses {
        TcpStream::connect(address).unwrap();
    }
    let pid = i32::try_from(xtask.id()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    xtask.wait().unwrap();
    emptied(folder.path());
    for address in &addresses {
        assert!(TcpStream::connect(address).is_err(), "{address}");
    }
}

#[test]
fn a_command_that_fails_fails_the_task_and_servers_end() {
    let Some(list) = chosen() else { return };
    let folder = folder();
    let mut xtask = xtask(folder.path(), &list);
    xtask.args(["--", "sh", "-c", "env >env; exit 3"]);
    let output = xtask.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for name in list.split(',') {
        let kind: ServerKind = name.parse().unwrap();
        let variable = format!("{}=", kind.variable());
        let environment = fs::read_to_string(folder.path().join("env")).unwrap();
        assert!(environment.contains(&variable), "{environment}");
    }
    fs::remove_file(folder.path().join("env")).unwrap();
    emptied(folder.path());
}
