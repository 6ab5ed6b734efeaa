//! The API against its OpenAPI document: Schemathesis makes requests of what the document says, good and bad ones, and
//! whatever is answered must be as described. `tests/python/schemathesis.toml` says what is checked.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail them")]

use std::{path::Path, process::Output, time::Duration};

use herald_tests::{Herald, Http};
use tokio::process::Command;

/// On two cores beside each other; alone each takes a third.
const LIMIT: Duration = Duration::from_secs(300);

/// What the tester has a token of.
struct Tester<'a> {
    name: &'a str,
    token_id: String,
    token: String,
}

impl<'a> Tester<'a> {
    async fn of(herald: &Herald, name: &'a str) -> Self {
        let (token_id, token) = herald
            .http(name)
            .await
            .token_with_id(&["api", "mqtt"])
            .await;
        Self {
            name,
            token_id,
            token,
        }
    }
}

async fn server() -> Herald {
    // It sends as fast as it can, and is to see more than refusals.
    let herald = Herald::start_with(&[
        ("HERALD_LIMITS__SENDS_PER_MINUTE", "1000000"),
        ("HERALD_LIMITS__WAITING_MESSAGES", "1000000"),
    ])
    .await;
    herald
        .http("admin")
        .await
        .create_user("alice", "user")
        .await;
    herald
}

/// Runs the tester on the operations that `args` select.
async fn run(herald: &Herald, tester: Option<&Tester<'_>>, args: &[&str]) -> Output {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = tests.join("../target/python/bin/schemathesis");
    assert!(
        program.exists(),
        "no {}: run cargo xtask setup",
        program.display()
    );
    let python = tests.join("python");
    let mut command = Command::new(program);
    command
        .current_dir(herald.folder())
        .arg("--config-file")
        .arg(python.join("schemathesis.toml"))
        .args([
            "run",
            "--no-color",
            "--warnings",
            "off",
            "--continue-on-failure",
        ])
        .args(["--seed", "1", "--output-sanitize", "false"])
        .arg("--tls-verify")
        .arg(herald.ca())
        .args(args)
        .arg(format!(
            "https://{}/api/openapi.json",
            herald.http_address()
        ))
        .env("PYTHONPATH", &python)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("OWN_NAME", tester.map_or("", |tester| tester.name))
        .env("OWN_TOKEN_ID", tester.map_or("", |tester| &tester.token_id))
        .kill_on_drop(true);
    if let Some(tester) = tester {
        command.args(["-H", &format!("Authorization: Bearer {}", tester.token)]);
    }
    tokio::time::timeout(LIMIT, command.output())
        .await
        .expect("the tester is done in time")
        .unwrap()
}

#[track_caller]
fn assert_nothing_found(output: &Output) {
    println!("{}", String::from_utf8_lossy(&output.stdout));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

/// The tester has not locked itself out, after which it would have tested nothing.
async fn assert_still_in(herald: &Herald, tester: &Tester<'_>, role: &str) {
    let session = Http::bearer(herald, &tester.token)
        .get("/auth/session")
        .await;
    assert_eq!(session.expect(200)["user"]["role"], role);
}

#[tokio::test]
async fn an_administrator_finds_no_answer_that_is_not_described() {
    let herald = server().await;
    let admin = Tester::of(&herald, "admin").await;
    let output = run(&herald, Some(&admin), &["--max-examples", "15"]).await;
    assert_nothing_found(&output);
    assert_still_in(&herald, &admin, "admin").await;
}

#[tokio::test]
async fn a_user_finds_no_answer_that_is_not_described() {
    let herald = server().await;
    let alice = Tester::of(&herald, "alice").await;
    let own = ["--max-examples", "15", "--exclude-path-regex", "^/admin/"];
    let output = run(&herald, Some(&alice), &own).await;
    assert_nothing_found(&output);
    let all = [
        "--phases",
        "examples,coverage",
        "--mode",
        "positive",
        "--include-path-regex",
        "^/admin/",
    ];
    let output = run(&herald, Some(&alice), &all).await;
    assert_nothing_found(&output);
    assert_still_in(&herald, &alice, "user").await;
}

#[tokio::test]
async fn a_stranger_finds_no_answer_that_is_not_described() {
    let herald = server().await;
    let output = run(
        &herald,
        None,
        &["--phases", "examples,coverage", "--max-examples", "2"],
    )
    .await;
    assert_nothing_found(&output);
}
