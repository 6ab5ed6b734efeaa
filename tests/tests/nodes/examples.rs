//! What operators copy: the unit of systemd, compose.yaml, and the configuration that both use.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use herald_test_databases::DatabaseKind;
use herald_tests::{
    Authority, Cli, HaProxy, Herald, Version, Way,
    raw::{Connect, Raw},
    secured,
};
use rand::Rng as _;
use tempfile::TempDir;

use crate::{database, listed};

/// Where the examples have what is different here.
const FOLDER: &str = "/etc/herald";
const PASSWORD_FILE: &str = "/etc/herald/database-password";
const DATABASE: &str = "postgres://herald@10.89.0.10:5432/herald";
const PROGRAM: &str = "/usr/local/bin/herald";

fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The folder that is `/etc/herald` on the machines, for a database at this URL, and the URL without its password.
fn folder(authority: &Authority, url: &str) -> (TempDir, String) {
    let folder = TempDir::with_prefix("herald-").unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (login, place) = rest.split_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let url = format!("{scheme}://{user}@{place}");
    let at = |name: &str| folder.path().join(name);
    fs::copy(authority.certificate(), at("tls.pem")).unwrap();
    fs::copy(authority.key(), at("tls.key")).unwrap();
    fs::write(at("database-password"), format!("{password}\n")).unwrap();
    let text = example("herald.toml");
    let theirs = format!("{DATABASE}?sslmode=verify-full");
    assert!(text.contains(&theirs) && text.contains(PASSWORD_FILE));
    let text = text.replace(&theirs, &url);
    let text = text.replace(FOLDER, folder.path().to_str().unwrap());
    fs::write(at("herald.toml"), text).unwrap();
    (folder, url)
}

/// What stands behind this key of the unit, for this instance.
fn unit(key: &str, instance: &str) -> Vec<String> {
    let text = example("herald@.service");
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let values = lines.filter(|(found, _)| *found == key);
    values
        .map(|(_, value)| value.replace("%i", instance))
        .collect()
}

/// The variables that the unit sets.
fn unit_environment(instance: &str, folder: &Path) -> Vec<(String, String)> {
    let set = unit("Environment", instance);
    let set = set.iter().map(|one| one.split_once('=').unwrap());
    set.map(|(name, value)| (name.to_owned(), here(value, folder)))
        .collect()
}

/// The variables that compose.yaml sets for nodes.
fn compose_environment(folder: &Path, url: &str) -> Vec<(String, String)> {
    let text = example("compose.yaml");
    let lines = text.lines().filter_map(|line| line.trim().split_once(": "));
    let set = lines.filter(|(name, _)| name.starts_with("HERALD_"));
    set.map(|(name, value)| {
        let value = if value == DATABASE { url } else { value };
        (name.to_owned(), here(value, folder))
    })
    .collect()
}

fn here(value: &str, folder: &Path) -> String {
    value.replace(FOLDER, folder.to_str().unwrap())
}

/// `herald check-config` in this environment: what is in force.
async fn checked(environment: &[(String, String)]) -> toml::Table {
    let folder = TempDir::new().unwrap();
    let mut check = Cli::new(folder.path(), &["check-config"]);
    for (name, value) in environment {
        check = check.env(name, value);
    }
    let ended = check.run().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    // None of the variables is another program's.
    assert!(!ended.stderr.contains("ignored"), "{ended:?}");
    ended.stdout.parse().unwrap()
}

/// Three addresses of loopback that nobody else uses.
fn addresses() -> [String; 3] {
    let mut random = rand::rng();
    let network: [u8; 2] = [random.random_range(1..=254), random.random()];
    [11, 12, 13].map(|host| format!("127.{}.{}.{host}", network[0], network[1]))
}

