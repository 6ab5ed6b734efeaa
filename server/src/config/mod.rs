//! `herald.toml`, the environment, and the defaults.

mod check;
mod database;
mod environment;
mod file;
mod log;
mod webhook;

use std::{net::SocketAddr, path::PathBuf};

use figment::{Figment, providers::Serialized};
use herald_api::{ApiLimits, ApiOptions, SendLimits, Shares};
use serde::{Deserialize, Serialize};

use crate::{cli::Options, host::BATCH_BYTES};
pub(crate) use environment::ignored;
pub(crate) use log::{Log, LogFormat};
use webhook::Webhook;

/// Messages that are echoed at once, unless the configuration says how many: an echo takes no time, and what counts is how many
/// ends share a transaction.
const ECHOES: u32 = 128;

/// A configuration that cannot be used: one line that says which key, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub(crate) String);

/// All that can be configured.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) http: Http,
    pub(crate) mqtt: Mqtt,
    pub(crate) tls: Tls,
    pub(crate) database: Database,
    pub(crate) auth: Auth,
    pub(crate) worker: Worker,
    pub(crate) webhook: Webhook,
    pub(crate) limits: Limits,
    pub(crate) retention: Retention,
    pub(crate) log: Log,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    pub(crate) allowed_origins: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mqtt {
    #[serde(with = "listen")]
    pub(crate) listen_tls: Option<SocketAddr>,
    #[serde(with = "listen")]
    pub(crate) listen_tcp: Option<SocketAddr>,
    pub(crate) allow_plain: bool,
    pub(crate) max_keep_alive_s: u16,
    pub(crate) max_session_expiry_s: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TlsMode {
    Auto,
    Files,
    Off,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) mode: TlsMode,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) url: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Registration {
    Closed,
    Open,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) registration: Registration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Processor {
    Echo,
    Webhook,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Worker {
    pub(crate) concurrency: u32,
    pub(crate) lease_ms: u64,
    pub(crate) timeout_ms: u64,
    pub(crate) max_attempts: u32,
    pub(crate) backoff_ms: u64,
    pub(crate) stop_ms: u64,
    pub(crate) processor: Processor,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) message_bytes: usize,
    pub(crate) notification_bytes: usize,
    pub(crate) requests_per_minute: u32,
    pub(crate) requests_per_minute_per_address: u32,
    pub(crate) sends_per_minute: u32,
    pub(crate) send_bytes_per_minute: u32,
    pub(crate) waiting_messages: u32,
    pub(crate) stored_bytes: u64,
    pub(crate) packet_bytes: u32,
    pub(crate) sessions_per_user: usize,
    pub(crate) subscriptions_per_session: usize,
    pub(crate) queued_messages: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) session_bytes_per_user: usize,
    pub(crate) publishes_per_s: u32,
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) answer_bytes_per_user: usize,
    pub(crate) answer_bytes_per_s: u32,
    pub(crate) body_bytes: usize,
    pub(crate) body_bytes_per_user: usize,
    pub(crate) list_reads: usize,
    pub(crate) list_reads_per_user: usize,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    pub(crate) days: u32,
    pub(crate) audit_days: u32,
    pub(crate) audit_entries: u64,
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let broker = herald_broker::Limits::default();
        let sends = SendLimits::default();
        let api = ApiLimits::default();
        Self {
            data_dir: "./data".into(),
            http: Http {
                listen: local(8443),
                allowed_origins: vec![],
            },
            mqtt: Mqtt {
                listen_tls: Some(local(8883)),
                listen_tcp: Some(local(1883)),
                allow_plain: false,
                max_keep_alive_s: broker.max_keep_alive_s,
                max_session_expiry_s: broker.max_session_expiry_s,
            },
            tls: Tls {
                mode: TlsMode::Auto,
                cert: PathBuf::new(),
                key: PathBuf::new(),
            },
            database: Database {
                url: "sqlite://{data_dir}/herald.db".into(),
            },
            auth: Auth {
                registration: Registration::Closed,
            },
            worker: Worker {
                concurrency: 16,
                lease_ms: 30_000,
                timeout_ms: 60_000,
                max_attempts: 12,
                backoff_ms: 1_000,
                stop_ms: 7_000,
                processor: Processor::Echo,
            },
            webhook: Webhook::default(),
            limits: Limits {
                message_bytes: sends.message_bytes,
                notification_bytes: 0,
                requests_per_minute: ApiOptions::DEFAULT_REQUESTS_PER_MINUTE,
                requests_per_minute_per_address:
                    ApiOptions::DEFAULT_REQUESTS_PER_MINUTE_PER_ADDRESS,
                sends_per_minute: sends.per_minute,
                send_bytes_per_minute: sends.bytes_per_minute,
                waiting_messages: herald_store::StoreOptions::DEFAULT_WAITING_MESSAGES,
                stored_bytes: herald_store::StoreOptions::DEFAULT_STORED_BYTES,
                packet_bytes: broker.packet_bytes,
                sessions_per_user: broker.sessions_per_user,
                subscriptions_per_session: broker.subscriptions_per_session,
                queued_messages: broker.queued_messages,
                queued_bytes: broker.queued_bytes,
                session_bytes_per_user: broker.session_bytes_per_user,
                publishes_per_s: broker.publishes_per_s,
                connections: 50_000,
                connections_per_address: 20_000,
                answer_bytes: api.answer_bytes.in_all,
                answer_bytes_per_user: api.answer_bytes.each,
                answer_bytes_per_s: 4096,
                body_bytes: api.body_bytes.in_all,
                body_bytes_per_user: api.body_bytes.each,
                list_reads: api.list_reads.in_all,
                list_reads_per_user: api.list_reads.each,
            },
            retention: Retention {
                days: 30,
                audit_days: 90,
                audit_entries: 1_000_000,
            },
            log: Log::default(),
        }
    }
}

