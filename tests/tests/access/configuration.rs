//! What the configuration holds is not repeated in errors: values, keys of TLS, passwords of databases.

use std::fs;

use herald_tests::{Cli, Herald};
use tempfile::TempDir;

use crate::inputs::Secrets;

/// Keys whose values are names of files, which errors need.
const PATHS: [&str; 6] = [
    "data_dir",
    "tls.cert",
    "tls.key",
    "webhook.ca",
    "log.file",
    "cluster.relay_file",
];

/// Every key of the configuration.
fn keys() -> Vec<String> {
    let example = include_str!("../../../herald.example.toml");
    let example: toml::Table = example.parse().unwrap();
    let mut keys = vec![];
    for (name, value) in &example {
        match value.as_table() {
            Some(section) => keys.extend(section.keys().map(|key| format!("{name}.{key}"))),
            None => keys.push(name.clone()),
        }
    }
    keys
}

#[tokio::test]
async fn no_value_of_the_configuration_is_repeated_in_an_error() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("herald.toml");
    let mut secrets = Secrets::new();
    for key in keys().iter().filter(|key| !PATHS.contains(&key.as_str())) {
        let name = format!("HERALD_{}", key.to_uppercase().replace('.', "__"));
        let (section, bare) = key.split_once('.').unwrap();
        for n in 0..8 {
            let s = secrets.text();
            let (text, value) = match n {
                0 => (format!("[{section}]\n{bare} = \"{s}\""), None),
                1 => (format!("[{section}]\n{bare} = [\"{s}\"]"), None),
                2 => (format!("[{section}]\n{bare} = {{ x = \"{s}\" }}"), None),
                3 => (format!("[{section}]\n{bare} = {s}"), None),
                4 => (format!("[{section}]\n{bare} = \"{s}"), None),
                5 => (String::new(), Some(s.clone())),
                6 => (String::new(), Some(format!("postgres://user:{s}@host/db"))),
                _ => (String::new(), Some(format!("[{s}"))),
            };
            fs::write(&file, text).unwrap();
            let mut check = Cli::new(folder.path(), &["check-config"]);
            if let Some(value) = &value {
                check = check.env(&name, value);
            }
            let ended = check.run().await;
            // Nothing is missing in the defaults, so a value that means nothing is an error.
            let free = key == "webhook.url" || key.ends_with("secret");
            // A server that is not there is no error of the configuration.
            let code = if key == "database.url" && n == 6 {
                1
            } else {
                2
            };
            assert!(free || ended.code == code, "{key}: {ended:?}");
            if key == "database.url" {
                // It is printed, without the password.
                secrets.watched.saw(key, ended.stdout);
            }
            secrets.watched.saw(key, ended.stderr);
        }
    }
    // What is needed is what is read closely.
    for (url, secret) in [
        ("x", "whsec_x"),
        ("https://a.example/", "whsec_!"),
        ("ftp://x", ""),
    ] {
        let (url, secret) = (
            format!("{url}{}", secrets.text()),
            format!("{secret}{}", secrets.text()),
        );
        let check = Cli::new(folder.path(), &["check-config"])
            .env("HERALD_WORKER__PROCESSOR", "webhook")
            .env("HERALD_WEBHOOK__URL", &url)
            .env("HERALD_WEBHOOK__SECRET", &secret);
        let ended = check.run().await;
        assert_eq!(ended.code, 2, "{ended:?}");
        secrets.watched.saw("webhook", format!("{ended:?}"));
    }
    secrets.watched.check();
}

#[tokio::test]
async fn a_key_without_its_line_breaks_is_not_repeated() {
    let mut secrets = Secrets::new();
    let body = secrets.text().repeat(3);
    let key = format!("-----BEGIN PRIVATE KEY-----{body}-----END PRIVATE KEY-----\n");
    let own = Herald::start().await;
    let certificate = own.data_dir().join("tls/server.pem");
    let path = own.folder().join("server.key");
    fs::write(&path, &key).unwrap();
    let settings = [
        ("HERALD_TLS__MODE", "files"),
        ("HERALD_TLS__CERT", certificate.to_str().unwrap()),
        ("HERALD_TLS__KEY", path.to_str().unwrap()),
    ];
    let mut herald = Herald::stopped(&settings);
    let (code, error) = herald.begin_in_vain().await;
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("tls.key") && error.contains("line breaks"),
        "{error}"
    );
    // Nor as numbers, as its bytes are.
    let numbers: Vec<String> = body.bytes().take(4).map(|byte| byte.to_string()).collect();
    assert!(!error.contains(&numbers.join(", ")), "{error}");
    let mut check = Cli::new(own.folder(), &["check-config"]);
    for (name, value) in settings {
        check = check.env(name, value);
    }
    let checked = check.run().await;
    assert_eq!(checked.code, 2, "{checked:?}");
    secrets.watched.saw("the start", error);
    secrets.watched.saw("check-config", format!("{checked:?}"));
    secrets.watched.check();
}
