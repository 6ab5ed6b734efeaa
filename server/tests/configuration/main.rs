//! Configuration errors: exit code 2 and one line that says which key and why.

use std::fs;

use herald_tests::{Cli, Herald};
use tempfile::TempDir;

/// Panics unless `cli` refuses the configuration with one line that names `key`.
async fn refused(cli: Cli, key: &str) -> String {
    let ended = cli.run().await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(key), "{key}: {ended:?}");
    ended.stderr
}

#[tokio::test]
async fn the_defaults_and_the_example_are_valid() {
    let folder = TempDir::new().unwrap();
    let printed = Cli::new(folder.path(), &["check-config"]).succeed().await;
    for default in [
        "./data",
        "127.0.0.1:8443",
        "127.0.0.1:8883",
        "127.0.0.1:1883",
    ] {
        assert!(printed.contains(default), "{default}: {printed}");
    }
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../herald.example.toml");
    let args = ["check-config", "--config", example];
    Cli::new(folder.path(), &args).succeed().await;
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "checking makes no files");
}

#[tokio::test]
async fn what_is_wrong_in_the_file_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("herald.toml");
    for (text, key) in [
        ("[http]\nlisten_to = '127.0.0.1:0'", "http.listen_to"),
        ("[htp]\nlisten = '127.0.0.1:0'", "htp"),
        ("[http]\nlisten = 'somewhere'", "http.listen"),
        ("[worker]\nconcurrency = 'many'", "worker.concurrency"),
        ("[worker]\nconcurrency = 0", "worker.concurrency"),
        ("[tls]\nmode = 'sometimes'", "tls.mode"),
        ("[database]\nurl = 'oracle://x'", "database.url"),
        (
            "[tls]\nmode = 'off'\n[http]\nlisten = '0.0.0.0:0'",
            "tls.mode",
        ),
    ] {
        fs::write(&file, text).unwrap();
        refused(Cli::new(folder.path(), &["check-config"]), key).await;
        let path = file.to_str().unwrap();
        let args = ["check-config", "--config", path];
        refused(Cli::new(folder.path(), &args), key).await;
    }
}

#[tokio::test]
async fn a_file_that_is_no_toml_or_not_there_is_an_error() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.toml");
    let args = ["check-config", "--config", path.to_str().unwrap()];
    refused(Cli::new(folder.path(), &args), "other.toml").await;
    fs::write(&path, "[http\n").unwrap();
    refused(Cli::new(folder.path(), &args), "other.toml").await;
}

#[tokio::test]
async fn what_is_wrong_in_the_environment_is_named() {
    let folder = TempDir::new().unwrap();
    for (name, value, key) in [
        ("HERALD_HTTP__LISTEN", "somewhere", "http.listen"),
        ("HERALD_HTTP__LISTEN_TO", "127.0.0.1:0", "http.listen_to"),
        ("HERALD_WORKER__CONCURRENCY", "many", "worker.concurrency"),
    ] {
        let cli = Cli::new(folder.path(), &["check-config"]).env(name, value);
        refused(cli, key).await;
    }
}

#[tokio::test]
async fn the_environment_goes_before_the_file() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("herald.toml"),
        "[http]\nlisten = '127.0.0.1:1111'",
    )
    .unwrap();
    let check = || Cli::new(folder.path(), &["check-config"]);
    assert!(check().succeed().await.contains("127.0.0.1:1111"));
    let both = check().env("HERALD_HTTP__LISTEN", "127.0.0.1:2222");
    let printed = both.succeed().await;
    assert!(printed.contains("127.0.0.1:2222"), "{printed}");
    assert!(!printed.contains("127.0.0.1:1111"), "{printed}");
}

#[tokio::test]
async fn plain_mqtt_beyond_loopback_must_be_allowed() {
    let folder = TempDir::new().unwrap();
    let check =
        || Cli::new(folder.path(), &["check-config"]).env("HERALD_MQTT__LISTEN_TCP", "0.0.0.0:0");
    let error = refused(check(), "mqtt.listen_tcp").await;
    assert!(error.contains("mqtt.allow_plain"), "{error}");
    let allowed = check().env("HERALD_MQTT__ALLOW_PLAIN", "true");
    allowed.succeed().await;
}

#[tokio::test]
async fn serve_refuses_the_same_and_makes_no_files() {
    let mut herald = Herald::stopped(&[("HERALD_MQTT__LISTEN_TCP", "0.0.0.0:0")]);
    let (code, error) = herald.begin_in_vain().await;
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("mqtt.listen_tcp"), "{error}");
    assert!(!herald.data_dir().exists());
}

#[tokio::test]
async fn a_listener_can_be_off() {
    let herald = Herald::start_with(&[("HERALD_MQTT__LISTEN_TCP", "")]).await;
    assert_eq!(herald.run().mqtt_tcp, None);
    assert!(herald.run().mqtt_tls.is_some());
}

#[tokio::test]
async fn the_address_of_the_database_is_read_as_a_url() {
    let mut herald =
        Herald::stopped(&[("HERALD_DATABASE__URL", "sqlite://{data_dir}/my%20own.db")]);
    herald.begin().await;
    assert!(herald.data_dir().join("my own.db").is_file());
    herald.stop().await;
    let folder = TempDir::new().unwrap();
    for url in ["sqlite://x.db?mode=rwc", "postgres://me:s3cret@host"] {
        let check = Cli::new(folder.path(), &["check-config"]);
        let error = refused(check.env("HERALD_DATABASE__URL", url), "database.url").await;
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_database_server_that_is_not_there_is_told_and_its_password_is_not() {
    let folder = TempDir::new().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "s3cret\n").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = taken.local_addr().unwrap();
    drop(taken);
    let url = format!("postgres://me@{free}/db");
    let ended = Cli::new(folder.path(), &["check-config"])
        .env("HERALD_DATABASE__URL", &url)
        .env("HERALD_DATABASE__PASSWORD_FILE", password.to_str().unwrap())
        .run()
        .await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(&free.to_string()), "{ended:?}");
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
}

#[tokio::test]
async fn how_many_are_echoed_at_once_can_be_set() {
    let folder = TempDir::new().unwrap();
    let check = || Cli::new(folder.path(), &["check-config"]);
    let printed = check().succeed().await;
    assert!(printed.contains("concurrency = 512"), "{printed}");
    let set = check().env("HERALD_WORKER__CONCURRENCY", "3");
    let printed = set.succeed().await;
    assert!(printed.contains("concurrency = 3"), "{printed}");
}