#[tokio::test]
async fn three_instances_of_the_unit_are_the_nodes_of_haproxy() {
    let Some(database) = database(DatabaseKind::Postgres).await else {
        return;
    };
    let authority = Authority::new();
    let (folder, _) = folder(&authority, database.url());
    assert_eq!(unit("ExecStart", ""), [format!("{PROGRAM} serve")]);
    let servers = addresses().map(|address| {
        let mut settings = unit_environment(&address, folder.path());
        let place = format!("/var/lib/{}", unit("StateDirectory", &address)[0]);
        let data_dir = ("HERALD_DATA_DIR".to_owned(), place);
        assert!(settings.contains(&data_dir), "{settings:?}");
        // The URL has the password already.
        settings.push(("HERALD_DATABASE__PASSWORD_FILE".into(), String::new()));
        let settings: Vec<_> = settings.iter().map(|(k, v)| (&**k, &**v)).collect();
        let herald = Herald::stopped_on_database(&database, &settings);
        authority.vouch_for(&herald);
        (address, herald)
    });
    let mut started = vec![];
    for (address, mut herald) in servers {
        herald.begin().await;
        assert_eq!(herald.http_address(), format!("{address}:8443"));
        assert_eq!(herald.tls_address(), format!("{address}:8883"));
        started.push(herald);
    }
    let Ok(servers) = <[Herald; 3]>::try_from(started) else {
        unreachable!("there are three")
    };
    assert_eq!(listed(&servers[0]).await.len(), 3);
    let haproxy = HaProxy::start(&servers).await;
    for (way, address) in [(Way::Tls, haproxy.mqtts()), (Way::Wss, haproxy.https())] {
        let address = secured(way, address, &authority.ca()).await.unwrap();
        let mut raw = Raw::over(&address, Version::V5).await;
        assert_eq!(raw.login(&Connect::of("admin")).await, 0);
    }
}

#[tokio::test]
async fn herald_knows_all_that_the_examples_set() {
    let Some(database) = database(DatabaseKind::Postgres).await else {
        return;
    };
    let authority = Authority::new();
    let (folder, url) = folder(&authority, database.url());
    let by_unit = checked(&unit_environment("127.0.0.1", folder.path())).await;
    let by_compose = checked(&compose_environment(folder.path(), &url)).await;
    for config in [&by_unit, &by_compose] {
        let text = |section: &str, key: &str| config[section][key].as_str().unwrap();
        assert_eq!(text("tls", "mode"), "files");
        assert!(text("http", "listen").ends_with(":8443"));
        assert!(text("mqtt", "listen_tls").ends_with(":8883"));
        // Whatever stops a node waits for so long.
        let wait = config["cluster"]["drain_s"].as_integer().unwrap() + 20;
        assert_eq!(unit("TimeoutStopSec", ""), [wait.to_string()]);
        assert!(example("compose.yaml").contains(&format!("stop_grace_period: {wait}s")));
        let connections = config["limits"]["connections"].as_integer().unwrap();
        let files = unit("LimitNOFILE", "")[0].parse::<i64>().unwrap();
        assert!(files > connections);
    }
}

#[test]
fn compose_has_the_nodes_of_haproxy_and_files_that_are_there() {
    let compose = example("compose.yaml");
    let values = |key: &str| -> BTreeSet<&str> {
        let lines = compose
            .lines()
            .filter_map(|line| line.trim().split_once(": "));
        lines
            .filter(|(found, _)| *found == key)
            .map(|(_, value)| value)
            .collect()
    };
    let haproxy = example("haproxy.cfg");
    let servers = haproxy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("server "));
    let mut expected: BTreeSet<&str> = servers
        .map(|server| server.split_whitespace().nth(1).unwrap())
        .map(|address| address.split_once(':').unwrap().0)
        .collect();
    expected.insert("10.89.0.10");
    assert_eq!(values("ipv4_address"), expected);
    let ops = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../ops"));
    let own = ["tls.pem", "tls.key", "database-password"];
    for file in values("file") {
        assert!(own.contains(&file) || ops.join(file).exists(), "{file}");
    }
    let dockerfile = ops.join(values("context").first().unwrap());
    assert!(
        dockerfile
            .join(values("dockerfile").first().unwrap())
            .exists()
    );
}
