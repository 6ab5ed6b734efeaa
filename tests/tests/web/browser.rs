//! Runs the scripts.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    sync::Semaphore,
    time::timeout,
};

use crate::world::World;

/// A browser takes its time beside others.
const LIMIT: Duration = Duration::from_secs(900);

/// Browsers at once: each wants more than one core.
const BROWSERS: u32 = 2;

static FREE: Semaphore = Semaphore::const_new(BROWSERS as usize);

/// Runs a script with the flow's name, beside others, and returns what it printed last.
pub(crate) async fn run(script: &str, flow: &str, world: &mut World) -> String {
    let _turn = FREE.acquire().await.unwrap();
    drive(script, flow, world).await
}

/// Runs a script that measures: no other runs at the same time.
pub(crate) async fn run_alone(script: &str, world: &mut World) -> String {
    let _turn = FREE.acquire_many(BROWSERS).await.unwrap();
    drive(script, "", world).await
}

async fn drive(script: &str, flow: &str, world: &mut World) -> String {
    let mut child = Command::new("node")
        .args([&format!("web/{script}.mjs"), &world.url(), flow])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/js"))
        .env("SCREENSHOTS", screenshots())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let driving = async {
        let mut last = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            let asked: Value = serde_json::from_str(&line).unwrap_or(json!(null));
            if asked["ask"].is_string() {
                let answer = world.answer(&asked).await;
                let answer = format!("{answer}\n");
                // A script that failed meanwhile does not listen any more.
                let _ = stdin.write_all(answer.as_bytes()).await;
            } else {
                println!("{script} {flow}: {line}");
                last = line;
            }
        }
        last
    };
    let last = timeout(LIMIT, driving).await;
    let last = last.unwrap_or_else(|_| panic!("{script} {flow}: not done within {LIMIT:?}"));
    let status = child.wait().await.unwrap();
    assert!(status.success(), "{script} {flow}: see above");
    last
}

/// Where the pages are photographed.
fn screenshots() -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/screenshots");
    PathBuf::from(folder)
}
