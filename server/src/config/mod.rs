//! `herald.toml`, the environment, and the defaults. Each section has a file of its own: its keys, their defaults and what
//! they may be.

mod auth;
mod cluster;
mod database;
mod environment;
mod error;
mod file;
mod http;
mod limits;
mod mqtt;
mod retention;
mod tls;
mod webhook;
mod worker;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use figment::{Figment, providers::Serialized};
use herald_store::DatabaseUrl;
use serde::{Deserialize, Serialize};

use crate::{cli::Options, logging::Log};
use auth::Auth;
use cluster::Cluster;
use database::Database;
use http::Http;
use limits::Limits;
use mqtt::Mqtt;
use tls::Tls;
use webhook::Webhook;
use worker::{ECHOES, Worker};

pub(crate) use auth::Registration;
pub(crate) use database::DatabaseLocation;
pub(crate) use environment::ignored;
pub(crate) use error::ConfigError;
pub(crate) use retention::Retention;
pub(crate) use tls::TlsMode;
pub(crate) use worker::Processor;

/// All that can be configured.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) http: Http,
    pub(crate) mqtt: Mqtt,
    pub(crate) tls: Tls,
    pub(crate) database: Database,
    pub(crate) cluster: Cluster,
    pub(crate) auth: Auth,
    pub(crate) worker: Worker,
    pub(crate) webhook: Webhook,
    pub(crate) limits: Limits,
    pub(crate) retention: Retention,
    pub(crate) log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "./data".into(),
            http: Http::default(),
            mqtt: Mqtt::default(),
            tls: Tls::default(),
            database: Database::default(),
            cluster: Cluster::default(),
            auth: Auth::default(),
            worker: Worker::default(),
            webhook: Webhook::default(),
            limits: Limits::default(),
            retention: Retention::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Defaults, then the file, then the environment, then the command line; checked.
    pub(crate) fn load(options: &Options) -> Result<Self, ConfigError> {
        let given = Figment::from(file::read(options)?).merge(environment::variables());
        let figment = Figment::from(Serialized::defaults(Self::default())).merge(&given);
        let mut config: Self = figment.extract()?;
        if config.worker.processor == Processor::Echo && !given.contains("worker.concurrency") {
            config.worker.concurrency = ECHOES;
        }
        if let Some(data_dir) = &options.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        if let Some(level) = environment::log() {
            config.log.level = level;
        }
        config.check()?;
        Ok(config)
    }

    /// Checks what the types cannot say.
    fn check(&self) -> Result<(), ConfigError> {
        self.mqtt.check()?;
        self.tls.check(self.http.listen)?;
        self.log.filter()?;
        let database = self.database_location()?;
        if self.cluster.relay()?.is_some() && matches!(database, DatabaseLocation::File(_)) {
            return Err(ConfigError(
                "cluster.relay: a database file has one server".into(),
            ));
        }
        self.cluster.check()?;
        self.worker.check()?;
        if self.worker.processor == Processor::Webhook {
            self.webhook.check(self.worker.timeout_ms)?;
        }
        self.limits.check()?;
        self.retention.check()?;
        self.http.check()
    }

    /// Where MQTT over TLS is served: nowhere without TLS.
    pub(crate) fn listen_tls(&self) -> Option<SocketAddr> {
        self.mqtt
            .listen_tls
            .filter(|_| self.tls.mode != TlsMode::Off)
    }

    /// The first listener that can be reached from other machines.
    pub(crate) fn beyond_loopback(&self) -> Option<SocketAddr> {
        [
            Some(self.http.listen),
            self.listen_tls(),
            self.mqtt.listen_tcp,
        ]
        .into_iter()
        .flatten()
        .find(|address| !address.ip().is_loopback())
    }

    /// Where the database is.
    pub(crate) fn database_location(&self) -> Result<DatabaseLocation, ConfigError> {
        self.database.location(&self.data_dir)
    }

    /// Where another database is, whose URL and password file options of the command line give. That of the configuration has
    /// the password file of the configuration.
    pub(crate) fn location_of(
        &self,
        url: &DatabaseUrl,
        password_file: Option<&Path>,
    ) -> Result<DatabaseLocation, ConfigError> {
        let own = Some(&*self.database.password_file).filter(|_| *url == self.database.url);
        let database = Database {
            url: url.clone(),
            password_file: password_file.or(own).unwrap_or(Path::new("")).to_owned(),
        };
        database.location(&self.data_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example file lists every key with its default.
    #[test]
    fn the_example_file_is_the_default_configuration() {
        let example = include_str!("../../../herald.example.toml");
        let example: toml::Table = example.parse().unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(example, defaults);
    }

    fn load(file: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("herald.toml");
        std::fs::write(&path, file).unwrap();
        Config::load(&Options {
            config: Some(path),
            data_dir: None,
        })
    }

    fn error(file: &str) -> String {
        load(file).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_named() {
        assert!(error("[http]\nlisten_to = \"x\"").starts_with("http.listen_to: "));
        assert!(error("htttp = 1").starts_with("htttp: "));
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named() {
        assert!(error("[http]\nlisten = \"nowhere\"").starts_with("http.listen: "));
        assert!(error("[mqtt]\nlisten_tcp = \"nowhere\"").starts_with("mqtt.listen_tcp: "));
        assert!(error("[worker]\nconcurrency = \"many\"").starts_with("worker.concurrency: "));
        assert!(error("[tls]\nmode = \"maybe\"").starts_with("tls.mode: "));
        let keep_alive = error("[mqtt]\nmax_keep_alive_s = 65536");
        assert!(keep_alive.starts_with("mqtt.max_keep_alive_s: "));
        for key in [
            "publishes_per_s",
            "requests_per_minute",
            "requests_per_minute_per_address",
            "sends_per_minute",
            "send_bytes_per_minute",
            "waiting_messages",
            "stored_bytes",
        ] {
            let negative = error(&format!("[limits]\n{key} = -1"));
            assert!(negative.starts_with(&format!("limits.{key}: ")));
        }
    }

    #[test]
    fn a_secret_of_the_wrong_kind_is_not_repeated() {
        let error = error("[webhook]\nsecret = 123456789");
        assert!(error.starts_with("webhook.secret: "), "{error}");
        assert!(!error.contains("123456789"), "{error}");
    }

    #[test]
    fn an_error_is_one_line() {
        for file in ["[http]\nlisten_to = 1", "[http\n", "[http]\nlisten = 1"] {
            let error = error(file);
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn an_empty_address_turns_a_listener_off() {
        let config = load("[mqtt]\nlisten_tcp = \"\"").unwrap();
        assert_eq!(config.mqtt.listen_tcp, None);
        assert!(config.mqtt.listen_tls.is_some());
    }

    #[test]
    fn the_defaults_are_valid() {
        Config::default().check().unwrap();
    }

    #[test]
    fn a_webhook_is_checked_if_it_is_used() {
        let mut config = Config::default();
        config.webhook.timeout_ms = config.worker.timeout_ms + 1;
        config.check().unwrap();
        config.worker.processor = Processor::Webhook;
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with("webhook."), "{error}");
    }

    #[test]
    fn the_database_of_the_configuration_has_its_password_file_wherever_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let [own, given] = ["own", "given"].map(|name| {
            let file = dir.path().join(name);
            std::fs::write(&file, name).unwrap();
            file
        });
        let mut config = Config::default();
        config.database.url = "postgres://me@host/db".into();
        config.database.password_file = own;
        let address = |url: &str, file: Option<&Path>| {
            let location = config.location_of(&url.into(), file).unwrap();
            location.options().url.expose().to_owned()
        };
        let here = "postgres://me@host/db";
        assert_eq!(address(here, None), "postgres://me:own@host/db");
        assert_eq!(address(here, Some(&given)), "postgres://me:given@host/db");
        let there = "postgres://me@other/db";
        assert_eq!(address(there, None), there);
    }
}
