//! A server that cannot start says why, exits with 1 and changes nothing.

use std::{fs, net::TcpListener};

use herald_tests::Herald;

/// Panics unless the server fails with an error that has all of `parts`.
async fn fails(herald: &mut Herald, parts: &[&str]) {
    let (code, error) = herald.begin_in_vain().await;
    assert_eq!(code, 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
    assert!(!error.contains("panicked"), "{error}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    for key in ["HTTP__LISTEN", "MQTT__LISTEN_TLS", "MQTT__LISTEN_TCP"] {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let variable = format!("HERALD_{key}");
        let mut herald = Herald::stopped(&[(&variable, &address)]);
        let key = key.to_lowercase().replace("__", ".");
        fails(&mut herald, &[&address, &key]).await;
        assert!(!herald.data_dir().join("run.json").exists());
    }
}

#[tokio::test]
async fn a_data_directory_that_is_a_file_is_named_and_kept() {
    let mut herald = Herald::stopped(&[]);
    let data_dir = herald.data_dir();
    fs::write(&data_dir, "precious").unwrap();
    fails(&mut herald, &[data_dir.to_str().unwrap()]).await;
    assert_eq!(fs::read_to_string(&data_dir).unwrap(), "precious");
}

#[tokio::test]
async fn a_database_that_cannot_be_made_is_named() {
    let mut herald = Herald::stopped(&[("HERALD_DATABASE__URL", "sqlite:///dev/null/herald.db")]);
    fails(&mut herald, &["/dev/null"]).await;
}

#[tokio::test]
async fn a_corrupt_database_is_named_and_kept() {
    let mut herald = Herald::start().await;
    herald.stop().await;
    let database = herald.data_dir().join("herald.db");
    let mut bytes = fs::read(&database).unwrap();
    let end = bytes.len();
    // Keep the first page, so that it still looks like a database.
    bytes[4096..end].fill(0xA5);
    fs::write(&database, &bytes).unwrap();
    fails(&mut herald, &[database.to_str().unwrap()]).await;
    assert_eq!(fs::read(&database).unwrap()[4096..end], bytes[4096..end]);
}

#[tokio::test]
async fn a_database_that_is_none_is_named_and_kept() {
    let mut herald = Herald::stopped(&[]);
    let database = herald.data_dir().join("herald.db");
    fs::create_dir(herald.data_dir()).unwrap();
    let text = "not a database, but somebody's notes\n".repeat(200);
    fs::write(&database, &text).unwrap();
    fails(&mut herald, &[database.to_str().unwrap()]).await;
    assert_eq!(fs::read_to_string(&database).unwrap(), text);
}

#[tokio::test]
async fn a_second_server_on_the_same_data_directory_is_refused() {
    let herald = Herald::start().await;
    let second = herald.cli(&["serve"]);
    let second = second
        .env("HERALD_HTTP__LISTEN", "127.0.0.1:0")
        .env("HERALD_MQTT__LISTEN_TLS", "127.0.0.1:0")
        .env("HERALD_MQTT__LISTEN_TCP", "127.0.0.1:0");
    let ended = second.run().await;
    assert_eq!(ended.code, 1, "{ended:?}");
    let data_dir = herald.data_dir();
    assert!(
        ended.stderr.contains(data_dir.to_str().unwrap()),
        "{ended:?}"
    );
    // The first is as it was.
    assert!(data_dir.join("run.json").exists());
    herald.http("admin").await;
}

#[tokio::test]
async fn the_default_password_keeps_the_server_on_loopback() {
    let beyond = [("HERALD_HTTP__LISTEN", "0.0.0.0:0")];
    let mut herald = Herald::stopped(&beyond);
    fails(&mut herald, &["admin", "reset-password"]).await;
}