impl Config {
    /// Defaults, then the file, then the environment, then the command line; checked.
    pub(crate) fn load(options: &Options) -> Result<Self, ConfigError> {
        let given = Figment::from(file::read(options)?).merge(environment::variables());
        let figment = Figment::from(Serialized::defaults(Self::default())).merge(&given);
        let mut config: Self = figment.extract().map_err(describe)?;
        if config.worker.processor == Processor::Echo && !given.contains("worker.concurrency") {
            config.worker.concurrency = ECHOES;
        }
        if let Some(data_dir) = &options.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        if let Some(level) = environment::log() {
            config.log.level = level;
        }
        check::check(&config)?;
        Ok(config)
    }

    /// What users may send.
    pub(crate) fn send_limits(&self) -> SendLimits {
        SendLimits {
            message_bytes: self.limits.message_bytes,
            per_minute: self.limits.sends_per_minute,
            bytes_per_minute: self.limits.send_bytes_per_minute,
        }
    }

    /// What a notification has at most, in bytes.
    pub(crate) fn notification_bytes(&self) -> usize {
        match self.limits.notification_bytes {
            0 => usize::MAX,
            bytes => bytes,
        }
    }

    /// What a read from an inbox brings at most, in bytes: one notification at least, in which the message and its result may be
    /// all control characters.
    fn inbox_read_bytes(&self) -> usize {
        let largest = self.limits.message_bytes.saturating_mul(12);
        let largest = largest.saturating_add(1024).min(self.notification_bytes());
        largest.max(BATCH_BYTES)
    }

    /// What users can have at once over HTTP.
    pub(crate) fn api_limits(&self) -> ApiLimits {
        let limits = &self.limits;
        let shares = |in_all, each| Shares { in_all, each };
        ApiLimits {
            answer_bytes: shares(limits.answer_bytes, limits.answer_bytes_per_user),
            body_bytes: shares(limits.body_bytes, limits.body_bytes_per_user),
            list_reads: shares(limits.list_reads, limits.list_reads_per_user),
        }
    }

