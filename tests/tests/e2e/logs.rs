//! Logs on standard error.

use std::process::Stdio;

use herald_tests::{Herald, program, until, within};
use serde_json::Value;
use tokio::process::Command;

/// What every first start logs.
const FIRST: &str = "created the administrator admin";

#[tokio::test]
async fn logs_are_json_where_no_person_reads_them() {
    let mut herald = Herald::with_users(&["alice"]).await;
    herald.stop().await;
    let log = herald.stderr();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(events.iter().any(|e| e["message"] == FIRST), "{log}");
    for event in &events {
        assert!(event["timestamp"].is_string() && event["level"].is_string());
    }
}

#[tokio::test]
async fn logs_are_text_on_a_terminal() {
    let herald = Herald::stopped(&[]);
    let data_dir = herald.data_dir();
    let serve = format!("{} --data-dir {}", program().display(), data_dir.display());
    // `script` gives the program a terminal, and passes on what it shows there.
    let terminal = Command::new("script")
        .args(["-qec", &serve, "/dev/null"])
        .env("HERALD_HTTP__LISTEN", "127.0.0.1:0")
        .env("HERALD_MQTT__LISTEN_TLS", "")
        .env("HERALD_MQTT__LISTEN_TCP", "")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = until("run.json", async || {
        let run = std::fs::read_to_string(data_dir.join("run.json")).ok()?;
        let run: Value = serde_json::from_str(&run).ok()?;
        run["pid"].as_u64()
    })
    .await;
    let kill = Command::new("kill").arg(pid.to_string()).status();
    assert!(within("kill", kill).await.unwrap().success());
    let output = within("the server's end", terminal.wait_with_output()).await;
    let shown = String::from_utf8(output.unwrap().stdout).unwrap();
    let line = shown.lines().find(|line| line.contains(FIRST));
    assert!(line.is_some_and(|line| !line.contains('{')), "{shown}");
}
