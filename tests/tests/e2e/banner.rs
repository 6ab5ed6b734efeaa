//! What the server prints works when pasted.

use std::process::Stdio;

use herald_tests::{Herald, until, within};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

/// The printed line that starts with `program`.
async fn printed(herald: &Herald, program: &str) -> String {
    // run.json may be there before the last line is.
    until("a line to paste", async || {
        let banner = herald.stdout();
        let complete = banner.rsplit_once('\n')?.0;
        let line = complete.lines().map(str::trim);
        line.filter(|line| line.starts_with(program))
            .map(str::to_owned)
            .next()
    })
    .await
}

/// `line` in the shell of a person who stands where the server was started.
fn pasted(herald: &Herald, line: &str) -> Command {
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("exec {line}")])
        .current_dir(herald.folder())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn the_curl_line_works_when_pasted() {
    let herald = Herald::start().await;
    let line = printed(&herald, "curl ").await;
    let output = within("curl", pasted(&herald, &line).output())
        .await
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["code"].is_null(), "{line}: {answer}");
}

#[tokio::test]
async fn the_mosquitto_sub_line_works_when_pasted() {
    let herald = Herald::start().await;
    let line = printed(&herald, "mosquitto_sub ").await;
    let mut subscriber = pasted(&herald, &line)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    herald.http("admin").await.send_message("hello").await;
    let mut lines = BufReader::new(subscriber.stdout.take().unwrap()).lines();
    let printed = within("a notification", lines.next_line()).await.unwrap();
    let notification: Value = serde_json::from_str(&printed.unwrap()).unwrap();
    assert_eq!(notification["message"]["result"], "hello");
}

#[tokio::test]
async fn the_banner_says_where_everything_is() {
    let herald = Herald::start().await;
    printed(&herald, "mosquitto_sub ").await;
    let banner = herald.stdout();
    let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    for part in [
        format!(":{}", port(herald.http_address())),
        format!(":{}", port(herald.tls_address())),
        format!(":{}", port(herald.tcp_address())),
        herald.ca().display().to_string(),
        "/docs".into(),
    ] {
        assert!(banner.contains(&part), "{part} is missing in:\n{banner}");
    }
}
