//! Logs on standard error.

use std::{
    fs::{self, File},
    process::Stdio,
};

use herald_tests::{
    Cli, Herald, Version, failing_service, program,
    raw::{Connect, Raw},
    until, within,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

/// What every first start logs.
const FIRST: &str = "created the administrator admin";

/// The lines of a log.
fn events(log: &str) -> Vec<Value> {
    let event = |line| serde_json::from_str(line).unwrap();
    log.lines().map(event).collect()
}

#[tokio::test]
async fn logs_are_json_where_no_person_reads_them() {
    let mut herald = Herald::with_users(&["alice"]).await;
    herald.stop().await;
    let log = herald.stderr();
    let events = events(&log);
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

/// Panics unless the server still does all that it is for.
async fn all_is_well(herald: &Herald) {
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    let id = admin.send_message("hello").await;
    admin.processed(&id).await;
}

/// A server whose webhook fails each attempt, which is logged each time.
async fn noisy() -> Herald {
    let url = format!("http://{}/", failing_service().await);
    Herald::stopped(&[
        ("HERALD_WORKER__PROCESSOR", "webhook"),
        ("HERALD_WEBHOOK__URL", &url),
        ("HERALD_WEBHOOK__SECRET", herald_tests::WEBHOOK_SECRET),
        ("HERALD_WORKER__MAX_ATTEMPTS", "100"),
        ("HERALD_WORKER__BACKOFF_MS", "1"),
    ])
}

/// Sends a message that the webhook fails, and waits until it was tried again.
async fn is_tried_again(herald: &Herald) {
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    let id = admin.send_message("hello").await;
    until("a second attempt", async || {
        let message = admin.message(&id).await;
        assert_ne!(message["status"], "dead", "{message}");
        (message["attempts"].as_u64() >= Some(2)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_log_on_a_full_disk_costs_nothing_but_lines() {
    let mut herald = noisy().await;
    let full = File::options().write(true).open("/dev/full").unwrap();
    herald.begin_with_stderr(full.into()).await;
    is_tried_again(&herald).await;
    herald.stop().await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_any_more_costs_nothing_but_lines() {
    let mut herald = noisy().await;
    let reader = herald.begin_with_stderr(Stdio::piped()).await;
    drop(reader);
    is_tried_again(&herald).await;
    herald.stop().await;
}

/// A pipe takes 64 KiB, and then makes who writes to it wait.
#[tokio::test]
async fn a_log_that_takes_nothing_holds_up_nobody() {
    let mut herald = Herald::stopped(&[("HERALD_LOG", "trace")]);
    let reader = herald.begin_with_stderr(Stdio::piped()).await;
    for _ in 0..20 {
        all_is_well(&herald).await;
    }
    herald.stop().await;
    drop(reader);
}

#[tokio::test]
async fn lines_that_are_lost_are_told_of_once_the_log_is_read_again() {
    let mut herald = Herald::stopped(&[("HERALD_LOG", "debug")]);
    let reader = herald.begin_with_stderr(Stdio::piped()).await.unwrap();
    let token = herald.http("admin").await.token(&["mqtt"]).await;
    // Each is two lines of a kilobyte, and no more than a megabyte may wait.
    let connect = Connect::of("admin")
        .client_id(&"\"".repeat(256))
        .password(&token);
    for _ in 0..900 {
        let raw = Raw::connect_as(&herald, Version::V5, &connect).await;
        raw.disconnect().await;
    }
    let mut lines = BufReader::new(reader).lines();
    let told = within("the loss to be told", async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["message"] == "lines of the log are lost" {
                return event;
            }
        }
    });
    let told = told.await;
    assert!(told["lines"].as_u64() > Some(0), "{told}");
    herald.stop().await;
}

#[tokio::test]
async fn what_a_client_does_again_and_again_is_counted_instead_of_logged() {
    const TRIES: u64 = 600;
    let mut herald = Herald::with_users(&["alice", "bob"]).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    let mut bob = Raw::connect(&herald, Version::V5, "bob").await;
    for _ in 0..TRIES {
        assert_eq!(alice.publish("broadcast/x", "denied").await, 0x87);
    }
    assert_eq!(bob.publish("broadcast/x", "denied").await, 0x87);
    herald.stop().await;
    let events = events(&herald.stderr());
    let of = |user: &str| {
        let refused = |e: &&Value| e["message"] == "publish refused" && e["user"] == user;
        u64::try_from(events.iter().filter(refused).count()).unwrap()
    };
    let left_out = events
        .iter()
        .filter(|e| e["message_of"] == "publish refused");
    let left_out: u64 = left_out.filter_map(|e| e["lines"].as_u64()).sum();
    assert_eq!(of("alice") + left_out, TRIES, "{events:?}");
    assert!(of("alice") < TRIES / 4, "{}", of("alice"));
    assert_eq!(of("bob"), 1, "what alice does hides nothing of bob's");
}

#[tokio::test]
async fn the_configuration_says_what_is_logged_how_and_where() {
    let file = |herald: &Herald| herald.folder().join("herald.log");
    let mut herald = Herald::stopped(&[("HERALD_LOG__FILE", "herald.log")]);
    for (settings, logged) in [
        (
            [
                ("HERALD_LOG__LEVEL", "warning"),
                ("HERALD_LOG__FORMAT", "json"),
            ],
            false,
        ),
        (
            [
                ("HERALD_LOG__LEVEL", "info"),
                ("HERALD_LOG__FORMAT", "text"),
            ],
            true,
        ),
        // The short name goes before.
        (
            [("HERALD_LOG__LEVEL", "info"), ("HERALD_LOG", "warn")],
            false,
        ),
    ] {
        let _ = fs::remove_file(file(&herald));
        herald.begin_with(&settings).await;
        herald.stop().await;
        let log = fs::read_to_string(file(&herald)).unwrap();
        assert_eq!(log.contains("stopping"), logged, "{settings:?}: {log}");
        assert!(!(logged && log.contains('{')), "{log}");
        assert_eq!(herald.stderr(), "");
    }
}

#[tokio::test]
async fn a_level_that_is_none_is_an_error_and_an_unknown_variable_a_warning() {
    let folder = TempDir::new().unwrap();
    let check = || Cli::new(folder.path(), &["check-config"]);
    for name in ["HERALD_LOG", "HERALD_LOG__LEVEL"] {
        for level in ["verbose", "herald", "info,loud"] {
            let ended = check().env(name, level).run().await;
            assert_eq!(ended.code, 2, "{ended:?}");
            assert!(ended.stderr.contains("log.level"), "{ended:?}");
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        }
    }
    // As Kubernetes makes it for a service called herald-http.
    let set = check()
        .env("HERALD_HTTP_PORT", "tcp://10.0.0.1:8443")
        .env("HERALD_LOG_LEVEL", "debug");
    let ended = set.run().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for name in ["HERALD_HTTP_PORT", "HERALD_LOG_LEVEL (HERALD_LOG__LEVEL?)"] {
        assert!(ended.stderr.contains(name), "{ended:?}");
    }
    assert!(!ended.stderr.contains("10.0.0.1"), "{ended:?}");
}

#[tokio::test]
async fn herald_config_names_the_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("other.toml");
    fs::write(&file, "[http]\nlisten = '127.0.0.1:1111'").unwrap();
    let check = |path| Cli::new(folder.path(), &["check-config"]).env("HERALD_CONFIG", path);
    let printed = check(file.to_str().unwrap()).succeed().await;
    assert!(printed.contains("127.0.0.1:1111"), "{printed}");
    let ended = check("nowhere.toml").run().await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("HERALD_CONFIG"), "{ended:?}");
}

#[tokio::test]
async fn a_command_whose_output_cannot_be_written_says_so_and_does_not_panic() {
    let folder = TempDir::new().unwrap();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for (args, code) in [
        (&["check-config"] as &[&str], 1),
        (&["check-config", "--config", "nowhere"], 2),
    ] {
        let mut command = Command::new(program());
        let command = command.args(args).current_dir(folder.path());
        let status = command.stdout(full()).stderr(full()).status();
        let status = within("herald", status).await.unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}