    /// What the broker is told.
    pub(crate) fn broker_limits(&self) -> herald_broker::Limits {
        let limits = &self.limits;
        herald_broker::Limits {
            packet_bytes: limits.packet_bytes,
            sessions_per_user: limits.sessions_per_user,
            subscriptions_per_session: limits.subscriptions_per_session,
            queued_messages: limits.queued_messages,
            queued_bytes: limits.queued_bytes,
            session_bytes_per_user: limits.session_bytes_per_user,
            inbox_read_bytes: self.inbox_read_bytes(),
            publishes_per_s: limits.publishes_per_s,
            max_keep_alive_s: self.mqtt.max_keep_alive_s,
            max_session_expiry_s: self.mqtt.max_session_expiry_s,
            ..herald_broker::Limits::default()
        }
    }

    /// Where MQTT over TLS is served: nowhere without TLS.
    pub(crate) fn listen_tls(&self) -> Option<SocketAddr> {
        self.mqtt
            .listen_tls
            .filter(|_| self.tls.mode != TlsMode::Off)
    }

    /// The SQLite file.
    pub(crate) fn database_file(&self) -> Result<PathBuf, ConfigError> {
        database::file(&self.database.url, &self.data_dir)
    }
}

/// The first thing wrong, in one line with its key and where it stands. It does not repeat the value: that may be a secret.
fn describe(error: figment::Error) -> ConfigError {
    use figment::error::Kind;

    let Some(first) = error.into_iter().next() else {
        return ConfigError("it cannot be read".into());
    };
    let mut key = first.path.join(".");
    if let Kind::UnknownField(field, _) = &first.kind
        && !key.ends_with(field.as_str())
    {
        key = if key.is_empty() {
            field.clone()
        } else {
            format!("{key}.{field}")
        };
    }
    let place = match first.metadata.as_ref().and_then(|m| m.source.as_ref()) {
        Some(source) => format!(" (in {source})"),
        None => first
            .metadata
            .as_ref()
            .map(|m| format!(" (in {})", m.name))
            .unwrap_or_default(),
    };
    let what = match &first.kind {
        // Of this module's own making.
        Kind::Message(text) => text.replace('\n', " "),
        Kind::InvalidType(_, expected)
        | Kind::InvalidValue(_, expected)
        | Kind::InvalidLength(_, expected) => format!("it must be {expected}"),
        Kind::UnknownVariant(_, known) => format!("it must be one of {}", known.join(", ")),
        Kind::UnknownField(_, known) => {
            format!("there is no such key; known are {}", known.join(", "))
        }
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "the number is too large".into(),
        _ => "it cannot be read".into(),
    };
    match key.is_empty() {
        true => ConfigError(format!("{what}{place}")),
        false => ConfigError(format!("{key}: {what}{place}")),
    }
}

/// An address, or an empty string for "off".
mod listen {
    use std::net::SocketAddr;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        listen: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match listen {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        let error = |_| D::Error::custom("it must be an address such as 127.0.0.1:1883");
        text.parse().map(Some).map_err(error)
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
    fn the_broker_is_told_every_limit_of_its_own() {
        let file = "[limits]\npacket_bytes = 2000\nsessions_per_user = 2\n\
            subscriptions_per_session = 3\nqueued_messages = 4\nqueued_bytes = 5000\n\
            session_bytes_per_user = 10000\nnotification_bytes = 300000\npublishes_per_s = 6\n[mqtt]\nmax_keep_alive_s = 7\nmax_session_expiry_s = 8";
        let told = load(file).unwrap().broker_limits();
        assert_eq!(told.packet_bytes, 2000);
        assert_eq!(told.sessions_per_user, 2);
        assert_eq!(told.subscriptions_per_session, 3);
        assert_eq!(told.queued_messages, 4);
        assert_eq!(told.queued_bytes, 5000);
        assert_eq!(told.session_bytes_per_user, 10_000);
        assert_eq!(told.inbox_read_bytes, 300_000);
        assert_eq!(told.publishes_per_s, 6);
        assert_eq!(told.max_keep_alive_s, 7);
        assert_eq!(told.max_session_expiry_s, 8);
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
}
